#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "parley/pipeline/evaluation/task_scores.h"
#include "parley/vocoder/griffin_lim.h"

namespace parley::pipeline {

namespace {

constexpr size_t kCepstra = 13;
constexpr float kFloor = 1e-5f;  // of magnitudes: below it there is nothing to hear
using Cepstrum = std::array<float, kCepstra>;

// The cepstra 1 to 13 of every frame: the cosine transform (type II, orthonormal) of natural
// logarithms of magnitudes.
std::vector<Cepstrum> cepstra_of(std::span<const float> samples, const stage::MelContract& mel) {
  const int64_t frames = static_cast<int64_t>(samples.size()) / mel.hop_length;
  const int64_t bands = mel.n_mels;
  std::vector<float> values(static_cast<size_t>(frames * bands));
  vocoder::GriffinLim(mel).analyze(samples.first(static_cast<size_t>(frames * mel.hop_length)),
                                   nn::Tensor(values.data(), {frames, bands}, nn::DType::kF32));
  const double to_natural =
      (mel.log == "ln" ? 1 : std::log(10.)) / (mel.spectrum == "power" ? 2 : 1);
  const auto floor = std::log(kFloor);
  std::vector<float> cosines(kCepstra * static_cast<size_t>(bands));
  for (size_t c = 0; c < kCepstra; ++c) {
    for (int64_t b = 0; b < bands; ++b) {
      const double angle = M_PI * static_cast<double>(c + 1) * (static_cast<double>(b) + 0.5) /
                           static_cast<double>(bands);
      cosines[c * static_cast<size_t>(bands) + static_cast<size_t>(b)] =
          static_cast<float>(std::sqrt(2. / static_cast<double>(bands)) * std::cos(angle));
    }
  }
  std::vector<Cepstrum> cepstra(static_cast<size_t>(frames));
  for (int64_t t = 0; t < frames; ++t) {
    const float* frame = values.data() + t * bands;
    for (size_t c = 0; c < kCepstra; ++c) {
      float sum = 0;
      for (int64_t b = 0; b < bands; ++b) {
        const float level = std::max(static_cast<float>(frame[b] * to_natural), floor);
        sum += level * cosines[c * static_cast<size_t>(bands) + static_cast<size_t>(b)];
      }
      cepstra[static_cast<size_t>(t)][c] = sum;
    }
  }
  return cepstra;
}

float distance(const Cepstrum& a, const Cepstrum& b) {
  float squares = 0;
  for (size_t c = 0; c < kCepstra; ++c) squares += (a[c] - b[c]) * (a[c] - b[c]);
  return std::sqrt(squares);
}

// The cheapest way to a pair of frames, and how many pairs it has.
struct Way {
  double cost = std::numeric_limits<double>::infinity();
  int64_t pairs = 0;
};

}  // namespace

double mel_cepstral_distortion(std::span<const float> actual, std::span<const float> expected,
                               const stage::MelContract& mel) {
  const std::vector<Cepstrum> a = cepstra_of(actual, mel);
  const std::vector<Cepstrum> e = cepstra_of(expected, mel);
  if (a.empty() || e.empty()) return std::numeric_limits<double>::infinity();
  std::vector<Way> row(e.size() + 1);  // row[j + 1]: pairs of the frame of a before and e[j]
  row[0].cost = 0;
  for (const Cepstrum& frame : a) {
    Way diagonal = std::exchange(row[0], Way());
    Way left;
    for (size_t j = 0; j < e.size(); ++j) {
      const Way before = std::min({diagonal, row[j + 1], left},
                                  [](const Way& x, const Way& y) { return x.cost < y.cost; });
      diagonal = row[j + 1];
      left = {before.cost + distance(frame, e[j]), before.pairs + 1};
      row[j + 1] = left;
    }
  }
  const Way& whole = row.back();
  return 10 * std::sqrt(2.) / std::log(10.) * whole.cost / static_cast<double>(whole.pairs);
}

}  // namespace parley::pipeline
