// Checkpoints as transformers' save_pretrained() writes them: config.json beside model.safetensors
// or pytorch_model.bin, either of them also in shards with an index.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "parley/convert/checkpoint.h"

namespace parley::stage {

// Our name of a tensor ("<stage>.<tensor>") for the checkpoint's; nothing: it is not read at all.
using TensorNames = std::function<std::optional<std::string>(std::string_view theirs)>;

// `license: apache-2.0` between the `---` lines at the top of the folder's README.md, as on the
// Hugging Face hub; else empty.
std::string read_licence(const std::filesystem::path& folder);

// What wrappers put before the name of every tensor, one around the other: "base_model.model."
// (PEFT), "module." (data parallel), "_orig_mod." (compiled), "model." (a module that holds the
// model). Empty when the names do not all begin so.
std::string wrapper_prefix(std::span<const std::string_view> names);

// The weights and the licence of a folder. `our_name` is told names without wrapper_prefix().
// Throws Error naming the file and what is wrong with it.
Checkpoint open_hugging_face(const std::filesystem::path& folder, const TensorNames& our_name);

}  // namespace parley::stage
