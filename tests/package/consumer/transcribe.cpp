#include <iostream>

#include "parley/pipeline/stt/transcriber.h"

int main(int, char** argv) {
  using namespace parley;
  pipeline::Transcriber transcriber(pipeline::load_speech_model(argv[1]));
  const auto show = [](const pipeline::Segment& segment) {
    std::cout << segment.start << " to " << segment.end << " s:" << segment.text << std::endl;
  };
  transcriber.transcribe(dsp::AudioReader::open(argv[2]), {}, {.segment = show});  // as they finish
}
