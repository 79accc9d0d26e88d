// Links every folder's code, and sees the library's error come through.
#include <iostream>

#include "base/error.h"
#include "pipeline/transcriber.h"
#include "pipeline/writers.h"

int main(int argc, char** argv) {
  try {
    parley::pipeline::Transcriber transcriber(parley::pipeline::SpeechModel::load("no model"));
    const auto transcript =
        transcriber.transcribe(parley::dsp::AudioReader::open(argc > 1 ? argv[1] : "no file"));
    std::cout << parley::pipeline::write_txt(transcript);
  } catch (const parley::Error& error) {
    std::cout << error.what() << "\n";
    return 0;
  }
  return 1;
}
