// Decoding by libsndfile: WAV, headerless samples, and what libav does not know (MAT, HTK, …).
#include <sndfile.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "parley/core/base/error.h"
#include "parley/dsp/audio_source.h"
#include "parley/dsp/timeline.h"
#include "parley/dsp/wav_chunks.h"

namespace parley::dsp {

namespace {

// libsndfile's view of a ByteInput. An exception cannot cross its C code: it is kept and rethrown
// behind it.
struct VirtualFile {
  explicit VirtualFile(std::shared_ptr<ByteInput> bytes) : input(std::move(bytes)) {}
  std::shared_ptr<ByteInput> input;
  std::optional<WavChunks> wav;
  int64_t position = 0;
  std::exception_ptr failure;

  int64_t size() const { return wav ? wav->size() : input->size(); }
  size_t read(char* out, size_t count) {
    if (wav) return wav->read(position, out, count);
    input->seek(position);
    return input->read(out, count);
  }
  void rethrow() {
    if (failure) std::rethrow_exception(std::exchange(failure, nullptr));
  }
};

VirtualFile& self(void* user) { return *static_cast<VirtualFile*>(user); }

sf_count_t virtual_size(void* user) { return self(user).size(); }
sf_count_t virtual_tell(void* user) { return self(user).position; }

sf_count_t virtual_seek(sf_count_t offset, int whence, void* user) {
  VirtualFile& file = self(user);
  const sf_count_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? file.position : file.size();
  sf_count_t target = 0;
  if (__builtin_add_overflow(from, offset, &target) || target < 0) return -1;
  file.position = target;
  return target;
}

sf_count_t virtual_read(void* out, sf_count_t count, void* user) {
  VirtualFile& file = self(user);
  try {
    if (count <= 0) return 0;
    const size_t got = file.read(static_cast<char*>(out), static_cast<size_t>(count));
    file.position += static_cast<int64_t>(got);
    return static_cast<sf_count_t>(got);
  } catch (...) {
    file.failure = std::current_exception();
    return 0;
  }
}

sf_count_t virtual_write(const void*, sf_count_t, void*) { return 0; }

struct Close {
  void operator()(SNDFILE* file) const { sf_close(file); }
};

class SndfileSource : public AudioSource {
 public:
  SndfileSource(std::shared_ptr<ByteInput> input, const AudioOptions& options)
      : AudioSource(input->name(), options), bytes_(std::move(input)) {}

  bool open(const std::optional<RawFormat>& raw) {
    SF_INFO info{};
    if (raw) {
      const bool integers = raw->encoding == RawFormat::Encoding::kS16le;
      check(raw->rate, raw->channels);
      info.samplerate = raw->rate;
      info.channels = raw->channels;
      info.format =
          SF_FORMAT_RAW | SF_ENDIAN_LITTLE | (integers ? SF_FORMAT_PCM_16 : SF_FORMAT_FLOAT);
    } else {
      bytes_.wav = WavChunks::open(*bytes_.input);
    }
    if (!open_file(info)) return false;
    check_first(info.samplerate, info.channels);
    check_track(1);
    const bool is_stream = bytes_.input->is_stream();
    if (is_stream && bytes_.wav && bytes_.wav->promised() >= 0) {
      duration_ = bytes_.wav->seconds_of(bytes_.wav->promised());
    } else if (!is_stream && info.frames < ByteInput::kUnknownSize / 1024) {
      duration_ = static_cast<double>(info.frames) / rate_;
      promised_ = raw ? -1 : info.frames;
    }
    return true;
  }

  size_t read(std::span<float> out) override {
    while (!ended_) {
      const size_t frames = std::min<size_t>(out.size(), kBlock);
      interleaved_.resize(frames * static_cast<size_t>(layout_.channels));
      const sf_count_t got =
          sf_readf_float(file_.get(), interleaved_.data(), static_cast<sf_count_t>(frames));
      bytes_.rethrow();
      const size_t count = got > 0 ? static_cast<size_t>(got) : 0;
      const std::span<float> sound = std::span(interleaved_).first(count * layout_.channels);
      mix_.mix(sound, layout_, rate_, out.first(count));
      position_ += static_cast<int64_t>(count);
      if (count > 0) return count;
      ended_ = !end_part();
    }
    return 0;
  }

 private:
  static constexpr size_t kBlock = 4096;  // frames

  bool open_file(SF_INFO& info) {
    SF_VIRTUAL_IO io{virtual_size, virtual_seek, virtual_read, virtual_write, virtual_tell};
    bytes_.position = 0;
    file_.reset(sf_open_virtual(&io, SFM_READ, &info, &bytes_));
    bytes_.rethrow();
    if (!file_) return false;
    check(info.samplerate, info.channels);
    rate_ = info.samplerate;
    position_ = 0;
    layout_ = {info.channels, bytes_.wav ? bytes_.wav->speakers() : 0};
    return true;
  }

  // What was read is all of this recording. True: another one is joined on, which is read next.
  bool end_part() {
    const std::optional<WavChunks>& wav = bytes_.wav;
    seconds_ += static_cast<double>(position_) / rate_;
    const double heard = static_cast<double>(position_) / rate_;
    std::string said;  // by the header
    if (wav && wav->promised() >= 0) {
      const bool is_known = !bytes_.input->is_stream() && wav->found() > 0;
      const double share = static_cast<double>(wav->promised()) / static_cast<double>(wav->found());
      said = shown_seconds(is_known ? heard * share : wav->seconds_of(wav->promised()));
    } else if (!wav && position_ < promised_) {
      said = shown_seconds(static_cast<double>(promised_) / rate_);
    }
    if (wav ? wav->is_short() : !said.empty()) {
      note_early_end(seconds_, "before its header says (" + said + ")");
    } else if (sf_error(file_.get()) != SF_ERR_NO_ERROR) {
      note_early_end(seconds_, std::string("where it cannot be read: ") + sf_strerror(file_.get()));
    }
    if (wav && wav->is_longer())
      note("is longer than its header says (" + said + "): all of it was heard");
    if (!wav || !wav->next()) return false;
    const std::string joined = "at " + shown_seconds(seconds_) + " another recording is joined on";
    if (bytes_.input->is_stream()) {
      note(joined + " in another format: it was not heard (give a file)");
      return false;
    }
    bytes_.wav = WavChunks::open(*bytes_.input, *wav->next());
    SF_INFO info{};
    if (bytes_.wav && open_file(info)) return true;
    note(joined + ", which cannot be read");
    return false;
  }

  VirtualFile bytes_;
  std::unique_ptr<SNDFILE, Close> file_;
  std::vector<float> interleaved_;
  ChannelLayout layout_;
  int64_t promised_ = -1;  // frames, without WavChunks
  int64_t position_ = 0;   // in this recording
  double seconds_ = 0;     // of those before
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<AudioSource> open_sndfile(std::shared_ptr<ByteInput> input,
                                          const std::optional<RawFormat>& raw,
                                          const AudioOptions& options) {
  auto source = std::make_unique<SndfileSource>(std::move(input), options);
  return source->open(raw) ? std::move(source) : nullptr;
}

}  // namespace parley::dsp
