// Triangular filters on a mel scale, from the bins of a spectrum to bands.
#pragma once

#include <vector>

namespace parley::dsp {

struct MelFilterConfig {
  int sample_rate = 16000;
  int n_fft = 400;
  int n_mels = 80;
  double f_min = 0;  // Hz
  double f_max = 8000;
  bool htk = false;       // the scale: HTK's, else Slaney's: linear below 1 kHz, then logarithmic
  bool area_norm = true;  // Slaney's: every triangle has area 1 in Hz; else height 1
};

// One band: weights of adjacent bins.
struct MelFilter {
  int first_bin = 0;
  std::vector<float> weights;
};

// Triangles between neighbouring points that are equally far apart in mel. Reference: librosa
// filters.py, mel().
std::vector<MelFilter> mel_filters(const MelFilterConfig& config);

}  // namespace parley::dsp
