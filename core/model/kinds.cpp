#include "parley/core/model/kinds.h"

#include <algorithm>

#include "parley/core/model/hifigan.h"
#include "parley/core/model/silero_vad.h"
#include "parley/core/model/speecht5.h"
#include "parley/core/model/voices.h"
#include "parley/core/model/whisper.h"

namespace parley::stage {

namespace {

constexpr Kind kKinds[] = {
    {kLogMelKind, nullptr, false},
    {kWhisperEncoderKind,
     [](const Stage& s) { return whisper_encoder_tensors(whisper_encoder_dims(s)); }, true},
    {kWhisperDecoderKind,
     [](const Stage& s) { return whisper_decoder_tensors(whisper_decoder_dims(s)); }, true},
    {kTextEncoderKind, [](const Stage& s) { return text_encoder_tensors(text_encoder_dims(s)); },
     true},
    {kMelDecoderKind, [](const Stage& s) { return mel_decoder_tensors(mel_decoder_dims(s)); },
     true},
    {kHifiGanKind,
     [](const Stage& s) { return hifigan_tensors(parse_hifigan_dims(s.config(), s.where())); },
     false},
    {kVoicesKind, nullptr, false},
    {kSileroVadKind, [](const Stage&) { return silero_vad_tensors(); }, false},
};

}  // namespace

const Kind* find_kind(std::string_view name) {
  const Kind* found = std::ranges::find(kKinds, name, &Kind::name);
  return found == std::end(kKinds) ? nullptr : found;
}

void check_tensors(const Stage& stage) {
  const Kind* kind = find_kind(stage.kind());
  if (kind == nullptr || kind->tensors == nullptr) return;
  for (const auto& [name, shape] : kind->tensors(stage)) {
    if (shape.rank() >= 2) {
      stage.matrix(name, shape);
    } else {
      stage.weights().tensor(name, shape);
    }
  }
}

}  // namespace parley::stage
