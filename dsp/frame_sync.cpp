#include "parley/dsp/frame_sync.h"

#include <algorithm>
#include <string_view>

namespace parley::dsp {

namespace {

constexpr size_t kId3v1 = 128;
constexpr size_t kApeHeader = 32;

std::string_view text_of(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Bytes of the tag that begins here; 0: none does. (id3.org: ID3v2.4 §3.1; APEv2 header)
size_t tag_length(std::span<const uint8_t> bytes) {
  const std::string_view text = text_of(bytes);
  if (text.starts_with("ID3") && bytes.size() >= 10 && bytes[3] < 0xFF && bytes[4] < 0xFF) {
    const uint8_t* size = &bytes[6];
    if (((size[0] | size[1] | size[2] | size[3]) & 0x80) != 0) return 0;
    const size_t footer = (bytes[5] & 0x10) != 0 ? 10 : 0;
    return 10 + (size_t{size[0]} << 21 | size_t{size[1]} << 14 | size_t{size[2]} << 7 | size[3]) +
           footer;
  }
  if (text.starts_with("TAG")) return kId3v1;
  if (text.starts_with("APETAGEX") && bytes.size() >= kApeHeader) {
    const uint8_t* size = &bytes[12];
    const bool is_footer = (bytes[23] & 0x20) == 0;
    const size_t rest =
        size[0] | size_t{size[1]} << 8 | size_t{size[2]} << 16 | size_t{size[3]} << 24;
    return is_footer ? kApeHeader : kApeHeader + rest;
  }
  return 0;
}

bool is_sync(const uint8_t* at) { return at[0] == 0xFF && (at[1] & 0xE0) == 0xE0; }

}  // namespace

FrameSync::Found FrameSync::find(std::span<const uint8_t> packet) {
  Found found;
  size_t at = 0;
  while (at < packet.size()) {
    if (tag_left_ == 0) tag_left_ = tag_length(packet.subspan(at));
    if (tag_left_ == 0) break;
    const size_t here = std::min(tag_left_, packet.size() - at);
    tag_left_ -= here;
    at += here;
  }
  size_t sync = at;
  while (sync + 1 < packet.size() && !is_sync(&packet[sync])) ++sync;
  if (sync + 1 >= packet.size()) sync = packet.size();
  if (sync > at) {
    found.damaged = true;
    found.lost = seconds_of(static_cast<int64_t>(sync - at));
  }
  found.skip = sync;
  return found;
}

FrameSync::Found FrameSync::skipped(std::span<const uint8_t> begin, int64_t bytes) const {
  if (bytes <= 0 || tag_length(begin) > 0) return {};
  return {.lost = seconds_of(bytes), .damaged = true};
}

void FrameSync::decoded(size_t bytes, double seconds) {
  bytes_ += static_cast<double>(bytes);
  seconds_ += seconds;
}

double FrameSync::seconds_of(int64_t bytes) const {
  return bytes_ > 0 ? static_cast<double>(bytes) * seconds_ / bytes_ : 0;
}

}  // namespace parley::dsp
