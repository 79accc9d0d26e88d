// The two ways through a recording (docs/architecture.md). Each belongs to one call of a
// Transcriber.
#pragma once

#include "parley/pipeline/stt/speech_engine.h"
#include "parley/pipeline/stt/transcriber.h"

namespace parley::pipeline {

// Windows cut by a causal planner, decoded together, joined where they overlap.
void transcribe_windows(SpeechEngine& engine, const NextInput& next,
                        const TranscribeOptions& options, const std::stop_token& stop,
                        Timings& timings);

// The published algorithm: each window starts where the last timestamp of the one before was.
// Reference: openai/whisper transcribe.py.
Transcript transcribe_sequential(SpeechEngine& engine, dsp::AudioReader audio,
                                 const TranscribeOptions& options, const TranscribeEvents& events,
                                 const std::stop_token& stop, Timings& timings);

}  // namespace parley::pipeline
