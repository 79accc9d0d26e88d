#include "parley/dsp/log_mel.h"

#include <fftw3.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <numbers>
#include <string>
#include <vector>

#include "parley/core/base/error.h"
#include "parley/dsp/mel_filters.h"
#include "parley/dsp/stft.h"

namespace parley::dsp {

namespace {

constexpr float kFloor = -10;  // log10 of the smallest power that counts

void check(const LogMelConfig& config) {
  const bool sane = config.sample_rate >= 1000 && config.sample_rate <= 768000 &&
                    config.n_fft >= 2 && config.n_fft <= 65536 && config.n_fft % 2 == 0 &&
                    config.hop_length >= 1 && config.hop_length <= config.n_fft &&
                    config.n_mels >= 1 && config.n_mels <= 1024 && config.f_min >= 0 &&
                    config.f_max > config.f_min &&
                    2 * config.f_max <= static_cast<float>(config.sample_rate);
  if (!sane) {
    throw Error("log-mel", "cannot make " + std::to_string(config.n_mels) + " mels of " +
                               std::to_string(config.f_min) + " to " +
                               std::to_string(config.f_max) + " Hz with n_fft " +
                               std::to_string(config.n_fft) + ", hop " +
                               std::to_string(config.hop_length) + " at " +
                               std::to_string(config.sample_rate) + " Hz");
  }
}

// The part [first, first + samples.size()) of a clip that is followed by zeros.
struct ClipPart {
  std::span<const float> samples;
  int64_t first = 0;
};

// Samples [start, start + out.size()) of the clip, reflected before its start.
void copy_frame(const ClipPart& clip, int64_t start, std::span<float> out) {
  const auto held = static_cast<int64_t>(clip.samples.size());
  const int64_t count = static_cast<int64_t>(out.size());
  int64_t i = 0;
  for (; i < count && start + i < 0; ++i) {
    const int64_t at = -(start + i) - clip.first;
    out[static_cast<size_t>(i)] = at < held ? clip.samples[static_cast<size_t>(at)] : 0;
  }
  const int64_t at = start + i - clip.first;
  const int64_t copied = std::clamp<int64_t>(held - at, 0, count - i);
  std::copy_n(clip.samples.data() + std::min(at, held), copied, out.data() + i);
  std::fill(out.begin() + i + copied, out.end(), 0.0f);
}

}  // namespace

struct LogMel::Plan {
  explicit Plan(const LogMelConfig& wanted) : config(wanted) {
    check(config);
    for (int i = 0; i < config.n_fft; ++i) {
      window.push_back(
          static_cast<float>(0.5 - 0.5 * std::cos(2 * std::numbers::pi * i / config.n_fft)));
    }
    filters = mel_filters({.sample_rate = config.sample_rate,
                           .n_fft = config.n_fft,
                           .n_mels = config.n_mels,
                           .f_min = config.f_min,
                           .f_max = config.f_max});
    Scratch scratch(config.n_fft);
    const std::lock_guard lock(fftw_planner_mutex());
    fft = fftwf_plan_dft_r2c_1d(config.n_fft, scratch.frame, scratch.spectrum, FFTW_ESTIMATE);
    if (fft == nullptr)
      throw Error("log-mel", "FFTW has no plan for n_fft " + std::to_string(config.n_fft));
  }
  ~Plan() {
    const std::lock_guard lock(fftw_planner_mutex());
    fftwf_destroy_plan(fft);
  }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  // Working memory of one call, aligned as FFTW's plan expects it.
  struct Scratch {
    explicit Scratch(int n_fft)
        : frame_memory(static_cast<size_t>(n_fft) * sizeof(float)),
          spectrum_memory(static_cast<size_t>(n_fft / 2 + 1) * sizeof(fftwf_complex)),
          power(static_cast<size_t>(n_fft / 2 + 1)) {}
    nn::Buffer frame_memory, spectrum_memory;
    std::vector<float> power;
    float* frame = frame_memory.as<float>();
    fftwf_complex* spectrum = spectrum_memory.as<fftwf_complex>();
  };

  // Row i of out [frames, n_mels] is frame first_frame + i.
  void run(const ClipPart& clip, int64_t first_frame, nn::Tensor out) const {
    Scratch scratch(config.n_fft);
    for (int64_t i = 0; i < out.rows(); ++i) run_frame(clip, first_frame + i, scratch, out.row(i));
  }

  void run_frame(const ClipPart& clip, int64_t index, Scratch& scratch, float* out) const {
    const auto n_fft = static_cast<size_t>(config.n_fft);
    copy_frame(clip, index * config.hop_length - config.n_fft / 2, {scratch.frame, n_fft});
    for (size_t i = 0; i < n_fft; ++i) scratch.frame[i] *= window[i];
    fftwf_execute_dft_r2c(fft, scratch.frame, scratch.spectrum);
    for (size_t bin = 0; bin < scratch.power.size(); ++bin) {
      const float re = scratch.spectrum[bin][0], im = scratch.spectrum[bin][1];
      scratch.power[bin] = re * re + im * im;
    }
    for (const MelFilter& filter : filters) {
      const float* power = scratch.power.data() + filter.first_bin;
      float sum = 0;
      for (size_t i = 0; i < filter.weights.size(); ++i) sum += filter.weights[i] * power[i];
      *out++ = std::log10(std::max(sum, 1e-10f));
    }
  }

  LogMelConfig config;
  std::vector<float> window;
  std::vector<MelFilter> filters;
  fftwf_plan fft = nullptr;
};

LogMel::LogMel(const LogMelConfig& config) : plan_(std::make_unique<Plan>(config)) {}
LogMel::~LogMel() = default;
LogMel::LogMel(LogMel&&) noexcept = default;
LogMel& LogMel::operator=(LogMel&&) noexcept = default;

const LogMelConfig& LogMel::config() const { return plan_->config; }

int64_t LogMel::audible_frames(int64_t samples) const {
  const int64_t hop = plan_->config.hop_length;
  return samples <= 0 ? 0 : (samples + plan_->config.n_fft / 2 + hop - 1) / hop;
}

void LogMel::raw(std::span<const float> clip, int64_t first_frame, nn::Tensor out) const {
  const int64_t audible = audible_frames(static_cast<int64_t>(clip.size()));
  const int64_t heard = std::clamp<int64_t>(audible - first_frame, 0, out.rows());
  plan_->run({clip, 0}, first_frame, out.slice_rows(0, heard));
  for (int64_t i = heard; i < out.rows(); ++i) std::fill_n(out.row(i), out.cols(), kFloor);
}

void LogMel::window(std::span<const float> clip, nn::Tensor out) const {
  raw(clip, 0, out);
  float loudest = dsp::maximum(out);
  // The reference's maximum also sees the frames that begin behind the window and reach back into
  // it.
  const int64_t beyond = audible_frames(static_cast<int64_t>(clip.size())) - out.rows();
  if (beyond > 0) {
    nn::Buffer memory(static_cast<size_t>(beyond * out.cols()) * sizeof(float));
    const nn::Tensor rest(memory.data(), {beyond, out.cols()}, nn::DType::kF32);
    raw(clip, out.rows(), rest);
    loudest = std::max(loudest, dsp::maximum(rest));
  }
  normalize(out, loudest);
}

float maximum(nn::Tensor mel) {
  float largest = kFloor;
  for (int64_t i = 0; i < mel.rows(); ++i) {
    const float* row = mel.row(i);
    largest = std::max(largest, *std::max_element(row, row + mel.cols()));
  }
  return largest;
}

void normalize(nn::Tensor mel, float maximum) {
  const float least = maximum - 8;
  for (int64_t i = 0; i < mel.rows(); ++i) {
    float* row = mel.row(i);
    for (int64_t k = 0; k < mel.cols(); ++k) row[k] = (std::max(row[k], least) + 4) / 4;
  }
}

LogMelStream::LogMelStream(const LogMel& log_mel) : log_mel_(log_mel) {}

void LogMelStream::push(std::span<const float> samples) { samples_.push(samples); }

void LogMelStream::finish() {
  finished_ = true;
  // Frames that the reference computes in the zeros behind the clip, and that still hear its end.
  const LogMelConfig& config = log_mel_.config();
  const int64_t frames = samples_.end() / config.hop_length;
  const int64_t beyond = log_mel_.audible_frames(samples_.end()) - frames;
  if (beyond <= 0) return;
  nn::Buffer memory(static_cast<size_t>(beyond * config.n_mels) * sizeof(float));
  const nn::Tensor rest(memory.data(), {beyond, config.n_mels}, nn::DType::kF32);
  log_mel_.plan_->run({samples_.view(samples_.begin(), samples_.end()), samples_.begin()}, frames,
                      rest);
  maximum_ = std::max(maximum_, dsp::maximum(rest));
}

int64_t LogMelStream::available() const {
  const int64_t hop = log_mel_.config().hop_length, half = log_mel_.config().n_fft / 2;
  const int64_t total = samples_.end();
  if (finished_) return total / hop - next_frame_;
  // Frame 0 reflects the samples up to `half`; frame t needs those before t * hop + half.
  return total <= half ? 0 : (total - half) / hop + 1 - next_frame_;
}

void LogMelStream::pop(nn::Tensor out) {
  if (out.rows() > available()) {
    throw Error("log-mel stream", "has " + std::to_string(available()) + " frames, not " +
                                      std::to_string(out.rows()));
  }
  log_mel_.plan_->run({samples_.view(samples_.begin(), samples_.end()), samples_.begin()},
                      next_frame_, out);
  maximum_ = std::max(maximum_, dsp::maximum(out));
  next_frame_ += out.rows();
  const LogMelConfig& config = log_mel_.config();
  samples_.discard_before(next_frame_ * config.hop_length - config.n_fft / 2);
}

int64_t LogMelStream::next_frame() const { return next_frame_; }
float LogMelStream::maximum() const { return maximum_; }

}  // namespace parley::dsp
