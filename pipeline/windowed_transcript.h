// One input of the windows strategy: from decoded windows to its transcript.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "decoder/search.h"
#include "decoder/word_alignment.h"
#include "dsp/window_planner.h"
#include "nn/context.h"
#include "pipeline/decode_policy.h"
#include "pipeline/speech_model.h"
#include "pipeline/transcriber.h"
#include "pipeline/window_source.h"

namespace parley::pipeline {

// Takes windows as they are decoded, in any order; their text becomes final in order of time,
// joined where windows overlap.
class WindowedTranscript {
 public:
  // The model, the options and the events outlive it; the policy is made of the first two.
  WindowedTranscript(const SpeechModel& model, const TranscribeOptions& options,
                     const TranscribeEvents& events, DecodePolicy policy);

  // Another window has been encoded. When the language is to be detected it may have to wait for
  // those after it.
  void add(nn::Context& ctx, const dsp::Window& window,
           std::shared_ptr<const decoder::CrossState> cross);
  // Those that wait are not to wait any longer: no window follows, or a live listener waits too.
  void decide_language();
  // The numbers of windows that may be decoded now, each once, in order.
  std::vector<int64_t> take_ready();
  // What to decode for a window now.
  decoder::DecodeTask task(int64_t number) const;
  // The result of that. True: it is good, and the window is done; false: task() says what to try
  // next.
  bool take(nn::Context& ctx, int64_t number, decoder::DecodeResult result);
  // Makes text final as far as windows without a gap are done: that of a window that was cut in
  // speech when the next one is known, any other at once.
  void settle();
  // No window follows that overlaps the last: its text is final.
  void flush();
  // The text of the last settled window while it is not final.
  struct Pending {
    const std::vector<Segment>& segments;
    double start;
    double end;
  };
  Pending pending() const { return {open_.segments, open_.start, open_.end}; }
  const std::string& language() const { return policy_.language(); }
  // For streams without an end: forgets what was delivered, but for the last segment, whose words
  // the next ones follow.
  void forget();
  // No window waits for its result.
  bool settled() const { return windows_.empty(); }
  // All windows are settled: the rest of the text, and what the source has to say.
  Transcript finish(const WindowSource::Summary& summary);

 private:
  struct Entry {
    dsp::Window window;
    std::shared_ptr<const decoder::CrossState> cross;  // until the window is done
    int attempt = 0;
    bool prompted = true;
    bool done = false;
    decoder::DecodeResult result = {};
    std::vector<Segment> segments = {};
    std::vector<std::vector<decoder::AlignedWord>> aligned = {};  // words of each, when asked for
  };

  std::span<const int32_t> prompt_of(const Entry& entry) const;
  void take_text(nn::Context& ctx, Entry& entry);
  void time_words(std::vector<Segment>& segments,
                  std::vector<std::vector<decoder::AlignedWord>> aligned, double start, double end);
  void reject(double start, double end, std::string text, std::string reason);

  const SpeechModel& model_;
  const TranscribeOptions& options_;
  const TranscribeEvents& events_;
  DecodePolicy policy_;
  std::optional<LanguageDetection> detection_;  // until it is sure
  int64_t next_window_ = 0;
  std::vector<int64_t> ready_;        // not taken yet; they may have to wait for their language
  std::map<int64_t, Entry> windows_;  // by number: not settled yet
  struct Open {                       // the last settled window: its end may still change
    std::vector<Segment> segments;
    double start;
    double end;
    bool waits;  // not final yet
  };
  Open open_ = {{}, 0, 0, false};
  double last_speech_ = 0;  // end of the last segment delivered
  Transcript transcript_;
};

}  // namespace parley::pipeline
