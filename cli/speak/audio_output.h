// Where speech goes: audio files, standard output, the sound device.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace parley::cli {

// Samples in [-1, 1], mono, in order; commit() when all are there. Without it no file appears.
class AudioOutput {
 public:
  virtual ~AudioOutput() = default;
  // Throws Error (disk full), or ClosedPipe when nobody listens any more.
  virtual void write(std::span<const float> samples) = 0;
  virtual void commit() = 0;
};

// Throws UsageError unless the suffix names a format that can hold this rate; 0: any rate will do.
void check_audio_name(const std::filesystem::path& path, int sample_rate);
// The rate that a file of this name can hold and that is nearest above `sample_rate`: that itself,
// but for some of Opus and MP3.
int audio_file_rate(const std::filesystem::path& path, int sample_rate);

// .wav and .flac with 16 bits, .ogg (Vorbis), .opus, .mp3; written beside `path` and renamed at
// commit(), or directly when it is a pipe or a device. Throws Error.
std::unique_ptr<AudioOutput> open_audio_file(const std::filesystem::path& path, int sample_rate);
// s16le on standard output; with the header of a WAV file of unknown length before it, or bare.
std::unique_ptr<AudioOutput> open_standard_output(int sample_rate, bool header);
// The default sound device; commit() waits until all is heard. Throws Error when there is none.
std::unique_ptr<AudioOutput> open_sound_device(int sample_rate);

}  // namespace parley::cli
