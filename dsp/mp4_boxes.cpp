#include "parley/dsp/mp4_boxes.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace parley::dsp {

namespace {

constexpr std::array<std::string_view, 16> kTypes = {"ftyp", "moov", "mdat", "free", "wide", "skip",
                                                     "uuid", "pnot", "moof", "mfra", "sidx", "ssix",
                                                     "styp", "prft", "emsg", "meta"};

}  // namespace

std::optional<Mp4Box> read_mp4_box(ByteInput& input, int64_t at) {
  std::array<char, 16> head{};
  input.seek(at);
  const size_t got = input.read(head.data(), head.size());
  if (got < 8) return std::nullopt;
  const auto number = [&](size_t begin, size_t bytes) {
    uint64_t value = 0;
    for (size_t i = begin; i < begin + bytes; ++i)
      value = value << 8 | static_cast<uint8_t>(head[i]);
    return value;
  };
  const std::string_view type(head.data() + 4, 4);
  if (std::find(kTypes.begin(), kTypes.end(), type) == kTypes.end()) return std::nullopt;
  const auto left = static_cast<uint64_t>(input.size() - at);
  uint64_t size = number(0, 4);
  if (size == 0) size = left;  // to the end
  if (size == 1 && got == head.size()) size = number(8, 8);
  if (size < 8) return std::nullopt;
  return Mp4Box{std::string(type), at + static_cast<int64_t>(std::min(size, left))};
}

bool mp4_index_is_missing(ByteInput& input, int64_t begin, int64_t end) {
  bool is_mp4 = false;
  int64_t at = begin;
  for (int box = 0; box < kMostMp4Boxes && at < end; ++box) {
    const std::optional<Mp4Box> found = read_mp4_box(input, at);
    if (!found) break;
    if (found->type == "moov") return false;
    is_mp4 = is_mp4 || found->type == "ftyp" || found->type == "mdat";
    at = found->end;
  }
  return is_mp4;
}

}  // namespace parley::dsp
