// Checkpoints as transformers' save_pretrained() writes them: config.json beside model.safetensors
// or pytorch_model.bin, either of them also in shards with an index.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "stage/checkpoint.h"

namespace parley::stage {

// Our name of a tensor ("<stage>.<tensor>") for the checkpoint's; nothing: it is not read at all.
using TensorNames = std::function<std::optional<std::string>(std::string_view theirs)>;

// The weights and the licence of a folder. Throws Error naming the file and what is wrong with it.
Checkpoint open_hugging_face(const std::filesystem::path& folder, const TensorNames& our_name);

}  // namespace parley::stage
