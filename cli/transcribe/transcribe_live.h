// `transcribe --live` and `--mic`.
#pragma once

#include <functional>
#include <memory>

#include "parley/cli/interrupt_watch.h"
#include "parley/cli/transcribe/transcribe_options.h"
#include "parley/pipeline/stt/speech_model.h"

namespace parley::cli {

// The microphones that there are, on standard output. Returns the exit code.
int list_microphones();

// Hears the input or the microphone until its end, or an interrupt, and prints what it hears.
// load: the model; called after the microphone was opened, so that nothing is missed meanwhile.
// Returns the exit code: kInterrupted after an interrupt, when the final text is printed. Throws
// Error when the input cannot be read.
int transcribe_live(const TranscribeArguments& arguments, InterruptWatch& watch,
                    const std::function<std::shared_ptr<const pipeline::SpeechModel>()>& load);

}  // namespace parley::cli
