#include "parley/cli/speak/audio_output.h"

#include <sndfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <system_error>
#include <vector>

#include "parley/cli/program.h"
#include "parley/cli/write_all.h"
#include "parley/core/base/error.h"

namespace parley::cli {

namespace {

namespace fs = std::filesystem;

struct Format {
  std::string_view suffix;
  int sndfile;
};
constexpr std::array<Format, 5> kFormats = {{{".wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16},
                                             {".flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16},
                                             {".ogg", SF_FORMAT_OGG | SF_FORMAT_VORBIS},
                                             {".opus", SF_FORMAT_OGG | SF_FORMAT_OPUS},
                                             {".mp3", SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III}}};
// libsndfile finds out about these only when it opens the file.
constexpr std::array kOpusRates = {8000, 12000, 16000, 24000, 48000};
constexpr std::array kMp3Rates = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000};

// The rates that a format can hold; empty: any.
std::span<const int> rates_of(const Format& format) {
  if (format.suffix == ".opus") return kOpusRates;
  if (format.suffix == ".mp3") return kMp3Rates;
  return {};
}

const Format* find_format(const fs::path& path) {
  std::string suffix = path.extension().string();
  std::transform(suffix.begin(), suffix.end(), suffix.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  const auto found = std::find_if(kFormats.begin(), kFormats.end(),
                                  [&](const Format& format) { return format.suffix == suffix; });
  return found == kFormats.end() ? nullptr : found;
}

bool takes_rate(const Format& format, int rate) {
  const std::span<const int> rates = rates_of(format);
  return rates.empty() || std::find(rates.begin(), rates.end(), rate) != rates.end();
}

// The rounded samples of 16 bits.
std::vector<int16_t> to_s16(std::span<const float> samples) {
  std::vector<int16_t> out(samples.size());
  std::transform(samples.begin(), samples.end(), out.begin(), [](float x) {
    return static_cast<int16_t>(std::lrint(std::clamp(x, -1.f, 1.f) * 32767.f));
  });
  return out;
}

// By libsndfile, into a temporary file beside the final one.
class AudioFile : public AudioOutput {
 public:
  AudioFile(fs::path path, const Format& format, int rate) : path_(std::move(path)) {
    std::error_code error;
    const fs::file_status status = fs::status(path_, error);
    const bool replace = !fs::exists(status) || fs::is_regular_file(status);
    std::string name = path_.string();
    if (replace) {
      name += ".XXXXXX";
      const int descriptor = ::mkstemp(name.data());
      if (descriptor < 0) fail(std::strerror(errno));
      ::fchmod(descriptor, 0644);
      ::close(descriptor);
      temporary_ = name;
    }
    SF_INFO info{};
    info.samplerate = rate;
    info.channels = 1;
    info.format = format.sndfile;
    file_ = ::sf_open(name.c_str(), SFM_WRITE, &info);
    if (file_ == nullptr) fail_and_clean(::sf_strerror(nullptr));
    ::sf_command(file_, SFC_SET_CLIPPING, nullptr, SF_TRUE);
  }
  ~AudioFile() override { clean(); }

  void write(std::span<const float> samples) override {
    const auto count = static_cast<sf_count_t>(samples.size());
    if (::sf_write_float(file_, samples.data(), count) != count) fail(::sf_strerror(file_));
  }

  void commit() override {
    ::sf_write_sync(file_);
    const int problem = ::sf_close(std::exchange(file_, nullptr));
    if (problem != 0) fail(::sf_error_number(problem));
    if (temporary_.empty()) return;
    std::error_code error;
    fs::rename(temporary_, path_, error);
    if (error) fail(error.message());
    temporary_.clear();
  }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw Error(path_.string(), "cannot write: " + why);
  }
  [[noreturn]] void fail_and_clean(const std::string& why) {
    clean();
    fail(why);
  }
  void clean() {
    if (file_ != nullptr) ::sf_close(std::exchange(file_, nullptr));
    std::error_code ignored;
    if (!temporary_.empty()) fs::remove(temporary_, ignored);
    temporary_.clear();
  }

  fs::path path_;
  fs::path temporary_;
  SNDFILE* file_ = nullptr;
};

// A header of 44 bytes for s16le, mono. Its lengths are the largest there are: readers of streams
// know that this means until the end.
std::string wav_header(int rate) {
  std::string header;
  const auto put = [&](std::string_view name) { header.append(name); };
  const auto number = [&](uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) header.push_back(static_cast<char>(value >> (8 * i)));
  };
  put("RIFF");
  number(0xFFFFFFFF, 4);
  put("WAVEfmt ");
  number(16, 4);
  number(1, 2);  // PCM
  number(1, 2);  // channels
  number(static_cast<uint32_t>(rate), 4);
  number(static_cast<uint32_t>(rate) * 2, 4);  // bytes a second
  number(2, 2);                                // bytes of a frame
  number(16, 2);                               // bits of a sample
  put("data");
  number(0xFFFFFFFF - 36, 4);
  return header;
}

class StandardOutput : public AudioOutput {
 public:
  explicit StandardOutput(std::string header) : header_(std::move(header)) {}

  void write(std::span<const float> samples) override {
    const std::vector<int16_t> numbers = to_s16(samples);
    std::string bytes = std::exchange(header_, "");
    bytes.append(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(int16_t));
    write_all(STDOUT_FILENO, bytes, "standard output");
  }
  void commit() override { write({}); }

 private:
  std::string header_;  // until it is written
};

}  // namespace

void check_audio_name(const fs::path& path, int sample_rate) {
  const Format* format = find_format(path);
  if (format == nullptr) {
    throw UsageError("-o: '" + path.string() +
                     "' does not end in .wav, .flac, .ogg, .opus or .mp3");
  }
  if (sample_rate > 0 && !takes_rate(*format, sample_rate)) {
    throw UsageError("--sample-rate: " + std::string(format->suffix) + " cannot hold " +
                     std::to_string(sample_rate) + " Hz");
  }
}

int audio_file_rate(const fs::path& path, int sample_rate) {
  const Format* format = find_format(path);
  if (format == nullptr || takes_rate(*format, sample_rate)) return sample_rate;
  const std::span<const int> rates = rates_of(*format);
  const auto above = std::lower_bound(rates.begin(), rates.end(), sample_rate);
  return above == rates.end() ? rates.back() : *above;
}

std::unique_ptr<AudioOutput> open_audio_file(const fs::path& path, int sample_rate) {
  return std::make_unique<AudioFile>(path, *find_format(path), sample_rate);
}

std::unique_ptr<AudioOutput> open_standard_output(int sample_rate, bool header) {
  return std::make_unique<StandardOutput>(header ? wav_header(sample_rate) : "");
}

}  // namespace parley::cli
