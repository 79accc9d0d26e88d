// A golden model with its encoder and decoder, and windows that were listened to.
#pragma once

#include <sndfile.h>

#include <map>
#include <memory>

#include "parley/decoder/search.h"
#include "parley/dsp/audio_reader.h"
#include "parley/dsp/log_mel.h"
#include "parley/encoder/whisper.h"
#include "parley/tests/golden/golden_model.h"

namespace parley::test {

struct DecoderFixture {
  GoldenModel golden;
  nn::Context ctx;
  encoder::WhisperEncoder encoder;
  decoder::WhisperDecoder decoder;
  text::Tokenizer tokenizer;
  dsp::LogMel log_mel;

  explicit DecoderFixture(const std::string& name, nn::Precision precision = nn::Precision::kF32,
                          int threads = 1)
      : golden(name),
        ctx({.threads = threads}),
        encoder(golden.model.stage("encoder"), precision, ctx.team()),
        decoder(golden.model.stage("decoder"), precision, ctx.team()),
        tokenizer(golden.tokenizer()),
        log_mel({.n_mels = static_cast<int>(encoder.n_mels())}) {}

  std::shared_ptr<const decoder::CrossState> listen_to_mel(std::vector<float> mel) {
    const nn::Scope scope(ctx);
    const nn::Tensor features = ctx.allocate({encoder.positions(), encoder.d_model()});
    encoder.run(ctx, nn::Tensor(mel.data(), {encoder.frames(), encoder.n_mels()}, nn::DType::kF32),
                features);
    return decoder.listen(ctx, features);
  }

  // A clip of golden.json: a span of clips.wav, or two seconds of silence.
  std::vector<float> samples(const std::string& clip) const {
    const auto& seconds = golden.facts.at("clips").at(clip).at("seconds");
    if (seconds.is_null()) return std::vector<float>(32000);
    auto reader = dsp::AudioReader::open(source_path("tests/golden/whisper/clips.wav"));
    const double begin = seconds[0];
    const double end = seconds[1];
    reader.limit(begin, end - begin);
    std::vector<float> out(static_cast<size_t>(16000 * 30));
    size_t count = 0;
    while (const size_t n = reader.read(std::span(out).subspan(count))) count += n;
    out.resize(count);
    return out;
  }

  const std::shared_ptr<const decoder::CrossState>& listen(const std::string& clip) {
    auto& cross = heard[clip];
    if (!cross) {
      std::vector<float> mel(static_cast<size_t>(encoder.frames() * encoder.n_mels()));
      log_mel.window(samples(clip),
                     nn::Tensor(mel.data(), {encoder.frames(), encoder.n_mels()}, nn::DType::kF32));
      cross = listen_to_mel(std::move(mel));
    }
    return cross;
  }

  std::map<std::string, std::shared_ptr<const decoder::CrossState>> heard = {};
};

}  // namespace parley::test
