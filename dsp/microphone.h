// Sound from a microphone, as 16 kHz mono.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace parley::dsp {

struct MicrophoneDevice {
  int index = 0;       // for Microphone(name), beside its name
  std::string name;    // "pulse", "USB Audio: - (hw:1,0)"
  std::string system;  // "ALSA"
  double rate = 0;     // Hz, native
  bool is_default = false;
};
// What can be recorded from now. Throws Error when there is no sound system at all.
std::vector<MicrophoneDevice> microphones();

// Records from the moment when it is made, at the rate of the device, into a ring that holds 30 s:
// whoever is still loading a model, or busy, loses nothing. PortAudio's thread fills the ring
// without waiting for anything; one thread reads.
class Microphone {
 public:
  // name: an index or a part of a name of microphones(), of which the first that fits is taken;
  // empty: the default device. Returns when sound comes. Throws Error: no such device, or it cannot
  // be opened, or gives no sound for five seconds.
  explicit Microphone(const std::string& name = "");
  ~Microphone();
  Microphone(Microphone&&) noexcept;
  Microphone& operator=(Microphone&&) noexcept;

  const std::string& name() const;
  double rate() const;  // Hz, of the device

  // Appends what has been recorded since the last call to `out`, resampled; waits up to
  // `milliseconds` for something to come. Throws Error when the device is lost: it stopped, or gave
  // nothing for two seconds.
  void read(std::vector<float>& out, int milliseconds);
  // Samples (16 kHz) that found the ring full since the last call.
  int64_t take_overrun();

 private:
  struct Stream;
  std::unique_ptr<Stream> stream_;
};

// Single producer, single consumer, no locks: what PortAudio's thread may touch. When it is full
// what comes is counted and lost.
class SampleRing {
 public:
  explicit SampleRing(size_t capacity);
  void push(const float* samples, size_t count);  // producer
  size_t pop(std::span<float> out);               // consumer
  bool used() const;                              // samples have come
  uint64_t lost() const;                          // samples in all

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace parley::dsp
