#include "parley/text/text_decoder.h"

#include <unicode/ucnv.h>
#include <unicode/ucsdet.h>
#include <unicode/unistr.h>

#include <algorithm>
#include <array>
#include <utility>

#include "parley/core/base/error.h"
#include "parley/text/utf8.h"

namespace parley::text {

namespace {

constexpr size_t kBeginning = 4;  // bytes that tell UTF-16 and most files that are no text
constexpr size_t kSample = 1024;  // bytes on either side that the detector is shown
constexpr int kSure = 40;         // ICU's confidence, of 100

bool is_control(char c) {
  static constexpr std::string_view kOfText = "\t\n\v\f\r\b\x1A\x1B";
  return ((c >= 0 && c < 0x20) || c == 0x7F) && kOfText.find(c) == std::string_view::npos;
}

// What files that are no text begin with.
struct Signature {
  std::string_view bytes;
  const char* name;
};
constexpr Signature kSignatures[] = {{"\x89PNG", "a PNG picture"},
                                     {"\xFF\xD8\xFF", "a JPEG picture"},
                                     {"%PDF", "a PDF document"},
                                     {"PK\x03\x04", "a ZIP archive or office document"},
                                     {"{\\rt", "an RTF document"},
                                     {"\x7F"
                                      "ELF",
                                      "a program"},
                                     {"\x1F\x8B", "a gzip archive"},
                                     {"\xFD"
                                      "7zX",
                                      "an xz archive"},
                                     {"(\xB5/\xFD", "a zstd archive"},
                                     {"\x1A"
                                      "E\xDF\xA3",
                                      "a Matroska file"},
                                     {"\xD0\xCF\x11\xE0", "an office document"}};

// Whether all of `bytes`, two a character, are ASCII text in UTF-16.
bool is_utf16(std::string_view bytes, size_t low) {
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) {
    const char c = bytes[i + low];
    if (bytes[i + 1 - low] != 0 || c <= 0 || is_control(c)) return false;
  }
  return bytes.size() >= kBeginning;
}

// What ICU's detector makes of it; "" if it is not sure.
std::string detected(std::string_view sample) {
  UErrorCode error = U_ZERO_ERROR;
  const std::unique_ptr<UCharsetDetector, decltype(&ucsdet_close)> detector(ucsdet_open(&error),
                                                                            ucsdet_close);
  ucsdet_setText(detector.get(), sample.data(), static_cast<int32_t>(sample.size()), &error);
  const UCharsetMatch* match = ucsdet_detect(detector.get(), &error);
  if (U_FAILURE(error) != 0 || match == nullptr) return "";
  const int32_t confidence = ucsdet_getConfidence(match, &error);
  const char* name = ucsdet_getName(match, &error);
  return U_FAILURE(error) != 0 || confidence < kSure ? "" : name;
}

// Windows-1252 leaves five places free, and its letters stand among ASCII's.
bool is_western(std::string_view sample) {
  static constexpr std::string_view kFree = "\x81\x8D\x8F\x90\x9D";
  size_t high = 0, letters = 0;
  for (const char c : sample) {
    if (kFree.find(c) != std::string_view::npos) return false;
    high += (c & 0x80) != 0 ? 1 : 0;
    letters += (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ? 1 : 0;
  }
  return high <= letters / 3 + 3;
}

}  // namespace

class TextDecoder::Converter {
 public:
  explicit Converter(const std::string& encoding) {
    UErrorCode error = U_ZERO_ERROR;
    converter_.reset(ucnv_open(encoding.c_str(), &error));
    if (U_FAILURE(error) != 0) throw Error("text", "ICU does not know the encoding " + encoding);
  }

  // As UTF-8; `last`: what is incomplete then becomes U+FFFD.
  std::string convert(std::string_view bytes, bool last) {
    icu::UnicodeString text;
    std::array<char16_t, 1024> buffer;
    const char* from = bytes.data();
    for (UErrorCode error = U_BUFFER_OVERFLOW_ERROR; error == U_BUFFER_OVERFLOW_ERROR;) {
      error = U_ZERO_ERROR;
      char16_t* to = buffer.data();
      ucnv_toUnicode(converter_.get(), &to, buffer.data() + buffer.size(), &from,
                     bytes.data() + bytes.size(), nullptr, last, &error);
      text.append(buffer.data(), static_cast<int32_t>(to - buffer.data()));
    }
    // Half of a surrogate pair waits for the other half.
    text.insert(0, waiting_);
    waiting_.remove();
    if (!last && !text.isEmpty() && U16_IS_LEAD(text[text.length() - 1])) {
      waiting_ = text[text.length() - 1];
      text.truncate(text.length() - 1);
    }
    std::string utf8;
    text.toUTF8String(utf8);
    return utf8;
  }

 private:
  std::unique_ptr<UConverter, decltype(&ucnv_close)> converter_{nullptr, ucnv_close};
  icu::UnicodeString waiting_;
};

TextDecoder::TextDecoder(std::string where) : where_(std::move(where)) {}
TextDecoder::~TextDecoder() = default;
TextDecoder::TextDecoder(TextDecoder&&) noexcept = default;
TextDecoder& TextDecoder::operator=(TextDecoder&&) noexcept = default;

std::string TextDecoder::push(std::string_view bytes) {
  held_ += bytes;
  return advance(true);
}

std::string TextDecoder::pause() { return advance(false); }

std::string TextDecoder::finish() {
  std::string text = advance(false);
  if (state_ == State::kUtf8 && !held_.empty() && !has_letters_) {
    state_ = State::kDoubtful;  // ends with what may begin a code point: "caf\xE9"
    text += advance(false);
  }
  if (state_ == State::kConverting) return text + converter_->convert("", true);
  text += replace_invalid_utf8(std::exchange(held_, {}));  // an incomplete code point
  return text;
}

// Everything that can be given out now. `wait`: more may come, and help to tell the encoding.
std::string TextDecoder::advance(bool wait) {
  std::string text;
  if (state_ == State::kBeginning) {
    if (held_.empty() || (wait && held_.size() < kBeginning)) return text;
    begin();
  }
  if (state_ == State::kUtf8) text = take_utf8();
  if (state_ == State::kDoubtful && (!wait || held_.size() >= kSample)) decide();
  if (state_ == State::kUtf8) text += take_utf8();
  if (state_ == State::kConverting) {
    const std::string converted = converter_->convert(std::exchange(held_, {}), false);
    refuse_binary(converted);
    text += converted;
  }
  return text;
}

void TextDecoder::begin() {
  const std::string_view head = held_;
  for (const Signature& signature : kSignatures) {
    if (head.starts_with(signature.bytes))
      throw Error(where_, std::string("is ") + signature.name + ", not a text");
  }
  const auto marked = [&](std::string_view mark, const char* encoding) {
    if (!head.starts_with(mark)) return false;
    held_.erase(0, mark.size());
    if (*encoding == '\0') {
      has_letters_ = true;
      state_ = State::kUtf8;
    } else {
      convert_from(encoding);
    }
    return true;
  };
  using namespace std::string_view_literals;
  if (marked("\xEF\xBB\xBF"sv, "") || marked("\xFF\xFE\0\0"sv, "UTF-32LE") ||
      marked("\0\0\xFE\xFF"sv, "UTF-32BE") || marked("\xFF\xFE"sv, "UTF-16LE") ||
      marked("\xFE\xFF"sv, "UTF-16BE")) {
    return;
  }
  state_ = State::kUtf8;
  for (const auto& [encoding, low] : {std::pair{"UTF-16LE", size_t{0}}, {"UTF-16BE", size_t{1}}}) {
    if (!is_utf16(head.substr(0, kBeginning), low)) continue;
    guessed_ = encoding;
    return convert_from(encoding);
  }
}

// Code points that are whole, up to the first invalid byte that may mean another encoding.
std::string TextDecoder::take_utf8() {
  std::string text;
  size_t at = 0;
  for (const std::string_view held = held_; at < held.size();) {
    const CodePoint point = first_code_point(held.substr(at));
    if (point.status == Utf8Status::kIncomplete) break;
    if (point.status == Utf8Status::kInvalid && !has_letters_) {
      state_ = State::kDoubtful;
      break;
    }
    has_letters_ = has_letters_ || point.value >= 0x80;
    append_utf8(text, point.value);
    at += point.length;
  }
  refuse_binary(std::string_view(held_).substr(0, at));
  seen_ += std::string_view(held_).substr(0, at);
  if (seen_.size() > kSample) seen_.erase(0, seen_.size() - kSample);
  held_.erase(0, at);
  return text;
}

void TextDecoder::decide() {
  const std::string sample = seen_ + held_.substr(0, kSample);
  refuse_binary(std::string_view(held_).substr(0, kSample));
  std::string encoding = is_western(sample) ? "windows-1252" : detected(sample);
  if (encoding.starts_with("ISO-8859-1")) encoding = "windows-1252";  // which has all of it
  if (encoding.empty() || encoding.starts_with("UTF")) {
    throw Error(where_, "is neither UTF-8 nor in another encoding that can be told for certain",
                "convert it: iconv -f ITS_ENCODING -t UTF-8");
  }
  guessed_ = encoding;
  convert_from(encoding);
}

void TextDecoder::convert_from(const std::string& encoding) {
  converter_ = std::make_unique<Converter>(encoding);
  state_ = State::kConverting;
}

void TextDecoder::refuse_binary(std::string_view bytes) {
  constexpr size_t kFew = 4;
  for (const char c : bytes) {
    ++bytes_;
    controls_ += is_control(c) ? 1 : 0;
    if (controls_ > kFew && controls_ > bytes_ / 16)
      throw Error(where_, "is not a text: it holds the bytes of a picture, a program or the like");
  }
}

}  // namespace parley::text
