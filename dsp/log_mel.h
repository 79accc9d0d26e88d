// Log-mel features as Whisper was trained on (Radford et al. 2022, §2.2; reference: openai/whisper
// audio.py).
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "parley/core/nn/tensor.h"
#include "parley/dsp/sample_store.h"

namespace parley::dsp {

struct LogMelConfig {
  int sample_rate = 16000;
  int n_fft = 400;  // samples of a frame, periodic Hann window
  int hop_length = 160;
  int n_mels = 80;  // 128 for large-v3
  float f_min = 0;  // Hz
  float f_max = 8000;
};

// Frame t is centred at sample t * hop_length of the clip. The clip is reflected before its start
// and followed by zeros: torch.stft(center=True) of the clip with at least 30 s of zeros appended.
// Const functions may run in several threads.
class LogMel {
 public:
  // Throws Error when the configuration makes no sense (from a stage.json).
  explicit LogMel(const LogMelConfig& config = {});
  ~LogMel();
  LogMel(LogMel&&) noexcept;
  LogMel& operator=(LogMel&&) noexcept;

  const LogMelConfig& config() const;

  // out [frames, n_mels] f32: log10(max(mel power, 1e-10)) of frames first_frame, first_frame + 1,
  // … of the clip. Frames beyond its end are silence (-10) and cost nothing. The value of a frame
  // does not depend on what else is asked for.
  void raw(std::span<const float> clip, int64_t first_frame, nn::Tensor out) const;

  // out [frames, n_mels] f32: the whole front end for one clip of at most frames * hop_length
  // samples, normalized by its own maximum. With 3000 frames: log_mel_spectrogram(clip,
  // padding=480000)[:, :3000] of openai/whisper, transposed.
  void window(std::span<const float> clip, nn::Tensor out) const;

  // Frames that see any sample of a clip: those from here on are silence.
  int64_t audible_frames(int64_t samples) const;

 private:
  friend class LogMelStream;
  struct Plan;
  std::unique_ptr<const Plan> plan_;
};

// The largest element of a raw log-mel [frames, n_mels]; -10, the floor, when it has none.
float maximum(nn::Tensor mel);
// In place: y = (max(y, maximum - 8) + 4) / 4.
void normalize(nn::Tensor mel, float maximum);

// The raw log-mel of a clip that arrives in blocks of any size: the very frames that LogMel::raw
// gives on the whole clip. Keeps only the samples that frames not yet taken need. `log_mel` must
// outlive it.
class LogMelStream {
 public:
  explicit LogMelStream(const LogMel& log_mel);

  void push(std::span<const float> samples);
  // The clip is complete: its samples / hop_length frames become available.
  void finish();

  int64_t available() const;   // frames that can be taken now
  void pop(nn::Tensor out);    // out [frames <= available(), n_mels]: the next frames
  int64_t next_frame() const;  // index of the first frame that pop() will deliver
  // The largest value of all frames taken; once finished and taken, also of the frames that see the
  // end of the clip: the file-wide maximum of openai/whisper's transcribe().
  float maximum() const;

 private:
  const LogMel& log_mel_;
  SampleStore samples_;
  int64_t next_frame_ = 0;
  float maximum_ = -10;
  bool finished_ = false;
};

}  // namespace parley::dsp
