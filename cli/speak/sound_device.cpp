#include <portaudio.h>

#include "parley/cli/speak/audio_output.h"
#include "parley/core/base/error.h"
#include "parley/dsp/sound_system.h"

namespace parley::cli {

namespace {

class SoundDevice : public AudioOutput {
 public:
  explicit SoundDevice(int rate) {
    const dsp::QuietStandardError quiet;
    check(Pa_Initialize());
    initialized_ = true;
    PaError error = Pa_GetDefaultOutputDevice() == paNoDevice ? paDeviceUnavailable : paNoError;
    if (error == paNoError) {
      error = Pa_OpenDefaultStream(&stream_, 0, 1, paFloat32, rate, paFramesPerBufferUnspecified,
                                   nullptr, nullptr);
    }
    if (error == paNoError) error = Pa_StartStream(stream_);
    if (error == paNoError) return;
    close();
    check(error);
  }
  ~SoundDevice() override {
    if (stream_ != nullptr) Pa_AbortStream(stream_);
    close();
  }

  void write(std::span<const float> samples) override {
    const PaError error = Pa_WriteStream(stream_, samples.data(), samples.size());
    if (error != paOutputUnderflowed) check(error);  // an underflow is a gap, no failure
  }
  void commit() override { check(Pa_StopStream(stream_)); }

 private:
  static void check(PaError error) {
    if (error == paNoError) return;
    throw Error("sound device", Pa_GetErrorText(error), "write to a file with -o FILE");
  }
  void close() {
    const dsp::QuietStandardError quiet;
    if (stream_ != nullptr) Pa_CloseStream(stream_);
    stream_ = nullptr;
    if (initialized_) Pa_Terminate();
    initialized_ = false;
  }

  PaStream* stream_ = nullptr;
  bool initialized_ = false;
};

}  // namespace

std::unique_ptr<AudioOutput> open_sound_device(int sample_rate) {
  return std::make_unique<SoundDevice>(sample_rate);
}

}  // namespace parley::cli
