// One input of the windows strategy: from decoded windows to its transcript.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "parley/decoder/search.h"
#include "parley/decoder/word_alignment.h"
#include "parley/dsp/window_planner.h"
#include "parley/pipeline/stt/decode_policy.h"
#include "parley/pipeline/stt/speech_engine.h"
#include "parley/pipeline/stt/speech_model.h"
#include "parley/pipeline/stt/transcriber.h"
#include "parley/pipeline/stt/window_source.h"

namespace parley::pipeline {

// Takes windows as they are decoded, in any order; their text becomes final in order of time,
// joined where windows overlap. Speech that the detector found in a window and that none of its
// segments covers (the model ended its text early) is heard again by itself
// (pipeline/stt/unheard.h); a window is done when all its parts are, and what stays without text
// stands in `rejected`.
class WindowedTranscript {
 public:
  // The model, the options and the events outlive it; the policy is made of the first two.
  WindowedTranscript(const SpeechModel& model, const TranscribeOptions& options,
                     const TranscribeEvents& events, DecodePolicy policy);

  // Another window has been encoded; all of it is its first part. When the language is to be
  // detected it may have to wait for those after it.
  void add(Listener& listener, SourceWindow source,
           std::shared_ptr<const decoder::CrossState> cross);
  // Those that wait are not to wait any longer: no window follows, or a live listener waits too.
  void decide_language();
  // The numbers of windows' first parts that may be decoded now, each once, in order.
  std::vector<int64_t> take_ready();
  // What to decode for a part now.
  decoder::DecodeTask task(int64_t part) const;
  // The result of that. True: it is good, and the part is done; false: task() says what to try
  // next. Afterwards next_again() may have more to hear.
  bool take(Listener& listener, int64_t part, decoder::DecodeResult result);
  // Speech to encode and decode again: its log-mel, and its number for task() and take().
  struct Again {
    int64_t part;
    dsp::Span span;          // of the stream
    std::vector<float> mel;  // [3000, n_mels], normalized
  };
  std::optional<Again> next_again();
  void set_cross(int64_t part, std::shared_ptr<const decoder::CrossState> cross);
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
  struct HeardSegment {
    Segment segment;
    std::vector<decoder::AlignedWord> words = {};  // when asked for; times from the window's start
  };
  struct Entry {
    SourceWindow source;  // without its log-mel
    int parts = 0;        // in work
    std::vector<HeardSegment> heard = {};
    std::vector<Rejected> rejected = {};
  };
  struct Part {
    int64_t window;
    dsp::Span span;  // of the stream
    int depth = 0;   // 0: all of the window; above: how often that was heard before
    std::shared_ptr<const decoder::CrossState> cross = nullptr;
    int attempt = 0;
    bool prompted = true;
  };

  std::span<const int32_t> prompt_of(const Part& part) const;
  void take_text(Listener& listener, const Part& part, Entry& entry,
                 const decoder::DecodeResult& result);
  bool hear_again(const Part& part, Entry& entry, std::vector<dsp::Span> covered);
  void time_words(std::vector<Segment>& segments,
                  std::vector<std::vector<decoder::AlignedWord>> aligned, double start, double end);
  void reject(double start, double end, std::string text, std::string reason);

  const SpeechModel& model_;
  const TranscribeOptions& options_;
  const TranscribeEvents& events_;
  DecodePolicy policy_;
  std::optional<LanguageDetection> detection_;  // until it is sure
  int64_t next_window_ = 0;
  int64_t next_part_ = 0;
  std::vector<int64_t> waiting_;      // first parts that take_ready() has not told of
  std::map<int64_t, Entry> windows_;  // by number: not settled yet
  std::map<int64_t, Part> parts_;     // by number: in work
  std::deque<int64_t> again_;         // parts that next_again() has not told of
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
