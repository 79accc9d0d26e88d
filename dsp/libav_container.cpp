#include "parley/dsp/libav_container.h"

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
}

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "parley/core/base/error.h"
#include "parley/dsp/mp4_boxes.h"

namespace parley::dsp {

// Demuxers whose times are told by the file, by the first of their names.
struct TimedFormat {
  std::string_view name;
  bool absolute = false;  // from the start of the recording; else by a clock that ran already
  bool gapless = false;   // a gap is damage
  bool compact = false;   // nothing but headers lies between packets
  bool lengths = false;   // each track tells its length
};

namespace {

constexpr int kIoBuffer = 1 << 16;      // bytes
constexpr int kMostFailures = 1000000;  // to read a packet

constexpr std::array kTimedFormats = {
    TimedFormat{.name = "asf", .absolute = true},
    TimedFormat{.name = "caf", .gapless = true, .lengths = true},
    TimedFormat{.name = "flac", .gapless = true},
    TimedFormat{.name = "flv", .absolute = true, .compact = true},
    TimedFormat{.name = "live_flv"},
    TimedFormat{.name = "matroska", .absolute = true, .compact = true},
    TimedFormat{.name = "mov", .absolute = true, .lengths = true},
    TimedFormat{.name = "mpeg"},
    TimedFormat{.name = "mpegts"},
    TimedFormat{.name = "mxf", .lengths = true},
    TimedFormat{.name = "nsv"},
    TimedFormat{.name = "nut", .absolute = true},
    TimedFormat{.name = "ogg"},
    TimedFormat{.name = "rm"},
    TimedFormat{.name = "wtv"},
    TimedFormat{.name = "wv", .gapless = true},
};

const TimedFormat* timed_format(const AVFormatContext& format) {
  const std::string_view names = format.iformat->name;
  const std::string_view first = names.substr(0, names.find(','));
  const auto* const found = std::find_if(kTimedFormats.begin(), kTimedFormats.end(),
                                         [&](const auto& timed) { return timed.name == first; });
  return found == kTimedFormats.end() ? nullptr : found;
}

// A playlist inside the input must not make us open files or addresses that it names.
int deny_open(AVFormatContext*, AVIOContext**, const char*, int, AVDictionary**) {
  return AVERROR(EACCES);
}

}  // namespace

void LibavContainer::FreeFormat::operator()(AVFormatContext* format) const {
  avformat_close_input(&format);
}

void LibavContainer::FreeIo::operator()(AVIOContext* io) const {
  av_freep(&io->buffer);
  avio_context_free(&io);
}

LibavContainer::LibavContainer(ByteInput& input, Link part, std::optional<int> track)
    : input_(input), part_(part) {
  open_format();
  choose_track(track);
  timed_ = timed_format(*format_);
  find_duration();
}

LibavContainer::~LibavContainer() = default;

const AVStream& LibavContainer::stream() const { return *format_->streams[stream_]; }

int LibavContainer::read_packet(void* user, uint8_t* out, int count) {
  auto& self = *static_cast<LibavContainer*>(user);
  try {
    const int64_t left = self.part_.end - self.input_.position();
    const int64_t wanted = std::min<int64_t>(count, left);
    const size_t got = wanted > 0 ? self.input_.read(out, static_cast<size_t>(wanted)) : 0;
    return got > 0 ? static_cast<int>(got) : AVERROR_EOF;
  } catch (...) {
    self.failure_ = std::current_exception();
    return AVERROR(EIO);
  }
}

int64_t LibavContainer::seek_input(void* user, int64_t offset, int whence) {
  auto& self = *static_cast<LibavContainer*>(user);
  const int64_t size = self.part_.end - self.part_.begin;
  if ((whence & AVSEEK_SIZE) != 0) return size;
  const int64_t from = whence == SEEK_SET   ? 0
                       : whence == SEEK_CUR ? self.input_.position() - self.part_.begin
                                            : size;
  int64_t target = 0;
  if (__builtin_add_overflow(from, offset, &target) || target < 0) return AVERROR(EINVAL);
  if (target > ByteInput::kUnknownSize) return AVERROR(EINVAL);
  self.input_.seek(self.part_.begin + target);
  return target;
}

void LibavContainer::open_format() {
  static const bool quiet = (av_log_set_level(AV_LOG_QUIET), true);
  (void)quiet;
  input_.seek(part_.begin);
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
  if (!opened) refuse();
  format_.reset(format);
}

// It could not be opened.
void LibavContainer::refuse() {
  const bool is_caf = input_.head(4) == "caff";
  if (is_caf || mp4_index_is_missing(input_, part_.begin, part_.end)) {
    throw Error(input_.name(),
                std::string("its index (") + (is_caf ? "pakt" : "moov") +
                    "), which stands at the end, is missing",
                "the recording was cut off, or is still being made: get the whole file");
  }
  throw Error(input_.name(), "is not audio or video in a format that we can read");
}

void LibavContainer::choose_track(std::optional<int> track) {
  const bool described = avformat_find_stream_info(format_.get(), nullptr) >= 0;
  rethrow();
  int64_t best = -1;
  bool decodes = true;
  for (unsigned i = 0; described && i < format_->nb_streams; ++i) {
    AVStream& stream = *format_->streams[i];
    const AVCodecParameters& codec = *stream.codecpar;
    if (codec.codec_type != AVMEDIA_TYPE_AUDIO) continue;
    ++tracks_;
    const AVCodec* decoder = avcodec_find_decoder(codec.codec_id);
    const bool wanted = !track || *track == tracks_;
    if (wanted && decoder == nullptr) decodes = false;
    if (!wanted || decoder == nullptr) continue;
    // As in ffmpeg: packets were seen, then marked as default, then most channels, then the first.
    const bool seen = (stream.event_flags & AVSTREAM_EVENT_FLAG_NEW_PACKETS) != 0;
    const bool usual = (stream.disposition & AV_DISPOSITION_DEFAULT) != 0;
    const int64_t score =
        (seen ? 100000000 : 0) + (usual ? 5000000 : 0) + codec.ch_layout.nb_channels;
    if (score <= best) continue;
    best = score;
    stream_ = static_cast<int>(i);
    track_ = tracks_;
    codec_ = decoder;
  }
  if (tracks_ == 0) throw Error(input_.name(), "has no audio");
  if (track && *track > tracks_) {
    throw Error(input_.name(), "has " + std::to_string(tracks_) +
                                   (tracks_ == 1 ? " track" : " tracks") +
                                   " of sound, there is no track " + std::to_string(*track));
  }
  if (stream_ < 0)
    throw Error(input_.name(),
                decodes ? "has no audio" : "has audio in a codec that we cannot decode");
  for (unsigned i = 0; i < format_->nb_streams; ++i) {
    if (static_cast<int>(i) != stream_) format_->streams[i]->discard = AVDISCARD_ALL;
  }
}

void LibavContainer::find_duration() {
  const bool said = format_->duration_estimation_method == AVFMT_DURATION_FROM_STREAM;
  if (stream().duration != AV_NOPTS_VALUE && stream().duration > 0) {
    int64_t late = 0;
    if (stream().start_time != AV_NOPTS_VALUE && (timed_ == nullptr || timed_->lengths))
      late = std::max<int64_t>(0, stream().start_time - zero().value_or(stream().start_time));
    duration_ = static_cast<double>(stream().duration + late) * av_q2d(stream().time_base);
    // Where the header tells one length for all, it may be the picture's.
    duration_is_certain_ = said && (format_->nb_streams == 1 || (timed_ && timed_->lengths));
  } else if (format_->duration != AV_NOPTS_VALUE && format_->duration > 0) {
    duration_ = static_cast<double>(format_->duration) / AV_TIME_BASE;
    duration_is_certain_ = said && format_->nb_streams == 1;  // the picture may last longer
  }
}

bool LibavContainer::counts_samples() const {
  return timed_ != nullptr && (timed_->name == "flac" || timed_->name == "wv");
}

bool LibavContainer::is_absolute() const { return timed_ != nullptr && timed_->absolute; }

bool LibavContainer::gap_is_damage() const {
  constexpr int64_t kHeaders = 1500;  // bytes between packets
  return timed_ != nullptr && (timed_->gapless || hole_ > kHeaders || pages_were_missing_);
}

bool LibavContainer::length_is_exact() const {
  return timed_ != nullptr && (timed_->name == "flac" || timed_->name == "ogg");
}

double LibavContainer::padding() const {
  const AVCodecParameters& codec = *stream().codecpar;
  return codec.sample_rate > 0 ? static_cast<double>(codec.initial_padding) / codec.sample_rate : 0;
}

std::optional<int64_t> LibavContainer::zero() const {
  const bool absolute = is_absolute();
  const bool unknown = format_->start_time == AV_NOPTS_VALUE;
  if (!absolute && unknown) return std::nullopt;
  int64_t start = unknown ? 0 : format_->start_time;
  if (absolute) start = std::min<int64_t>(start, 0);
  return av_rescale_q(start, AV_TIME_BASE_Q, stream().time_base);
}

bool LibavContainer::read(AVPacket& packet, bool& failed) {
  while (true) {
    const int got = av_read_frame(format_.get(), &packet);
    rethrow();
    if (got == AVERROR_EOF) return false;
    if (got < 0) {
      // What follows may be good: as long as it goes on, so do we.
      failed = true;
      const int64_t at = avio_tell(format_->pb);
      if (at <= std::exchange(failed_at_, at) || ++failures_ > kMostFailures) return false;
      if (timed_ != nullptr && timed_->name == "wv") find_block();
      continue;
    }
    if (packet.stream_index == stream_) break;
    av_packet_unref(&packet);
  }
  find_hole(packet);
  if (timed_ != nullptr && timed_->name == "ogg" && pages_are_missing(packet)) failed = true;
  return true;
}

// libavformat looks for a WavPack block only where the one before ends.
void LibavContainer::find_block() {
  std::array<char, 4> seen{};
  while (avio_feof(format_->pb) == 0) {
    std::move(seen.begin() + 1, seen.end(), seen.begin());
    seen[3] = static_cast<char>(avio_r8(format_->pb));
    if (std::string_view(seen.data(), seen.size()) != "wvpk") continue;
    avio_seek(format_->pb, -4, SEEK_CUR);
    return;
  }
}

// Of an Ogg file, which has other times only on some pages.
bool LibavContainer::pages_are_missing(const AVPacket& packet) {
  const int64_t before = std::exchange(packet_at_, packet.pos);
  if (before < 0 || packet.pos <= before) return false;
  const int64_t position = input_.position();
  const bool missing =
      ogg_pages_are_missing(input_, part_.begin + before, part_.begin + packet.pos);
  input_.seek(position);
  if (missing) pages_were_missing_ = true;
  return missing;
}

void LibavContainer::find_hole(const AVPacket& packet) {
  hole_ = 0;
  if (packet.pos < 0 || format_->nb_streams != 1) return;
  const int64_t end = packet.pos + packet.size;
  if (timed_ != nullptr && timed_->compact) {
    if (packet_end_ >= 0) hole_ = std::max<int64_t>(0, packet.pos - packet_end_);
    packet_end_ = end;
  } else if (timed_ == nullptr) {
    // Positions are counted by a parser from what it was given: what the demuxer left out shows
    // where that reads. (While there are packets that were read to know the format, they do not.)
    const int64_t at = avio_tell(format_->pb);
    hole_at_ = packet_end_ + ahead_;
    if (packet_end_ >= 0) hole_ = std::max<int64_t>(0, at - end - ahead_);
    ahead_ = at - end;
    packet_end_ = end;
  }
}

std::array<uint8_t, 32> LibavContainer::hole_begin() {
  std::array<uint8_t, 32> bytes{};
  const int64_t position = input_.position();
  input_.seek(part_.begin + hole_at_);
  input_.read(bytes.data(), bytes.size());
  input_.seek(position);
  return bytes;
}

void LibavContainer::rethrow() {
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

}  // namespace parley::dsp
