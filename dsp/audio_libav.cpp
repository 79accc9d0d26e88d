// Decoding by libavformat and libavcodec: FLAC, Ogg, MP3, m4a, aac, the audio of videos, …
extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
}

#include <algorithm>
#include <cmath>
#include <utility>

#include "parley/core/base/error.h"
#include "parley/dsp/audio_source.h"
#include "parley/dsp/frame_sync.h"
#include "parley/dsp/libav_container.h"
#include "parley/dsp/links.h"
#include "parley/dsp/timeline.h"

namespace parley::dsp {

namespace {

constexpr int64_t kMaxFrameSamples =
    1 << 20;                         // of a packet, per channel; real ones have a few thousand
constexpr double kExactGap = 0.005;  // seconds, where times count samples

struct FreeCodec {
  void operator()(AVCodecContext* codec) const { avcodec_free_context(&codec); }
};
struct FreePacket {
  void operator()(AVPacket* packet) const { av_packet_free(&packet); }
};
struct FreeFrame {
  void operator()(AVFrame* frame) const { av_frame_free(&frame); }
};

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

// A decoded frame, and what went before it.
struct Sound {
  std::vector<float> interleaved;
  int64_t frames = 0;
  int rate = 0;
  ChannelLayout layout;
  std::optional<int64_t> time;  // in samples of its rate, from the start of the file
  bool damaged = false;         // something before it could not be decoded
  double lost = 0;              // seconds of that, as far as is known without times
  bool gap = false;             // where its time jumps, something was there
  bool cut = false;             // it is not all there
};

// Recordings that are joined in one input (Ogg) are decoded one after another.
class LibavSource : public AudioSource {
 public:
  LibavSource(std::shared_ptr<ByteInput> input, const AudioOptions& options)
      : AudioSource(input->name(), options), input_(std::move(input)) {
    links_ = find_links(*input_);
    packet_.reset(av_packet_alloc());
    frame_.reset(av_frame_alloc());
    if (!packet_ || !frame_) throw std::bad_alloc();
    open_link();
    if (links_.links.size() == 1) duration_ = container_->duration();
    if (container_->tracks() > 1 && !options.track) {
      note("has " + std::to_string(container_->tracks()) + " tracks of sound; track " +
           std::to_string(container_->track()) + " was heard (--track chooses another)");
    }
  }

  size_t read(std::span<float> out) override {
    while (silence_ == 0 && taken_ == mono_.size()) {
      if (!next_sound()) return 0;
    }
    size_t count = 0;
    if (silence_ > 0) {
      count = std::min(out.size(), static_cast<size_t>(silence_));
      std::fill_n(out.data(), count, 0.0f);
      silence_ -= static_cast<int64_t>(count);
    } else {
      count = std::min(out.size(), mono_.size() - taken_);
      std::copy_n(mono_.data() + taken_, count, out.data());
      taken_ += count;
    }
    return count;
  }

  std::vector<std::string> notices() const override {
    std::vector<std::string> all = AudioSource::notices();
    all.insert(all.end(), timeline_.notes().begin(), timeline_.notes().end());
    return all;
  }

 private:
  void open_link() {
    container_.reset();
    container_ = std::make_unique<LibavContainer>(*input_, links_.links[link_], options_.track);
    const AVStream& stream = container_->stream();
    const AVCodecID id = container_->codec().id;
    codec_.reset(avcodec_alloc_context3(&container_->codec()));
    if (!codec_) throw std::bad_alloc();
    codec_->thread_count = 1;
    codec_->max_samples = kMaxFrameSamples;
    codec_->pkt_timebase = stream.time_base;
    if (avcodec_parameters_to_context(codec_.get(), stream.codecpar) < 0)
      throw Error(where_, "has audio that we cannot decode");
    // What these decode to when their checksum is wrong is noise.
    if (id == AV_CODEC_ID_FLAC || id == AV_CODEC_ID_WAVPACK || id == AV_CODEC_ID_TTA)
      codec_->err_recognition = AV_EF_CRCCHECK | AV_EF_EXPLODE;
    if (avcodec_open2(codec_.get(), codec_->codec, nullptr) < 0)
      throw Error(where_, "has audio that we cannot decode");
    const int channels = codec_->ch_layout.nb_channels;
    if (codec_->sample_rate > 0 && channels > 0) {  // else the first frame tells
      if (rate_ == 0) check_first(codec_->sample_rate, channels);
      check(codec_->sample_rate, channels);
    }
    const bool bare = !container_->has_times();
    is_mpeg_ = bare && (id == AV_CODEC_ID_MP3 || id == AV_CODEC_ID_MP2 || id == AV_CODEC_ID_MP1);
    is_adts_ = bare && id == AV_CODEC_ID_AAC;
    sync_ = {};
    zero_ = container_->zero();
    link_begin_ = timeline_.seconds();
    first_of_link_ = true;
    drained_ = tail_damaged_ = false;
  }

  // The next decoded samples into mono_, what is missing before them into silence_; false at the
  // end of all recordings.
  bool next_sound() {
    mono_.clear();
    taken_ = 0;
    if (ahead_) {
      std::swap(now_, next_);
      ahead_ = false;
    } else if (!decode(now_)) {
      return end_link();
    }
    if (now_.rate != timeline_rate_ && !follow_rate()) return true;
    place();
    return true;
  }

  void place() {
    const Timeline::Place place = placed();
    const double from = timeline_.seconds();
    timeline_.advance(place.silence);
    const bool gap = place.silence > 0 && !first_of_link_ && now_.gap;
    if (now_.damaged || gap) note_damage(from, timeline_.seconds());
    if (now_.cut && look_ahead()) note_damage(from, timeline_.seconds());
    if (now_.cut && !look_ahead()) tail_damaged_ = true;
    silence_ = place.silence;
    mono_.resize(static_cast<size_t>(now_.frames));
    mix_.mix(now_.interleaved, now_.layout, now_.rate, mono_);
    taken_ = static_cast<size_t>(place.cut);
    timeline_.advance(now_.frames - place.cut);
    rate_ = now_.rate;
    first_of_link_ = false;
  }

  // Looks at the frame after now_, in the same recording.
  bool look_ahead() {
    if (!ahead_) ahead_ = decode(next_);
    return ahead_;
  }

  // One frame of another rate among others is damage; two of them are another recording.
  bool follow_rate() {
    if (!first_of_link_ && (!look_ahead() || next_.rate != now_.rate)) {
      const double length = static_cast<double>(now_.frames) / now_.rate;
      Sound& next = next_;
      if (ahead_) {
        next.damaged = true;
        next.lost += now_.lost + length;
      } else {
        tail_damaged_ = true;
      }
      return false;
    }
    timeline_rate_ = now_.rate;
    timeline_.set_rate(now_.rate);
    return true;
  }

  Timeline::Place placed() {
    if (!now_.time || (!container_->has_times() && !first_of_link_))
      return {.silence = std::llround(now_.lost * now_.rate)};
    const bool same_clock = link_ > 0 && container_->is_absolute() &&
                            timeline_.continues(*now_.time, Timeline::kLongestGap);
    if (first_of_link_ && !same_clock) timeline_.begin_clock();
    const double gap = now_.damaged ? 0 : first_of_link_ ? Timeline::kGap : usual_gap();
    std::optional<int64_t> next;
    if (!timeline_.continues(*now_.time, gap) && look_ahead())
      next = next_.time.value_or(*now_.time + now_.frames);
    return timeline_.place(*now_.time, now_.frames, next, gap);
  }

  double usual_gap() const { return container_->counts_samples() ? kExactGap : Timeline::kGap; }

  // The end of a recording: goes on with the next that can be read; false when there is none.
  bool end_link() {
    const bool is_last = link_ + 1 >= links_.links.size();
    const double end = timeline_.seconds();
    const double promised = container_->duration();
    // Containers round durations and count encoder padding: a second is neither.
    if (container_->duration_is_certain() && end - link_begin_ + 1 < promised) {
      note_early_end(end, "before its header says (" + shown_seconds(promised) + ")");
    } else if (is_last && links_.is_cut) {
      note_early_end(end, "without the mark of its end: the rest may be missing");
    } else if (tail_damaged_ && !is_last) {
      note_damage(end, end);
    } else if (tail_damaged_) {
      note_early_end(end, "where it cannot be decoded any further: the rest may be missing");
    }
    if (!is_last && container_->length_is_exact()) fill_link(end, promised);
    while (++link_ < links_.links.size()) {
      try {
        open_link();
        return true;
      } catch (const Error& error) {
        note("at " + shown_seconds(end) + " another recording is joined on, which cannot be read");
      }
    }
    if (links_.has_more) note("has too many recordings joined in one: the last were not heard");
    links_ = {};
    ended_ = true;
    return false;
  }

  // The recording is as long as its last page says, so that the next begins at its time: decoders
  // may leave out a few samples, and the last pages may be damaged.
  void fill_link(double end, double promised) {
    const double missing = link_begin_ + promised - container_->padding() - end;
    if (!(missing > 0 && missing < Timeline::kLongestGap)) return;
    silence_ = std::llround(missing * timeline_rate_);
    timeline_.advance(silence_);
  }

  // The next frame of this recording; false at its end.
  bool decode(Sound& sound) {
    sound.damaged = false;
    sound.lost = 0;
    sound.cut = false;
    while (!ended_) {
      const int got = avcodec_receive_frame(codec_.get(), frame_.get());
      if (got == 0) {
        if (take_frame(sound)) return true;
      } else if (got == AVERROR(EAGAIN)) {
        send_packet(sound);
      } else {
        if (got != AVERROR_EOF) lose_packet(sound);
        if (got != AVERROR_EOF && !drained_) {
          send_packet(sound);
          continue;
        }
        tail_damaged_ = tail_damaged_ || sound.damaged;
        return false;
      }
    }
    return false;
  }

  static void lose(Sound& sound, double seconds) {
    sound.damaged = true;
    sound.lost += seconds;
  }

  // A packet cannot be decoded. Without a container it holds all that lies before the next frame.
  void lose_packet(Sound& sound) {
    const double usual = sync_.seconds_of(static_cast<int64_t>(packet_bytes_));
    lose(sound, usual > 2 * packet_seconds_ ? usual : packet_seconds_);
    packet_bytes_ = 0;
  }

  bool take_frame(Sound& sound) {
    const int channels = frame_->ch_layout.nb_channels;
    if (frame_->nb_samples <= 0) return false;
    if (rate_ == 0) check_first(frame_->sample_rate, channels);
    check(frame_->sample_rate, channels);
    const AVChannelLayout& layout = frame_->ch_layout;
    sound.layout = {channels, layout.order == AV_CHANNEL_ORDER_NATIVE ? layout.u.mask : 0};
    sound.rate = frame_->sample_rate;
    sound.frames = frame_->nb_samples;
    sound.interleaved.resize(static_cast<size_t>(sound.frames) * static_cast<size_t>(channels));
    interleave(*frame_, sound.interleaved.data(), where_);
    sound.time = time_of(*frame_);
    if (frame_->decode_error_flags != 0) sound.damaged = true;
    sound.gap =
        sound.time && !timeline_.continues(*sound.time, usual_gap()) && container_->gap_is_damage();
    sync_.decoded(packet_bytes_, static_cast<double>(sound.frames) / sound.rate);
    packet_bytes_ = 0;
    return true;
  }

  std::optional<int64_t> time_of(const AVFrame& frame) {
    if (frame.pts == AV_NOPTS_VALUE) return std::nullopt;
    if (!zero_) zero_ = frame.pts;
    constexpr int64_t kNever = int64_t{1} << 58;
    int64_t since = 0;
    if (__builtin_sub_overflow(frame.pts, *zero_, &since)) return kNever;
    const AVRational samples{1, frame.sample_rate};
    return std::clamp(av_rescale_q(since, container_->stream().time_base, samples), -kNever,
                      kNever);
  }

  void send_packet(Sound& sound) {
    bool failed = false;
    const bool got = container_->read(*packet_, failed);
    if (failed) lose(sound, 0);
    if (!got) {
      drained_ = true;
      avcodec_send_packet(codec_.get(), nullptr);  // no more: the decoder gives what it holds
      return;
    }
    packet_seconds_ =
        static_cast<double>(packet_->duration) * av_q2d(container_->stream().time_base);
    if (skip_to_frame(sound)) {
      packet_bytes_ += static_cast<size_t>(packet_->size);
      if ((packet_->flags & AV_PKT_FLAG_CORRUPT) != 0) sound.cut = true;
      if (avcodec_send_packet(codec_.get(), packet_.get()) < 0) {
        lose_packet(sound);
      }
    }
    av_packet_unref(packet_.get());
  }

  // Takes what is no frame from the front of a packet; false: nothing is left.
  bool skip_to_frame(Sound& sound) {
    FrameSync::Found found;
    if (is_mpeg_) {
      found = sync_.find({packet_->data, static_cast<size_t>(packet_->size)});
    } else if (is_adts_ && container_->hole() > 0) {
      found = sync_.skipped(container_->hole_begin(), container_->hole());
    }
    if (found.damaged) lose(sound, found.lost);
    packet_->data += found.skip;
    packet_->size -= static_cast<int>(found.skip);
    return packet_->size > 0;
  }

  std::shared_ptr<ByteInput> input_;
  Links links_;  // the recordings in it
  size_t link_ = 0;
  std::unique_ptr<LibavContainer> container_;
  std::unique_ptr<AVCodecContext, FreeCodec> codec_;
  std::unique_ptr<AVPacket, FreePacket> packet_;
  std::unique_ptr<AVFrame, FreeFrame> frame_;
  FrameSync sync_;
  bool is_mpeg_ = false;
  bool is_adts_ = false;
  bool drained_ = false;  // the container has no more packets
  bool ended_ = false;
  double packet_seconds_ = 0;  // of the last packet
  size_t packet_bytes_ = 0;    // since the last frame

  Timeline timeline_;
  int timeline_rate_ = 0;
  std::optional<int64_t> zero_;  // the time that is the start, in the stream's time base
  double link_begin_ = 0;        // seconds
  bool first_of_link_ = true;
  bool tail_damaged_ = false;  // behind the last frame something could not be decoded
  Sound now_;
  Sound next_;
  bool ahead_ = false;  // next_ is decoded

  std::vector<float> mono_;
  size_t taken_ = 0;     // of mono_
  int64_t silence_ = 0;  // samples still to come before mono_
};

}  // namespace

std::unique_ptr<AudioSource> open_libav(std::shared_ptr<ByteInput> input,
                                        const AudioOptions& options) {
  return std::make_unique<LibavSource>(std::move(input), options);
}

}  // namespace parley::dsp
