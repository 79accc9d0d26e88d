// Public checkpoints that can be installed by name: where their files are, and how they become a
// model folder (data/models/registry.json, docs/formats.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace parley::store {

// A file of a checkpoint.
struct SourceFile {
  std::string file;               // where it lies in the checkpoint's folder
  std::string url;                // https:, file:, or, where the digest is known, http:
  std::optional<uint64_t> bytes;  // only where a public source states it
  std::string sha256;             // likewise; otherwise empty
  bool optional = false;          // the checkpoint is complete without it
};

struct RegisteredModel {
  std::string name;
  std::string kind;     // stt, tts, vad
  std::string licence;  // SPDX
  std::string about;    // one line
  std::string page;     // for people
  std::vector<SourceFile> files;
  // What stage::convert() is given, as paths in the checkpoint's folder; "." is the folder itself.
  std::string source, tokenizer, vocoder, voices;
};

using Registry = std::vector<RegisteredModel>;

// Throws Error naming `where`, the model and the field for everything that is missing, of a wrong
// type or out of range: paths that leave the folder, other schemes, an http: file without digest.
Registry parse_registry(std::string_view text, const std::string& where);
Registry read_registry(const std::filesystem::path& path);

// Null when there is none of that name.
const RegisteredModel* find_registered(const Registry& registry, std::string_view name);
// The shortest registered name that ends in `name`, or that `name` ends in: "whisper-tiny.en" for
// "tiny.en" and for "openai/whisper-tiny.en". Empty when there is none.
std::string similar_name(const Registry& registry, std::string_view name);

}  // namespace parley::store
