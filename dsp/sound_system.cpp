#include "parley/dsp/sound_system.h"

#include <fcntl.h>
#include <portaudio.h>
#include <unistd.h>

#include <cstdio>

#include "parley/core/base/error.h"

namespace parley::dsp {

QuietStandardError::QuietStandardError() {
  std::fflush(stderr);
  saved_ = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
  const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (nowhere < 0) return;
  ::dup2(nowhere, STDERR_FILENO);
  ::close(nowhere);
}

QuietStandardError::~QuietStandardError() {
  std::fflush(stderr);
  if (saved_ < 0) return;
  ::dup2(saved_, STDERR_FILENO);
  ::close(saved_);
}

SoundSystem::SoundSystem() {
  const QuietStandardError quiet;
  const PaError error = Pa_Initialize();
  if (error != paNoError) throw Error("sound system", Pa_GetErrorText(error));
}

SoundSystem::~SoundSystem() {
  const QuietStandardError quiet;
  Pa_Terminate();
}

}  // namespace parley::dsp
