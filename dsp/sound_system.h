// PortAudio, started and ended quietly. Internal to dsp/ and the programs.
#pragma once

namespace parley::dsp {

// While it lives, standard error leads nowhere: ALSA prints what it thinks of every device that it
// does not find, and users should see one clear error instead. For one thread of a program.
class QuietStandardError {
 public:
  QuietStandardError();
  ~QuietStandardError();
  QuietStandardError(const QuietStandardError&) = delete;
  QuietStandardError& operator=(const QuietStandardError&) = delete;

 private:
  int saved_ = -1;
};

// Devices are those that were there when the first of the living SoundSystems began.
class SoundSystem {
 public:
  SoundSystem();  // throws Error
  ~SoundSystem();
  SoundSystem(const SoundSystem&) = delete;
  SoundSystem& operator=(const SoundSystem&) = delete;
};

}  // namespace parley::dsp
