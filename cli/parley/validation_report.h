// What `parley validate` found, for people and for programs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "parley/pipeline/evaluation/stage_tensors.h"
#include "parley/pipeline/evaluation/task_scores.h"

namespace parley::cli {

// A bound that the user stated, and what was measured.
struct Bound {
  std::string name;  // of the option, without its dashes: "max-error"
  double bound = 0;
  double measured = 0;

  // A bound that nothing finite is measured for is broken.
  bool is_kept() const { return name.starts_with("min-") ? measured >= bound : measured <= bound; }
};

struct Validation {
  std::string model;  // names
  std::string digest;
  std::string precision;
  std::string reference;  // a model or a file; empty: none
  std::vector<pipeline::TensorError> tensors;

  std::string manifest;
  std::string listener;  // model that heard the voice
  std::optional<pipeline::SpeechScore> speech, reference_speech;
  std::optional<pipeline::VoiceScore> voice, reference_voice;

  std::vector<Bound> bounds;
  bool is_good() const;
};

// Word errors of a score in percent.
double percent(const text::WordErrors& words);
// The word error rate above that of the reference, in points; nothing when one of them is missing.
std::optional<double> wer_delta(const Validation& validation);

std::string validation_table(const Validation& validation);
// One JSON object (docs/formats.md, "Validation").
std::string validation_json(const Validation& validation);

}  // namespace parley::cli
