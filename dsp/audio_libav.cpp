// Decoding by libavformat and libavcodec: the audio of videos, MP3, m4a, aac, wma, …
extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
}

#include <algorithm>
#include <exception>
#include <utility>

#include "base/error.h"
#include "dsp/audio_source.h"

namespace parley::dsp {

namespace {

constexpr int kIoBuffer = 1 << 16;  // bytes
constexpr int64_t kMaxFrameSamples =
    1 << 20;  // of a packet, per channel; real ones have a few thousand

constexpr int64_t kMinDelay =
    AV_TIME_BASE / 20;  // of the audio in a video, in libav's microseconds
constexpr int64_t kMaxDelay = int64_t{AV_TIME_BASE} * 3600;

struct FreeFormat {
  void operator()(AVFormatContext* format) const { avformat_close_input(&format); }
};
struct FreeIo {
  void operator()(AVIOContext* io) const {
    av_freep(&io->buffer);
    avio_context_free(&io);
  }
};
struct FreeCodec {
  void operator()(AVCodecContext* codec) const { avcodec_free_context(&codec); }
};
struct FreePacket {
  void operator()(AVPacket* packet) const { av_packet_free(&packet); }
};
struct FreeFrame {
  void operator()(AVFrame* frame) const { av_frame_free(&frame); }
};

// A playlist inside the input must not make us open files or addresses that it names.
int deny_open(AVFormatContext*, AVIOContext**, const char*, int, AVDictionary**) {
  return AVERROR(EACCES);
}

// Integer samples to ±1: centred (unsigned 8 bits are offset by 128), then scaled. Floats as they
// are.
template <typename T>
void interleave(const AVFrame& frame, bool planar, double centre, double scale, float* out) {
  const int channels = frame.ch_layout.nb_channels;
  for (int channel = 0; channel < channels; ++channel) {
    const auto* from = reinterpret_cast<const T*>(frame.extended_data[planar ? channel : 0]) +
                       (planar ? 0 : channel);
    const int stride = planar ? 1 : channels;
    for (int i = 0; i < frame.nb_samples; ++i) {
      out[static_cast<ptrdiff_t>(i) * channels + channel] = static_cast<float>(
          (static_cast<double>(from[static_cast<ptrdiff_t>(i) * stride]) - centre) * scale);
    }
  }
}

void interleave(const AVFrame& frame, float* out, const std::string& name) {
  const auto format = static_cast<AVSampleFormat>(frame.format);
  const bool planar = av_sample_fmt_is_planar(format) != 0;
  switch (av_get_packed_sample_fmt(format)) {
    case AV_SAMPLE_FMT_U8:
      return interleave<uint8_t>(frame, planar, 128, 1.0 / 128, out);
    case AV_SAMPLE_FMT_S16:
      return interleave<int16_t>(frame, planar, 0, 1.0 / 32768, out);
    case AV_SAMPLE_FMT_S32:
      return interleave<int32_t>(frame, planar, 0, 1.0 / 2147483648.0, out);
    case AV_SAMPLE_FMT_S64:
      return interleave<int64_t>(frame, planar, 0, 1.0 / 9223372036854775808.0, out);
    case AV_SAMPLE_FMT_FLT:
      return interleave<float>(frame, planar, 0, 1, out);
    case AV_SAMPLE_FMT_DBL:
      return interleave<double>(frame, planar, 0, 1, out);
    default:
      throw Error(name, "decodes to an unknown sample format");
  }
}

class LibavSource : public AudioSource {
 public:
  explicit LibavSource(std::shared_ptr<ByteInput> input) : input_(std::move(input)) {
    input_->seek(0);
    open_container();
    open_decoder();
  }

  size_t read(std::span<float> out) override {
    size_t done = 0;
    while (done < out.size()) {
      if (delay_ > 0) {
        const auto silence = std::min(out.size() - done, static_cast<size_t>(delay_));
        std::fill_n(out.data() + done, silence, 0.0f);
        delay_ -= static_cast<int64_t>(silence);
        done += silence;
        continue;
      }
      if (taken_ == mono_.size() && !decode()) break;
      const size_t count = std::min(out.size() - done, mono_.size() - taken_);
      std::copy_n(mono_.data() + taken_, count, out.data() + done);
      taken_ += count;
      done += count;
    }
    return done;
  }

 private:
  static int read_packet(void* user, uint8_t* out, int count) {
    auto& source = *static_cast<LibavSource*>(user);
    try {
      const size_t got = source.input_->read(out, static_cast<size_t>(count));
      return got > 0 ? static_cast<int>(got) : AVERROR_EOF;
    } catch (...) {
      source.failure_ = std::current_exception();
      return AVERROR(EIO);
    }
  }

  static int64_t seek_input(void* user, int64_t offset, int whence) {
    ByteInput& input = *static_cast<LibavSource*>(user)->input_;
    if ((whence & AVSEEK_SIZE) != 0) return input.size();
    const int64_t from = whence == SEEK_SET   ? 0
                         : whence == SEEK_CUR ? input.position()
                                              : input.size();
    int64_t target = 0;
    if (__builtin_add_overflow(from, offset, &target) || target < 0) return AVERROR(EINVAL);
    input.seek(target);
    return target;
  }

  void open_container() {
    static const bool quiet = (av_log_set_level(AV_LOG_QUIET), true);
    (void)quiet;
    auto* buffer = static_cast<uint8_t*>(av_malloc(kIoBuffer));
    io_.reset(avio_alloc_context(buffer, kIoBuffer, 0, this, read_packet, nullptr, seek_input));
    AVFormatContext* format = avformat_alloc_context();
    if (!io_ || format == nullptr) throw std::bad_alloc();
    format->pb = io_.get();
    format->flags |= AVFMT_FLAG_CUSTOM_IO;
    format->io_open = deny_open;
    const bool opened =
        avformat_open_input(&format, nullptr, nullptr, nullptr) == 0;  // frees it on failure
    rethrow();
    if (!opened) throw Error(input_->name(), "is not audio or video in a format that we can read");
    format_.reset(format);
    const bool described = avformat_find_stream_info(format, nullptr) >= 0;
    rethrow();
    const AVCodec* codec = nullptr;
    stream_ = described ? av_find_best_stream(format, AVMEDIA_TYPE_AUDIO, -1, -1, &codec, 0)
                        : AVERROR_STREAM_NOT_FOUND;
    if (stream_ == AVERROR_DECODER_NOT_FOUND)
      throw Error(input_->name(), "has audio in a codec that we cannot decode");
    if (stream_ < 0) throw Error(input_->name(), "has no audio");
    codec_.reset(avcodec_alloc_context3(codec));
    for (unsigned i = 0; i < format->nb_streams; ++i) {
      if (static_cast<int>(i) != stream_) format->streams[i]->discard = AVDISCARD_ALL;
    }
  }

  void open_decoder() {
    const AVStream& stream = *format_->streams[stream_];
    packet_.reset(av_packet_alloc());
    frame_.reset(av_frame_alloc());
    if (!codec_ || !packet_ || !frame_) throw std::bad_alloc();
    codec_->thread_count = 1;
    codec_->max_samples = kMaxFrameSamples;
    codec_->pkt_timebase = stream.time_base;
    if (avcodec_parameters_to_context(codec_.get(), stream.codecpar) < 0 ||
        avcodec_open2(codec_.get(), codec_->codec, nullptr) < 0) {
      throw Error(input_->name(), "has audio that we cannot decode");
    }
    rate_ = codec_->sample_rate;
    check(input_->name(), rate_, codec_->ch_layout.nb_channels);
    find_length(stream);
  }

  void find_length(const AVStream& stream) {
    const AVRational samples{1, rate_};
    find_delay(stream, samples);
    const bool guessed = format_->duration_estimation_method == AVFMT_DURATION_FROM_BITRATE;
    if (stream.duration != AV_NOPTS_VALUE && stream.duration > 0) {
      frames_ = delay_ + av_rescale_q(stream.duration, stream.time_base, samples);
      length_is_certain_ = !guessed;
    } else if (format_->duration != AV_NOPTS_VALUE && format_->duration > 0) {
      frames_ = av_rescale_q(format_->duration, AV_TIME_BASE_Q, samples);
      length_is_certain_ = !guessed && format_->nb_streams == 1;  // the picture may last longer
    }
  }

  // Sound that begins after the picture is preceded by silence, so that times are times of the
  // video. Less than kMinDelay is the padding of an encoder.
  void find_delay(const AVStream& stream, AVRational samples) {
    if (stream.start_time == AV_NOPTS_VALUE || format_->start_time == AV_NOPTS_VALUE) return;
    const int64_t delay =
        av_rescale_q(stream.start_time, stream.time_base, AV_TIME_BASE_Q) - format_->start_time;
    if (delay < kMinDelay || delay > kMaxDelay) return;
    delay_ = av_rescale_q(delay, AV_TIME_BASE_Q, samples);
    position_ = delay_;
  }

  // The next decoded samples into mono_; false at the end.
  bool decode() {
    while (true) {
      const int got = avcodec_receive_frame(codec_.get(), frame_.get());
      if (got == 0) {
        if (take_frame()) return true;
      } else if (got == AVERROR(EAGAIN)) {
        send_packet();
      } else if (got == AVERROR_EOF) {
        // Containers round durations and count encoder padding: a second is neither.
        if (length_is_certain_ && position_ + rate_ < frames_) truncated_ = true;
        return false;
      } else {
        truncated_ = true;  // a damaged frame: go on with the next
        if (drained_) return false;
        send_packet();
      }
    }
  }

  bool take_frame() {
    const int channels = frame_->ch_layout.nb_channels;
    if (frame_->nb_samples <= 0) return false;
    if (frame_->sample_rate !=
        rate_) {  // one such frame is damage, a second of them is another stream
      truncated_ = true;
      foreign_ += frame_->nb_samples;
      if (foreign_ < rate_) return false;
      throw Error(input_->name(), "changes its sample rate in the middle",
                  "convert it to WAV first");
    }
    foreign_ = 0;
    check(input_->name(), frame_->sample_rate, channels);
    interleaved_.resize(static_cast<size_t>(frame_->nb_samples) * static_cast<size_t>(channels));
    interleave(*frame_, interleaved_.data(), input_->name());
    mono_.resize(static_cast<size_t>(frame_->nb_samples));
    mix(interleaved_.data(), channels, mono_);
    taken_ = 0;
    position_ += frame_->nb_samples;
    return true;
  }

  void send_packet() {
    const int got = av_read_frame(format_.get(), packet_.get());
    rethrow();
    if (got < 0) {
      if (got != AVERROR_EOF) truncated_ = true;
      drained_ = true;
      avcodec_send_packet(codec_.get(), nullptr);  // no more: the decoder gives what it holds
      return;
    }
    if (packet_->stream_index == stream_ && avcodec_send_packet(codec_.get(), packet_.get()) < 0)
      truncated_ = true;
    av_packet_unref(packet_.get());
  }

  void rethrow() {
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  }

  std::shared_ptr<ByteInput> input_;
  std::exception_ptr failure_;  // thrown behind libav's C code
  std::unique_ptr<AVIOContext, FreeIo> io_;
  std::unique_ptr<AVFormatContext, FreeFormat> format_;
  std::unique_ptr<AVCodecContext, FreeCodec> codec_;
  std::unique_ptr<AVPacket, FreePacket> packet_;
  std::unique_ptr<AVFrame, FreeFrame> frame_;
  int stream_ = -1;
  bool length_is_certain_ = false;
  bool drained_ = false;  // the container has no more packets
  std::vector<float> interleaved_;
  std::vector<float> mono_;
  size_t taken_ = 0;   // of mono_
  int64_t delay_ = 0;  // samples of silence still to come before the first
  int64_t position_ = 0;
  int64_t foreign_ = 0;  // samples in a row that had another rate
};

}  // namespace

std::unique_ptr<AudioSource> open_libav(std::shared_ptr<ByteInput> input) {
  return std::make_unique<LibavSource>(std::move(input));
}

}  // namespace parley::dsp
