// Decoding by libsndfile: WAV, FLAC, Ogg Vorbis and Opus, AIFF, AU, CAF, … and headerless
// samples.
#include <sndfile.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "base/error.h"
#include "dsp/audio_source.h"

namespace parley::dsp {

namespace {

// libsndfile's view of a ByteInput. An exception cannot cross its C code: it is kept and rethrown
// behind it.
struct VirtualFile {
  explicit VirtualFile(std::shared_ptr<ByteInput> bytes) : input(std::move(bytes)) {}
  std::shared_ptr<ByteInput> input;
  std::exception_ptr failure;

  void rethrow() {
    if (failure) std::rethrow_exception(std::exchange(failure, nullptr));
  }
};

VirtualFile& self(void* user) { return *static_cast<VirtualFile*>(user); }

sf_count_t virtual_size(void* user) { return self(user).input->size(); }
sf_count_t virtual_tell(void* user) { return self(user).input->position(); }

sf_count_t virtual_seek(sf_count_t offset, int whence, void* user) {
  ByteInput& input = *self(user).input;
  const sf_count_t from = whence == SEEK_SET   ? 0
                          : whence == SEEK_CUR ? input.position()
                                               : input.size();
  sf_count_t target = 0;
  if (__builtin_add_overflow(from, offset, &target) || target < 0) return -1;
  input.seek(target);
  return target;
}

sf_count_t virtual_read(void* out, sf_count_t count, void* user) {
  try {
    return count <= 0
               ? 0
               : static_cast<sf_count_t>(self(user).input->read(out, static_cast<size_t>(count)));
  } catch (...) {
    self(user).failure = std::current_exception();
    return 0;
  }
}

sf_count_t virtual_write(const void*, sf_count_t, void*) { return 0; }

struct Close {
  void operator()(SNDFILE* file) const { sf_close(file); }
};

class SndfileSource : public AudioSource {
 public:
  explicit SndfileSource(std::shared_ptr<ByteInput> input) : bytes_(std::move(input)) {}

  bool open(const std::optional<RawFormat>& raw) {
    SF_INFO info{};
    if (raw) {
      const bool integers = raw->encoding == RawFormat::Encoding::kS16le;
      check(bytes_.input->name(), raw->rate, raw->channels);
      info.samplerate = raw->rate;
      info.channels = raw->channels;
      info.format =
          SF_FORMAT_RAW | SF_ENDIAN_LITTLE | (integers ? SF_FORMAT_PCM_16 : SF_FORMAT_FLOAT);
    }
    const bool length_is_known = check_wav_length();
    SF_VIRTUAL_IO io{virtual_size, virtual_seek, virtual_read, virtual_write, virtual_tell};
    file_.reset(sf_open_virtual(&io, SFM_READ, &info, &bytes_));
    bytes_.rethrow();
    if (!file_) return false;
    check(bytes_.input->name(), info.samplerate, info.channels);
    rate_ = info.samplerate;
    channels_ = info.channels;
    const bool endless = bytes_.input->is_stream() && (raw || !length_is_known);
    frames_ = endless || info.frames > ByteInput::kUnknownSize / 1024 ? -1 : info.frames;
    return true;
  }

  size_t read(std::span<float> out) override {
    size_t done = 0;
    while (done < out.size() && !ended_) {
      const size_t frames = std::min<size_t>(out.size() - done, kBlock);
      interleaved_.resize(frames * static_cast<size_t>(channels_));
      const sf_count_t got =
          sf_readf_float(file_.get(), interleaved_.data(), static_cast<sf_count_t>(frames));
      bytes_.rethrow();
      const size_t count = got > 0 ? static_cast<size_t>(got) : 0;
      mix(interleaved_.data(), channels_, out.subspan(done, count));
      done += count;
      position_ += static_cast<int64_t>(count);
      ended_ = count < frames;
    }
    // A file that ends early: what could be read is good, and truncated() says that it is not all.
    if (ended_ && (sf_error(file_.get()) != SF_ERR_NO_ERROR || position_ < frames_))
      truncated_ = true;
    return done;
  }

 private:
  static constexpr size_t kBlock = 4096;  // frames

  // Of a WAV: notices samples that its header promises and the file does not have; lets libsndfile
  // read a header without a length to the end (it takes the length of the file when the RIFF chunk
  // is empty). False when the length is unknown.
  bool check_wav_length() {
    ByteInput& input = *bytes_.input;
    std::optional<WavLength> wav;
    for (size_t count = 64; !wav && count <= ByteInput::kHead;
         count *= 2) {  // a live stream may come slowly
      const std::string_view head = input.head(count);
      wav = wav_length(head);
      if (head.size() < count || head.substr(0, 4) != "RIFF") break;
    }
    if (!wav) return !input.is_stream();
    if (!wav->unknown()) {
      truncated_ = wav->bytes > input.size() - wav->data;
      return true;
    }
    const bool longer = input.size() - wav->data > wav->bytes + kMaxTrailer;
    if (wav->bytes == 0 || input.is_stream() || longer) {
      input.patch_u32le(4, 8);
      input.patch_u32le(wav->size_field, 0);
    }
    return !input.is_stream();
  }

  static constexpr int64_t kMaxTrailer = 1 << 20;  // bytes of chunks behind the samples

  VirtualFile bytes_;
  std::unique_ptr<SNDFILE, Close> file_;
  std::vector<float> interleaved_;
  int channels_ = 0;
  int64_t position_ = 0;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<AudioSource> open_sndfile(std::shared_ptr<ByteInput> input,
                                          const std::optional<RawFormat>& raw) {
  auto source = std::make_unique<SndfileSource>(std::move(input));
  return source->open(raw) ? std::move(source) : nullptr;
}

}  // namespace parley::dsp
