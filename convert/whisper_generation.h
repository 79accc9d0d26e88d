// What decoding a Whisper needs to know beyond its dimensions: tokens to suppress, heads to align
// by.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "parley/core/model/whisper.h"
#include "parley/text/tokenizer/tokenizer.h"

namespace parley::stage {

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

// Whether a published Whisper with this vocabulary is multilingual (openai/whisper, model.py).
bool is_multilingual(const WhisperDims& dims);

// [layer, head] pairs of the decoder's cross-attention that follow the audio: from the table
// published with openai/whisper for the sizes that it names, otherwise all heads of the upper half
// of the layers. Large v1 and v2 are of one shape: `sha256` of the original .pt file tells v1,
// everything else is taken for v2.
using AlignmentHeads = std::vector<std::pair<int, int>>;
AlignmentHeads alignment_heads(const WhisperDims& dims, std::string_view sha256 = "");

}  // namespace parley::stage
