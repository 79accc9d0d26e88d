#include "parley/cli/transcribe/transcribe_progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "parley/text/utf8.h"

namespace parley::cli {

namespace {

size_t terminal_columns() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

// At most `columns` code points, none of which moves the cursor.
std::string cut(std::string_view text, size_t columns) {
  std::string out;
  for (; !text.empty() && columns > 0; --columns) {
    const text::CodePoint point = text::first_code_point(text);
    text.remove_prefix(point.length);
    text::append_utf8(out, point.value < 0x20 || point.value == 0x7F ? U'?' : point.value);
  }
  return out;
}

}  // namespace

std::string progress_line(const std::string& label, double seconds, double total, double elapsed,
                          size_t columns) {
  constexpr int kWidth = 24;
  const double speed = elapsed > 0 ? seconds / elapsed : 0;
  std::array<char, 160> line;
  if (total > 0) {
    const int done = static_cast<int>(kWidth * std::clamp(seconds / total, 0.0, 1.0));
    const std::string bar = std::string(static_cast<size_t>(done), '#') +
                            std::string(static_cast<size_t>(kWidth - done), '-');
    std::snprintf(line.data(), line.size(), "[%s] %6.1f / %.1f s %6.1fx  ", bar.c_str(), seconds,
                  total, speed);
  } else {
    std::snprintf(line.data(), line.size(), "%8.1f s %6.1fx  ", seconds, speed);
  }
  return cut(line.data() + label, columns);
}

void TranscribeProgress::show(const std::string& label, double total_seconds, double seconds) {
  if (!visible_) return;
  const auto now = Clock::now();
  if (label != label_) {
    label_ = label;
    begun_ = now;
  } else if (drawn_ && now - last_ < std::chrono::milliseconds(100)) {
    return;
  }
  draw(total_seconds, seconds, now);
}

void TranscribeProgress::draw(double total_seconds, double seconds, Clock::time_point now) {
  const double elapsed = std::chrono::duration<double>(now - begun_).count();
  const std::string line =
      progress_line(label_, seconds, total_seconds, elapsed, terminal_columns() - 1);
  std::fprintf(stderr, "\r\033[K%s", line.c_str());
  drawn_ = true;
  last_ = now;
}

void TranscribeProgress::clear() {
  if (drawn_) std::fputs("\r\033[K", stderr);
  drawn_ = false;
}

}  // namespace parley::cli
