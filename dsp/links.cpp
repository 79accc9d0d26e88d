#include "parley/dsp/links.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "parley/dsp/mp4_boxes.h"

namespace parley::dsp {

namespace {

constexpr std::string_view kOgg("OggS\0", 5);           // and version 0
constexpr std::string_view kFlac("fLaC\0\0\0\x22", 8);  // and its first block, of 34 bytes
constexpr size_t kHeader = 27;
constexpr unsigned kContinued = 1, kFirst = 2, kLast = 4;  // flags of a page

// The next `mark` from `at` on, or the end.
int64_t find_mark(ByteInput& input, std::string_view mark, int64_t at) {
  std::vector<char> block(1 << 18);
  while (at < input.size()) {
    input.seek(at);
    const size_t count = input.read(block.data(), block.size());
    const size_t found = std::string_view(block.data(), count).find(mark);
    if (found != std::string_view::npos) return at + static_cast<int64_t>(found);
    if (count < block.size()) break;
    at += static_cast<int64_t>(count - mark.size() + 1);
  }
  return input.size();
}

struct Page {
  unsigned flags = 0;
  uint32_t serial = 0;  // of its stream
  int64_t end = 0;      // may be behind the end of the input
};

// The page at `at`; nothing when there is none.
std::optional<Page> read_page(ByteInput& input, int64_t at) {
  std::array<char, kHeader + 255> bytes;
  input.seek(at);
  const std::string_view page(bytes.data(), input.read(bytes.data(), bytes.size()));
  if (!page.starts_with(kOgg) || page.size() < kHeader) return std::nullopt;
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(page[i]); };
  const size_t segments = byte(kHeader - 1);
  Page found{.flags = byte(5), .end = at + static_cast<int64_t>(kHeader + segments)};
  for (size_t i = 4; i-- > 0;) found.serial = found.serial << 8 | byte(14 + i);
  for (size_t i = kHeader; i < std::min(page.size(), kHeader + segments); ++i) found.end += byte(i);
  return found;
}

// Another recording begins at `at`; false: there are too many.
bool begin_link(Links& links, int64_t at, int64_t end) {
  links.links.back().end = at;
  links.has_more = links.links.size() == Links::kMost;
  if (!links.has_more) links.links.push_back({at, end});
  return !links.has_more;
}

void find_ogg_links(ByteInput& input, Links& links) {
  bool ended = false;     // this link has a last page
  bool has_data = false;  // and pages that are not first ones
  for (int64_t at = 0; at < input.size();) {
    const std::optional<Page> page = read_page(input, at);
    if (!page) {
      at = find_mark(input, kOgg, at + 1);
      continue;
    }
    const bool is_first = (page->flags & kFirst) != 0;
    if (is_first && has_data) {
      if (!begin_link(links, at, input.size())) return;
      ended = has_data = false;
    }
    has_data = has_data || !is_first;
    ended = (ended || (page->flags & kLast) != 0) && page->end <= input.size();
    at = page->end;
  }
  links.is_cut = !ended;
}

void find_flac_links(ByteInput& input, Links& links) {
  int64_t at = 0;
  while ((at = find_mark(input, kFlac, at + 1)) < input.size()) {
    if (!begin_link(links, at, input.size())) return;
  }
}

void find_mp4_links(ByteInput& input, Links& links) {
  bool has_index = false;
  int64_t at = 0;
  for (int box = 0; box < kMostMp4Boxes && at < input.size(); ++box) {
    const std::optional<Mp4Box> found = read_mp4_box(input, at);
    if (!found) return;
    if (found->type == "ftyp" && has_index) {
      if (!begin_link(links, at, input.size())) return;
      has_index = false;
    }
    has_index = has_index || found->type == "moov";
    at = found->end;
  }
}

}  // namespace

Links find_links(ByteInput& input) {
  Links found{.links = {{0, input.size()}}};
  const std::string_view head = input.head(8);
  if (head.starts_with(kOgg.substr(0, 4))) {
    find_ogg_links(input, found);
  } else if (head.starts_with(kFlac.substr(0, 4))) {
    find_flac_links(input, found);
  } else if (head.size() == 8 && head.substr(4) == "ftyp") {
    find_mp4_links(input, found);
  }
  return found;
}

bool ogg_pages_are_missing(ByteInput& input, int64_t from, int64_t to) {
  const std::optional<Page> first = read_page(input, from);
  if (!first) return true;
  for (int64_t at = first->end; at < to;) {
    const std::optional<Page> page = read_page(input, at);
    const bool continued = page && (page->flags & kContinued) != 0;  // one packet lies on all
    if (!page || (page->serial == first->serial && !continued)) return true;
    at = page->end;
  }
  return first->end > to;
}

}  // namespace parley::dsp
