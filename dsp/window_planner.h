// Cuts a stream into the windows that are transcribed: at most 30 s, at silences where there are
// any.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>

namespace parley::dsp {

// Why a window ends where it does.
enum class WindowEnd {
  kEndpoint,    // a silence of endpoint_silence followed
  kSilence,     // 30 s were reached: the middle of the longest silence of the last 10 s
  kFull,        // 30 s were reached without such a silence
  kEndOfInput,  // the stream ended
};
// "endpoint", "silence", "full", "end_of_input".
std::string_view name_of(WindowEnd end);

// Samples [start, end) of the stream.
struct Span {
  int64_t start = 0;
  int64_t end = 0;
  bool operator==(const Span&) const = default;
};

// What is decoded at once, and why it ends.
struct Window {
  int64_t start = 0;
  int64_t end = 0;
  bool overlaps_previous =
      false;  // starts before the previous window ends: the stitcher joins the two
  WindowEnd reason = WindowEnd::kEndOfInput;
  bool operator==(const Window&) const = default;
};

struct PlannerOptions {
  double endpoint_silence = 3;  // seconds; 0.5 live
  double padding = 0.4;         // seconds of silence kept before and after the speech of a window
};

// The rules (DESIGN §5), all in stream time, so that the sizes in which audio arrives change
// nothing:
//   A window opens `padding` before speech, but not before the previous window's end.
//   A silence of endpoint_silence ends it, `padding` after the speech.
//   When the stream goes on after 30 s of window, the window ends at the middle of the longest
//   silence within its last 10 s if that lasts 0.3 s; the next opens where speech goes on.
//   Otherwise it ends at 30 s, and if speech goes on within 0.3 s, the next starts 5 s earlier.
// The decision about a window uses nothing that comes after its 30 s. Windows and skipped spans
// tile the stream, apart from overlaps. Constant memory as long as results are taken.
class WindowPlanner {
 public:
  static constexpr int64_t kMaxWindow = 480000;  // samples: 30 s, what the encoder sees

  // Throws Error when an option is negative or not finite.
  explicit WindowPlanner(const PlannerOptions& options = {});

  // The stream is speech or silence from the end of the previous call (0 at first) to `end`.
  void advance(bool speech, int64_t end);
  // The stream, or what is to be one utterance of it, is complete: ends where the last advance()
  // did.
  void finish();

  std::optional<Window> next_window();  // windows in order of start and of end
  std::optional<Span> next_skipped();  // what no window covers because there is no speech, in order

  // Start of the window that is open now, for partial results.
  std::optional<int64_t> open_window() const;
  // The last window was cut in speech, which may still go on in a window that overlaps it.
  bool next_may_overlap() const;
  // No window that is still to come starts before this sample: older audio may be forgotten once
  // the windows already returned are done.
  int64_t needed_from() const;

 private:
  struct Silence {
    int64_t start = 0;
    int64_t end = 0;
    int64_t length() const { return end - start; }
  };

  void hear_speech(int64_t end);
  void hear_silence(int64_t end);
  void consider(Silence silence);
  void open_at_speech();
  void open(int64_t start, bool overlaps);
  void close(int64_t end, WindowEnd reason);
  void close_full();
  void skip_to(int64_t start);
  int64_t limit() const { return window_.start + kMaxWindow; }  // of the open window

  int64_t endpoint_silence_;  // samples
  int64_t padding_;           // samples
  int64_t position_ = 0;      // end of what was heard
  int64_t covered_ = 0;       // end of the last window or skipped span
  int64_t speech_end_ = 0;    // end of the last speech heard; position_ while in speech
  bool open_ = false;
  Window window_;              // while open_
  Silence longest_;            // of the open window, within its last 10 s
  bool overlap_next_ = false;  // the last window was cut in speech
  std::deque<Window> windows_;
  std::deque<Span> skipped_;
};

}  // namespace parley::dsp
