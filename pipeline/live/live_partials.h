// The text of a window while it is still spoken.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "parley/core/nn/context.h"
#include "parley/decoder/kv_state.h"
#include "parley/decoder/search.h"
#include "parley/pipeline/stt/decode_policy.h"
#include "parley/pipeline/stt/speech_model.h"
#include "parley/pipeline/stt/transcript.h"
#include "parley/pipeline/stt/window_cutter.h"
#include "parley/pipeline/stt/windowed_transcript.h"

namespace parley::pipeline {

// Greedy text of the open window, pass by pass. What a pass says is the draft of the next: one
// decoder step reads the whole draft, and only what follows the first token that the new audio
// changes is decoded token by token. The text is that of plain greedy decoding; hotwords wait for
// the final text.
//
// What two passes agree on, cut at the end of a word, is settled: later passes of the window begin
// with it. Reference: LocalAgreement-2 (Macháček et al. 2023; ufal/whisper_streaming,
// whisper_online.py, HypothesisBuffer).
//
// Belongs to one thread at a time.
class LivePartials {
 public:
  LivePartials(const SpeechModel& model, const TranscribeOptions& options);

  struct Text {
    double start = 0;  // seconds in the stream
    double end = 0;
    std::string text = {};
    size_t stable = 0;  // bytes of it that are settled
  };
  // A pass over the window as far as it was heard. language: empty when not known yet. pending:
  // text of the window before, which this one may overlap. Nothing when
  // there is no text worth showing, or when `abandon` says that something else is to be done.
  std::optional<Text> pass(nn::Context& ctx, SourceWindow source, const std::string& language,
                           const WindowedTranscript::Pending& pending,
                           const std::function<bool()>& abandon);

  const std::vector<int32_t>& tokens() const { return tokens_; }  // of the last pass
  size_t settled() const { return settled_; }                     // of them
  // Since the beginning: tokens of drafts that were kept, and tokens decoded one by one.
  int64_t verified_tokens() const { return verified_; }
  int64_t decoded_tokens() const { return decoded_; }

 private:
  struct Choice {
    int32_t token = 0;
    double logprob = 0;
  };
  void begin(int64_t window_start);
  std::optional<decoder::DecodeResult> decode(nn::Context& ctx, const decoder::DecodeTask& task,
                                              const std::function<bool()>& abandon);
  float no_speech_prob(std::span<const float> logits) const;
  Choice choose(const decoder::DecodeTask& task, std::span<float> logits) const;
  void keep(const Choice& choice);
  size_t agreed(const std::vector<int32_t>& before) const;
  Text show(const decoder::DecodeResult& result, const dsp::Window& window,
            const WindowedTranscript::Pending& pending);

  const SpeechModel& model_;
  DecodePolicy policy_;
  float compression_ratio_threshold_;
  bool detects_language_;
  decoder::KvState state_;
  int64_t window_start_ = -1;
  std::vector<int32_t> tokens_;   // of the last pass over this window
  std::vector<double> logprobs_;  // of each
  size_t settled_ = 0;            // tokens
  std::string shown_;             // the text of the last pass
  int64_t verified_ = 0;
  int64_t decoded_ = 0;
};

}  // namespace parley::pipeline
