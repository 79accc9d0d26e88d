// The manifests of a Whisper model's three stages (docs/formats.md).
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "stage/manifest.h"
#include "stage/whisper_layout.h"
#include "text/tokenizer.h"

namespace parley::stage {

inline constexpr const char* kLogMelKind = "log_mel";
inline constexpr const char* kWhisperEncoderKind = "whisper_encoder";
inline constexpr const char* kWhisperDecoderKind = "whisper_decoder";

// Throws Error when a preprocessor_config.json asks for another log-mel than Whisper's.
void check_preprocessor(const nlohmann::json& config, const WhisperDims& dims,
                        const std::string& where);

// What decoding needs to know beyond the dimensions, as the decoder stage's config holds it:
// suppress_tokens, begin_suppress_tokens, alignment_heads, max_initial_timestamp_index,
// max_prompt_tokens (when given), is_multilingual. From `generation` (generation_config.json); what
// it lacks is what openai/whisper does for this vocabulary and size. `sha256` is the checkpoint's.
// Throws Error named by `where` for ids and heads that are out of range.
nlohmann::json generation_facts(const nlohmann::json& generation, const WhisperDims& dims,
                                const text::Tokenizer& tokenizer, std::string_view sha256,
                                const std::string& where);

// Without weights.
StageManifest frontend_manifest(const WhisperDims& dims);
StageManifest encoder_manifest(const WhisperDims& dims);
StageManifest decoder_manifest(const WhisperDims& dims, const nlohmann::json& generation_facts);

}  // namespace parley::stage
