// The stages of a model, run one by one on given inputs.
#pragma once

#include <stop_token>

#include "parley/core/model/model.h"
#include "parley/core/nn/weight.h"
#include "parley/pipeline/evaluation/stage_tensors.h"

namespace parley::pipeline {

struct StageRunOptions {
  nn::Precision precision = nn::Precision::kAuto;
  int threads = 0;      // 0: all processors
  bool layers = false;  // what every layer leaves, too
  std::stop_token stop = {};
};

// Runs every stage of a speech-to-text, text-to-speech or voice detection model that computes
// something. A stage takes each of its inputs from `given`, also where an earlier stage makes it:
// given what a reference made, its stages are judged one by one, not by the errors of those before
// them. What is not given comes from the stage before, or is made up, always the same: noise, a
// sentence, the likeliest tokens, seeded dropout.
//
// Returns the inputs that were used, and the outputs. Throws Error (a given tensor does not fit the
// model, the model has nothing to run) or Stopped.
StageTensors run_stages(const stage::Model& model, const StageTensors& given,
                        const StageRunOptions& options = {});

}  // namespace parley::pipeline
