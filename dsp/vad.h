// Where there is speech: a decision per frame, and the runs of speech and silence made of them.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>

namespace parley::dsp {

// Voice activity of 10 ms frames at 16 kHz: the Gaussian-mixture detector of WebRTC (VoiceDetection
// of webrtc-audio-processing). It adapts to the noise, so it is fed every frame of a stream once,
// from the start.
class WebrtcVad {
 public:
  static constexpr int kFrame = 160;  // samples

  // How readily a frame is called speech: kLow of webrtc's likelihoods rejects most, kHigh misses
  // least.
  enum class Sensitivity { kLow, kModerate, kHigh };

  explicit WebrtcVad(Sensitivity sensitivity = Sensitivity::kModerate);
  ~WebrtcVad();
  WebrtcVad(WebrtcVad&&) noexcept;
  WebrtcVad& operator=(WebrtcVad&&) noexcept;

  // Is the next frame speech? The samples are copied.
  bool process(std::span<const float, kFrame> frame);

 private:
  struct Detector;
  std::unique_ptr<Detector> detector_;
};

// A run of speech or of silence: it begins where the run before it ends.
struct SpeechRun {
  bool speech = false;
  int64_t end = 0;  // samples from the start of the stream
  bool operator==(const SpeechRun&) const = default;
};

// Chosen by measurement, with kModerate and the planner's padding of 0.4 s, on 595 files (commands,
// AN4, LibriSpeech; 2100 s), each between 5 s of silence: of the 10 ms frames within 25 dB of a
// file's loudest, 0.002 % were lost, never more than 20 ms of a file; with white noise at 15 dB
// 0.05 %. Of recorded room noise 35 % was taken for speech. With min_speech of 0.06 s up to twice
// as much noise is; 0.2 s cuts word onsets, and kLow loses quiet speakers.
struct SpeechDetectorOptions {
  double min_speech = 0.1;   // seconds: shorter bursts are not speech
  double min_silence = 0.2;  // seconds: shorter pauses are speech
};

// Frame decisions of any detector to runs. Causal: what a run is known to be lags behind the frames
// by at most max(min_speech, min_silence). Runs are not padded; the planner pads where it cuts.
class SpeechDetector {
 public:
  explicit SpeechDetector(int frame_samples, const SpeechDetectorOptions& options = {});

  void push(bool speech);              // the decision for the next frame
  void finish(int64_t total_samples);  // the stream ends here: within the last frame, or at its end
  std::optional<SpeechRun>
  next();  // the next run, or its continuation (same kind), as far as known
  int64_t taken() const { return taken_; }  // where that begins

 private:
  void emit(bool speech, int64_t end);
  int64_t known() const;  // end of what was emitted

  int64_t frame_;
  int64_t min_speech_;   // samples
  int64_t min_silence_;  // samples
  bool in_speech_ = false;
  int64_t position_ = 0;  // end of the frames seen
  int64_t turn_ =
      0;  // where the decisions began to contradict in_speech_; position_ while they agree
  int64_t taken_ = 0;  // end of the last run that next() returned
  std::deque<SpeechRun> runs_;
};

}  // namespace parley::dsp
