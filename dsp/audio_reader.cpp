#include "parley/dsp/audio_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "parley/core/base/error.h"
#include "parley/dsp/audio_source.h"
#include "parley/dsp/resampler.h"

namespace parley::dsp {

namespace {

constexpr size_t kBlock = 4096;  // source frames read at a time

constexpr double kLongest = 1e7;  // seconds, 115 days: a header that promises more lies

// A WAV is decoded by libsndfile, even as it arrives; the rest by libav, which goes on behind
// damage, and what libav does not know by libsndfile again.
std::unique_ptr<AudioSource> open_source(const std::shared_ptr<ByteInput>& input,
                                         const std::optional<RawFormat>& raw,
                                         const AudioOptions& options) {
  if (raw) {
    if (auto source = open_sndfile(input, raw, options)) return source;
    throw Error(input->name(), "cannot be read as headerless samples");
  }
  const std::string_view magic = input->head(12);
  if (magic.empty()) throw Error(input->name(), "is empty: has no audio");
  const bool is_wav =
      magic.size() == 12 && magic.substr(0, 4) == "RIFF" && magic.substr(8) == "WAVE";
  if (input->is_stream() && !is_wav) input->spool();
  if (is_wav) {
    if (auto source = open_sndfile(input, raw, options)) return source;
    if (input->is_stream()) input->spool();
  }
  try {
    return open_libav(input, options);
  } catch (const Error&) {
    if (auto source = open_sndfile(input, raw, options)) return source;
    throw;
  }
}

int64_t to_samples(double seconds) {
  // A stream of 2^53 samples is longer than anyone waits; more seconds than that mean "all".
  return std::llround(std::min(seconds * kSampleRate, 9007199254740992.0));
}

}  // namespace

struct AudioReader::State {
  State(std::shared_ptr<ByteInput> input, const std::optional<RawFormat>& raw,
        const AudioOptions& options)
      : name(input->name()), source(open_source(input, raw, options)) {
    if (source->duration() == 0) throw Error(name, "has no audio");
  }

  // Samples at 16 kHz, without the limits.
  size_t read(std::span<float> out) {
    size_t done = 0;
    while (done < out.size()) {
      if (taken == converted.size() && !convert(out.size() - done)) break;
      const size_t count = std::min(out.size() - done, converted.size() - taken);
      std::copy_n(converted.data() + taken, count, out.data() + done);
      taken += count;
      done += count;
    }
    return done;
  }

  // The next samples into `converted`, about as many as wanted; false at the end.
  bool convert(size_t wanted) {
    converted.clear();
    taken = 0;
    if (ended) return false;
    const size_t more = resampler ? 1 : 0;
    const size_t frames = wanted * static_cast<size_t>(std::max(rate, 1)) / kSampleRate + more;
    block.resize(std::clamp<size_t>(frames, 1, kBlock));
    const std::span<const float> sound = std::span(block).first(source->read(block));
    ended = sound.empty();
    if (ended || source->rate() != rate) change_rate(ended ? kSampleRate : source->rate());
    if (resampler) {
      resampler->convert(sound, converted);
    } else {
      converted.insert(converted.end(), sound.begin(), sound.end());
    }
    return !converted.empty() || !ended;
  }

  // What came at the old rate is complete.
  void change_rate(int next) {
    if (resampler) resampler->finish(converted);
    resampler.reset();
    rate = next;
    if (rate != kSampleRate) resampler = std::make_unique<Resampler>(rate, kSampleRate);
  }

  void skip(int64_t count) {
    std::vector<float> scratch(kBlock);
    while (count > 0) {
      const size_t want = static_cast<size_t>(std::min<int64_t>(count, kBlock));
      const size_t got = read(std::span(scratch).first(want));
      count = got < want ? 0 : count - static_cast<int64_t>(got);
    }
  }

  std::string name;
  std::unique_ptr<AudioSource> source;
  int rate = kSampleRate;                // of what came last
  std::unique_ptr<Resampler> resampler;  // unless that is our rate
  std::vector<float> block;
  std::vector<float> converted;
  size_t taken = 0;  // of converted
  bool ended = false;
  int64_t offset = 0;  // samples still to skip
  double offset_seconds = 0;
  int64_t remaining = std::numeric_limits<int64_t>::max();
  int64_t delivered = 0;
};

AudioReader::AudioReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
AudioReader::~AudioReader() = default;
AudioReader::AudioReader(AudioReader&&) noexcept = default;
AudioReader& AudioReader::operator=(AudioReader&&) noexcept = default;

AudioReader AudioReader::open(const std::filesystem::path& path, const AudioOptions& options) {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0 && S_ISCHR(status.st_mode)) {
    throw Error(path.string(), "is a device", "read it through a pipe, with - as the input");
  }
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    const bool missing = errno == ENOENT;
    throw Error(path.string(), missing ? "there is no such file"
                                       : std::string("cannot open: ") + std::strerror(errno));
  }
  return AudioReader(std::make_unique<State>(
      std::make_shared<ByteInput>(descriptor, true, path.string()), std::nullopt, options));
}

AudioReader AudioReader::standard_input(const std::optional<RawFormat>& raw,
                                        const AudioOptions& options) {
  if (::isatty(STDIN_FILENO) != 0) {
    throw Error("standard input", "is a terminal", "pipe audio into the program or name a file");
  }
  return from_descriptor(STDIN_FILENO, "standard input", raw, options);
}

AudioReader AudioReader::from_descriptor(int descriptor, const std::string& name,
                                         const std::optional<RawFormat>& raw,
                                         const AudioOptions& options) {
  return AudioReader(
      std::make_unique<State>(std::make_shared<ByteInput>(descriptor, false, name), raw, options));
}

void AudioReader::limit(double offset_seconds, double duration_seconds) {
  if (!std::isfinite(offset_seconds) || offset_seconds < 0 || std::isnan(duration_seconds)) {
    throw Error(state_->name,
                "cannot be read from " + std::to_string(offset_seconds) + " s for " +
                    std::to_string(duration_seconds) + " s",
                "give times of 0 or more");
  }
  state_->offset = to_samples(offset_seconds);
  state_->offset_seconds = offset_seconds;
  if (duration_seconds >= 0) state_->remaining = to_samples(duration_seconds);
}

size_t AudioReader::read(std::span<float> out) {
  State& state = *state_;
  if (state.remaining < static_cast<int64_t>(out.size()))
    out = out.first(static_cast<size_t>(state.remaining));
  if (out.empty()) return 0;
  if (state.offset > 0) state.skip(std::exchange(state.offset, 0));
  const size_t got = state.read(out);
  state.remaining -= static_cast<int64_t>(got);
  state.delivered += static_cast<int64_t>(got);
  return got;
}

double AudioReader::duration_hint() const {
  const State& state = *state_;
  const double all = state.source->duration();
  if (all < 0 || all > kLongest) return -1;
  const double limit = static_cast<double>(state.remaining) / kSampleRate;
  const double delivered = static_cast<double>(state.delivered) / kSampleRate;
  return std::min(std::max(0.0, all - state.offset_seconds), delivered + limit);
}

int64_t AudioReader::samples_read() const { return state_->delivered; }
int64_t AudioReader::non_finite_samples() const { return state_->source->non_finite_samples(); }
bool AudioReader::truncated() const { return state_->source->truncated(); }
std::vector<std::string> AudioReader::notices() const { return state_->source->notices(); }

}  // namespace parley::dsp
