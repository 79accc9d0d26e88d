#include "parley/dsp/wav_chunks.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

namespace parley::dsp {

namespace {

constexpr size_t kRiff = 12;               // bytes: RIFF, size, WAVE
constexpr size_t kChunk = 8;               // id, size
constexpr uint32_t kUnknown = 0x7FFF0000;  // sizes from here on are no promise
constexpr double kLeftover = 0.1;          // seconds behind the last chunk that are padding
constexpr size_t kMostSegments = 100000;
constexpr int64_t kMostSkipped = 1 << 26;  // bytes of a chunk in a stream
constexpr std::array<std::string_view, 12> kKnown = {
    "LIST", "id3 ", "ID3 ", "bext", "iXML", "_PMX", "JUNK", "fact", "cue ", "smpl", "FLLR", "PAD "};

uint32_t number(std::string_view bytes, size_t at, size_t count = 4) {
  uint32_t value = 0;
  for (size_t i = count; i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

int64_t padded(uint32_t size) { return int64_t{size} + size % 2; }

bool is_riff(std::string_view bytes) {
  return bytes.size() >= kRiff && bytes.substr(0, 4) == "RIFF" && bytes.substr(8, 4) == "WAVE";
}

}  // namespace

std::optional<WavChunks> WavChunks::open(ByteInput& input, int64_t begin) {
  WavChunks chunks(input);
  if (!chunks.read_header(begin)) return std::nullopt;
  while (!input.is_stream() && !chunks.complete_) chunks.find_more();
  return chunks;
}

// Up to the first samples.
bool WavChunks::read_header(int64_t begin) {
  std::string head = peek(begin, kRiff);
  if (!is_riff(head)) return false;
  int64_t at = begin + static_cast<int64_t>(kRiff);
  while (true) {
    head = peek(at, kChunk);
    if (head.size() < kChunk) return false;
    const uint32_t size = number(head, 4);
    const std::string id = head.substr(0, 4);
    at += kChunk;
    if (id == "data") {
      if (format_.empty() || at - begin > (1 << 24)) return false;
      header_ = peek(begin, static_cast<size_t>(at - begin));
      if (header_.size() < static_cast<size_t>(at - begin)) return false;
      // libsndfile takes this for a file that was not closed, and reads to its end.
      header_.replace(4, 4, std::string("\x08\0\0\0", 4));
      header_.replace(header_.size() - 4, 4, std::string(4, '\0'));
      end_ = static_cast<int64_t>(header_.size());
      add_data(at, size);
      return true;
    }
    if (id == "fmt ") {
      format_ = peek(at, std::min<size_t>(size, 40));
      if (format_.size() < 16) return false;
      byte_rate_ = number(format_, 8);
      if (format_.size() >= 40 && number(format_, 0, 2) == 0xFFFE) speakers_ = number(format_, 20);
    }
    if (size > kUnknown) return false;
    at += padded(size);
    if (input_->is_stream() ? at > static_cast<int64_t>(ByteInput::kHead) : at > input_->size())
      return false;
  }
}

// A data chunk whose samples begin at `at`.
bool WavChunks::add_data(int64_t at, uint32_t size) {
  if (segments_.size() >= kMostSegments) complete_ = true;
  if (complete_) return false;
  if (size == 0) {
    const std::string head = peek(at, kChunk);
    if (head.size() == kChunk && is_chunk(head, at)) {
      segments_.push_back({end_, at, 0});
      return true;
    }
    is_promised_ = false;
    go_on(at);
    return true;
  }
  if (size >= kUnknown) is_promised_ = false;
  promised_ += size;
  int64_t length = size;
  if (!input_->is_stream() && length > input_->size() - at) {
    length = std::max<int64_t>(0, input_->size() - at);
    complete_ = true;
    is_short_ = is_promised_;
  }
  segments_.push_back({end_, at, length});
  end_ += length;
  return true;
}

// The samples go on from here to the end of the input.
void WavChunks::go_on(int64_t at) {
  const int64_t length = input_->is_stream() ? ByteInput::kUnknownSize - end_
                                             : std::max<int64_t>(0, input_->size() - at);
  segments_.push_back({end_, at, length});
  end_ += length;
  complete_ = true;
}

bool WavChunks::is_chunk(const std::string& head, int64_t at) const {
  const std::string_view id = std::string_view(head).substr(0, 4);
  if (id == "data" || id == "RIFF") return true;
  if (std::find(kKnown.begin(), kKnown.end(), id) != kKnown.end()) return true;
  const bool is_name = std::all_of(id.begin(), id.end(), [](unsigned char c) {
    return c < 0x80 && (std::isalnum(c) != 0 || c == ' ' || c == '_');
  });
  const int64_t most = input_->is_stream() ? kMostSkipped : input_->size() - at - 8;
  return is_name && id[0] != ' ' && number(head, 4) <= most;
}

// Looks behind the last samples for more; false: there are none.
bool WavChunks::find_more() {
  if (complete_) return false;
  int64_t at = segments_.back().begin + segments_.back().length;
  const bool odd = segments_.back().length % 2 != 0;
  while (!complete_) {
    const size_t pad = odd && at == segments_.back().begin + segments_.back().length ? 1 : 0;
    std::string head = peek(at, kChunk + pad);
    if (head.size() < kChunk + pad) break;
    if (!is_chunk(head.substr(pad), at + static_cast<int64_t>(pad))) {
      const auto leftover = static_cast<size_t>(std::min(kLeftover * byte_rate_, 1e5)) + 1;
      if (peek(at, leftover).size() == leftover) {
        is_longer_ = is_promised_;
        go_on(at);
      }
      break;
    }
    head.erase(0, pad);
    at += static_cast<int64_t>(pad);
    const std::string id = head.substr(0, 4);
    const uint32_t size = number(head, 4);
    if (id == "data") return add_data(at + static_cast<int64_t>(kChunk), size);
    if (id == "RIFF") {
      if (!is_riff(peek(at, kRiff))) break;
      next_ = at;
      if (!pass(at, kRiff)) break;
      continue;
    }
    if (id == "fmt ") {
      const std::string other = peek(at, kChunk + 16);
      if (other.size() < kChunk + 16 || other.substr(kChunk) != format_.substr(0, 16)) break;
      next_.reset();
    }
    if (!pass(at, static_cast<int64_t>(kChunk) + padded(size))) break;
  }
  const bool found = complete_;
  complete_ = true;
  return found;
}

// Goes on by `count` bytes; false when the input ends before.
bool WavChunks::pass(int64_t& at, int64_t count) {
  if (input_->is_stream()) {
    std::vector<char> scratch(1 << 14);
    for (int64_t left = count; left > 0;) {
      const auto wanted = static_cast<size_t>(std::min<int64_t>(left, scratch.size()));
      const size_t got = read_input(at + count - left, scratch.data(), wanted);
      if (got < wanted) return false;
      left -= static_cast<int64_t>(got);
    }
  }
  at += count;
  return input_->is_stream() || at <= input_->size();
}

// Bytes of the input without passing them.
std::string WavChunks::peek(int64_t at, size_t count) {
  const int64_t end = at + static_cast<int64_t>(count);
  const bool in_head = end <= static_cast<int64_t>(ByteInput::kHead);
  if (input_->is_stream() && in_head) input_->head(static_cast<size_t>(end));
  std::string bytes(count, 0);
  bytes.resize(read_input(at, bytes.data(), count));
  const int64_t known = ahead_at_ + static_cast<int64_t>(ahead_.size());
  if (input_->is_stream() && !in_head && !(at >= ahead_at_ && end <= known)) {
    ahead_ = bytes;
    ahead_at_ = at;
  }
  return bytes;
}

size_t WavChunks::read_input(int64_t at, char* out, size_t count) {
  size_t done = 0;
  const auto ahead = static_cast<int64_t>(ahead_.size());
  if (at >= ahead_at_ && at < ahead_at_ + ahead) {
    const auto from = static_cast<size_t>(at - ahead_at_);
    done = std::min(count, ahead_.size() - from);
    std::copy_n(ahead_.data() + from, done, out);
  }
  if (done == count) return done;
  input_->seek(at + static_cast<int64_t>(done));
  return done + input_->read(out + done, count - done);
}

int64_t WavChunks::size() const { return complete_ ? end_ : ByteInput::kUnknownSize; }

double WavChunks::seconds_of(int64_t bytes) const {
  return byte_rate_ > 0 ? static_cast<double>(bytes) / byte_rate_ : 0;
}

size_t WavChunks::read(int64_t at, char* out, size_t count) {
  size_t done = 0;
  if (at < static_cast<int64_t>(header_.size())) {
    done = std::min(count, header_.size() - static_cast<size_t>(at));
    std::copy_n(header_.data() + at, done, out);
  }
  size_t segment = 0;
  while (done < count) {
    const int64_t seen = at + static_cast<int64_t>(done);
    while (segment < segments_.size() &&
           seen >= segments_[segment].seen + segments_[segment].length) {
      ++segment;
    }
    if (segment == segments_.size()) {
      if (!find_more()) break;
      continue;
    }
    const Segment& here = segments_[segment];
    const int64_t inside = seen - here.seen;
    const auto wanted = static_cast<size_t>(
        std::min<int64_t>(static_cast<int64_t>(count - done), here.length - inside));
    const size_t got = read_input(here.begin + inside, out + done, wanted);
    done += got;
    if (got < wanted) {
      is_short_ = is_short_ || (is_promised_ && !complete_);
      complete_ = true;
      break;
    }
  }
  return done;
}

}  // namespace parley::dsp
