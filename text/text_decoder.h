// Files of text in any encoding become UTF-8, while they still come.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace parley::text {

// Bytes that arrive in pieces cut anywhere become valid UTF-8. UTF-8, UTF-16 and UTF-32 are known
// by their byte order mark; UTF-16 without one by its first two characters, if these are ASCII.
// What is not valid UTF-8 from its first other character on is taken for Windows-1252 (Latin-1)
// when it is mostly ASCII, and otherwise for what ICU's detector is sure of. Invalid bytes of UTF-8
// that was known as such become U+FFFD.
//
// How the bytes are cut changes nothing; a pause() may, for it decides with what is there. Throws
// Error, which says what to do, for what is no text (a picture, a program) and for encodings that
// cannot be told for certain.
class TextDecoder {
 public:
  // `where` names the text in errors.
  explicit TextDecoder(std::string where);
  ~TextDecoder();
  TextDecoder(TextDecoder&&) noexcept;
  TextDecoder& operator=(TextDecoder&&) noexcept;

  std::string push(std::string_view bytes);
  // Nothing comes for now: what was held to tell the encoding is decided.
  std::string pause();
  // The text has ended.
  std::string finish();

  // The encoding, where it was told by the bytes alone and is not UTF-8: "windows-1252".
  const std::string& guessed() const { return guessed_; }

 private:
  class Converter;  // ICU's
  enum class State { kBeginning, kUtf8, kDoubtful, kConverting };

  std::string advance(bool wait);
  void begin();
  std::string take_utf8();
  void decide();
  void convert_from(const std::string& encoding);
  void refuse_binary(std::string_view bytes);

  std::string where_;
  State state_ = State::kBeginning;
  std::string held_;          // not yet given out
  std::string seen_;          // the last of what was, for the detector
  bool has_letters_ = false;  // of UTF-8 beyond ASCII were seen
  size_t bytes_ = 0;          // looked at by refuse_binary()
  size_t controls_ = 0;       // of these, what no text has
  std::string guessed_;
  std::unique_ptr<Converter> converter_;
};

}  // namespace parley::text
