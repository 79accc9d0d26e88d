// The two ways through a recording (docs/architecture.md). Each belongs to one call of a
// Transcriber.
#pragma once

#include "nn/context.h"
#include "pipeline/transcriber.h"

namespace parley::pipeline {

// Windows cut by a causal planner, decoded together, joined where they overlap.
void transcribe_windows(nn::Context& ctx, const SpeechModel& model, const NextInput& next,
                        const TranscribeOptions& options, const std::stop_token& stop,
                        Timings& timings);

// The published algorithm: each window starts where the last timestamp of the one before was.
// Reference: openai/whisper transcribe.py.
Transcript transcribe_sequential(nn::Context& ctx, const SpeechModel& model, dsp::AudioReader audio,
                                 const TranscribeOptions& options, const TranscribeEvents& events,
                                 Timings& timings);

}  // namespace parley::pipeline
