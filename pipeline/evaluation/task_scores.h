// How well a model does its task on a list of recordings or texts.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "parley/core/model/mel_contract.h"
#include "parley/pipeline/stt/transcriber.h"
#include "parley/pipeline/tts/synthesizer.h"
#include "parley/text/scoring/word_error_rate.h"

namespace parley::pipeline {

// A line of a manifest.
struct ManifestRow {
  std::filesystem::path recording;
  std::string transcript;
};

// A manifest.tsv: a header, then a line for each recording; columns "relative_path" (from the
// manifest's folder, inside it) and "transcript", others are ignored. Rows without a transcript are
// left out. limit: at most so many rows, evenly spread over the list; 0: all. Throws Error.
std::vector<ManifestRow> read_manifest(const std::filesystem::path& path, size_t limit = 0);

// How many of the rows are done.
using ScoreProgress = std::function<void(size_t done, size_t total)>;

struct SpeechScore {
  text::WordErrors words;  // after Whisper's normalizer (English, or any language)
  int64_t recordings = 0;
  double audio_seconds = 0;
  double wall_seconds = 0;

  double real_time_factor() const { return audio_seconds > 0 ? wall_seconds / audio_seconds : 0; }
};

// options.language: that of the transcripts. Throws Error (a recording that cannot be read) or
// Stopped.
SpeechScore score_speech(Transcriber& transcriber, std::span<const ManifestRow> rows,
                         const TranscribeOptions& options, const std::stop_token& stop = {},
                         const ScoreProgress& progress = {});

struct VoiceScore {
  std::optional<text::WordErrors> words;  // of what a transcriber hears
  int64_t sentences = 0;
  double audio_seconds = 0;
  double wall_seconds = 0;
  // Beside a reference, means over the sentences:
  std::optional<double> cepstral_distortion;  // dB, of the speech
  std::optional<double> signal_to_noise;      // dB, of a vocoder given the reference's frames

  double real_time_factor() const { return audio_seconds > 0 ? wall_seconds / audio_seconds : 0; }
};

struct VoiceScoring {
  Transcriber* listener = nullptr;  // hears what is spoken, or null
  TranscribeOptions listening = {};
  // Who the voice is compared with, or null: their mel must be the same. It is scored on the way.
  Synthesizer* reference = nullptr;
  uint64_t seed = 0;
};

struct VoiceScores {
  VoiceScore voice;
  std::optional<VoiceScore> reference;
};

// Every transcript is spoken. Throws Error or Stopped.
VoiceScores score_voice(Synthesizer& voice, std::span<const ManifestRow> rows,
                        const VoiceScoring& scoring, const std::stop_token& stop = {},
                        const ScoreProgress& progress = {});

// Mel-cepstral distortion in dB of two signals at the rate of `mel`: 10 sqrt(2) / ln 10 times the
// distance of 13 cepstra (the mean of the frame left out), over the frames of the cheapest
// alignment by dynamic time warping. Reference: Kubichek 1993; Battenberg et al. 2020, §4 (MCD-DTW
// with 13 of the coefficients of 80 log-mel bands). Infinite when one of them is empty.
double mel_cepstral_distortion(std::span<const float> actual, std::span<const float> expected,
                               const stage::MelContract& mel);

}  // namespace parley::pipeline
