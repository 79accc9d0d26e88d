// The computing thread that Transcribers, LiveSessions and Synthesizers may share.
#pragma once

#include <memory>

namespace parley::pipeline {

class Engine;  // pipeline/engine.h

// threads: of the computing team; 0: all processors.
std::shared_ptr<Engine> start_engine(int threads = 0);

}  // namespace parley::pipeline
