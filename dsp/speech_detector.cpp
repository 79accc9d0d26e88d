#include <cmath>

#include "parley/core/base/error.h"
#include "parley/dsp/audio_reader.h"
#include "parley/dsp/vad.h"

namespace parley::dsp {

namespace {

int64_t to_samples(double seconds) {
  if (!(seconds >= 0 && seconds <= 3600)) {
    throw Error("speech detector", "cannot use " + std::to_string(seconds) + " s",
                "give 0 to 3600");
  }
  return std::llround(seconds * kSampleRate);
}

}  // namespace

SpeechDetector::SpeechDetector(int frame_samples, const SpeechDetectorOptions& options)
    : frame_(frame_samples),
      min_speech_(to_samples(options.min_speech)),
      min_silence_(to_samples(options.min_silence)) {
  if (frame_samples < 1) throw Error("speech detector", "frames have no samples");
}

void SpeechDetector::push(bool speech) {
  position_ += frame_;
  if (speech != in_speech_) {
    if (position_ - turn_ < (in_speech_ ? min_silence_ : min_speech_)) return;  // not known yet
    in_speech_ = speech;
  }
  turn_ = position_;
  emit(in_speech_, position_);
}

void SpeechDetector::finish(int64_t total_samples) {
  // A burst that the end cuts short may have been speech; a pause that it cuts short was too short
  // to be one.
  emit(in_speech_ || turn_ < position_, total_samples);
  // The last frame may reach beyond the end.
  while (known() > total_samples && !runs_.empty()) {
    const SpeechRun last = runs_.back();
    runs_.pop_back();
    emit(last.speech, total_samples);  // unless it begins beyond the end
  }
}

std::optional<SpeechRun> SpeechDetector::next() {
  if (runs_.empty()) return std::nullopt;
  const SpeechRun run = runs_.front();
  runs_.pop_front();
  taken_ = run.end;
  return run;
}

int64_t SpeechDetector::known() const { return runs_.empty() ? taken_ : runs_.back().end; }

void SpeechDetector::emit(bool speech, int64_t end) {
  if (end <= known()) return;
  if (!runs_.empty() && runs_.back().speech == speech) {
    runs_.back().end = end;
  } else {
    runs_.push_back({speech, end});
  }
}

}  // namespace parley::dsp
