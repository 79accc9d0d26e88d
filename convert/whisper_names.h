// What other programs call Whisper's tensors.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace parley::stage {

// Our name for a tensor of openai/whisper and whisper.cpp ("encoder.blocks.0.attn.query.weight");
// nothing when there is none.
std::optional<std::string> name_from_openai(std::string_view name);

// The same for a tensor of transcribe.cpp ("enc.blocks.0.attn.q.weight").
std::optional<std::string> name_from_transcribe_cpp(std::string_view name);

}  // namespace parley::stage
