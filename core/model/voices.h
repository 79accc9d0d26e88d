// Voices: one speaker vector (x-vector) each, under a name.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "parley/core/model/model.h"

namespace parley::stage {

inline constexpr const char* kVoicesKind = "voices";
inline constexpr const char* kVoiceSizeField = "speaker_embedding_dim";  // of the stage's config
inline constexpr int64_t kMaxVoiceSize = 1 << 14;

// Throws Error named by `where` for a vector that is not of `size`, or not finite, or all zeros.
void check_voice(const std::vector<float>& vector, int64_t size, const std::string& where);

// The voices of a stage of kind "voices". Throws Error.
std::vector<std::string> voice_names(const Stage& stage);
std::string default_voice(const Stage& stage);
int64_t voice_size(const Stage& stage);  // numbers in a vector
std::vector<float> voice_vector(const Stage& stage, const std::string& name);

}  // namespace parley::stage
