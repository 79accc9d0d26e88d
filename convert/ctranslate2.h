// Whispers of CTranslate2, which faster-whisper runs: a folder with model.bin and config.json
// (format: python/ctranslate2/specs/model_spec.py and src/models/model.cc there).
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

#include "parley/convert/checkpoint.h"

namespace parley::stage {

// True when the file begins as a model.bin does: binary version, name of the specification.
bool is_ctranslate2(const std::filesystem::path& model_bin);

// Binary versions 2 to 6; weights as f32, f16, bf16, or int8 and int16 with their scales.
// Generation facts are config.json's, when it is there. Throws Error naming the file and what is
// wrong with it.
WhisperCheckpoint open_ctranslate2(const std::filesystem::path& folder);
// model.bin alone, over bytes that outlive the result.
WhisperCheckpoint parse_ctranslate2(std::span<const std::byte> model_bin, const std::string& where);

}  // namespace parley::stage
