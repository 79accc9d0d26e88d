#include "parley/pipeline/stt/stitcher.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "parley/text/unicode.h"
#include "parley/text/utf8.h"

namespace parley::pipeline {

namespace {

constexpr double kSlack = 1.0;  // seconds around the overlap in which words still count as inside

// Case and punctuation differ between windows; letters, digits and signs beyond ASCII do not.
std::string bare(const std::string& word) {
  const std::string lower = text::to_lower(text::replace_invalid_utf8(word));
  std::string out;
  for (std::string_view rest = lower; !rest.empty();) {
    const text::CodePoint point = text::first_code_point(rest);
    const char category = text::category(point.value);
    if (category == 'L' || category == 'M' || category == 'N' ||
        (category == 'S' && point.value >= 0x80))
      out += rest.substr(0, point.length);
    rest.remove_prefix(point.length);
  }
  return out;
}

struct Range {
  size_t begin;
  size_t end;
};

Range words_in(std::span<const TimedWord> words, double start, double end) {
  const auto inside = [&](const TimedWord& word) { return word.end >= start && word.start <= end; };
  const auto begin = std::find_if(words.begin(), words.end(), inside);
  const auto stop = std::find_if_not(begin, words.end(), inside);
  return {static_cast<size_t>(begin - words.begin()), static_cast<size_t>(stop - words.begin())};
}

Seam cut_by_time(std::span<const TimedWord> earlier, std::span<const TimedWord> later,
                 double time) {
  const auto before = [time](const TimedWord& word) { return word.middle() < time; };
  const auto keep = std::find_if_not(earlier.begin(), earlier.end(), before) - earlier.begin();
  const auto from = std::find_if_not(later.begin(), later.end(), before) - later.begin();
  return {static_cast<size_t>(keep), static_cast<size_t>(from)};
}

}  // namespace

Seam find_seam(std::span<const TimedWord> earlier, std::span<const TimedWord> later,
               double overlap_start, double overlap_end, double tolerance) {
  const double middle = (overlap_start + overlap_end) / 2;
  const Range a = words_in(earlier, overlap_start - kSlack, overlap_end + kSlack);
  const Range b = words_in(later, overlap_start - kSlack, overlap_end + kSlack);
  const size_t rows = a.end - a.begin;
  const size_t cols = b.end - b.begin;

  // The alignment in order with the highest score: a match is worth 1, less a little for the
  // distance in time.
  std::vector<std::string> left;
  std::vector<std::string> right;
  for (size_t i = 0; i < rows; ++i) left.push_back(bare(earlier[a.begin + i].text));
  for (size_t j = 0; j < cols; ++j) right.push_back(bare(later[b.begin + j].text));
  const auto match = [&](size_t i, size_t j) {
    const double apart = std::abs(earlier[a.begin + i].middle() - later[b.begin + j].middle());
    return !left[i].empty() && left[i] == right[j] && apart <= tolerance
               ? 1 - 0.3 * apart / tolerance
               : 0.0;
  };
  std::vector<double> best((rows + 1) * (cols + 1), 0.0);
  const auto at = [&](size_t i, size_t j) -> double& { return best[i * (cols + 1) + j]; };
  for (size_t i = rows; i-- > 0;) {
    for (size_t j = cols; j-- > 0;) {
      const double value = match(i, j);
      at(i, j) = std::max({at(i + 1, j), at(i, j + 1), value > 0 ? at(i + 1, j + 1) + value : 0.0});
    }
  }
  Seam seam = cut_by_time(earlier, later, middle);
  double nearest = 1e300;
  for (size_t i = 0, j = 0; i < rows && j < cols;) {
    const double value = match(i, j);
    if (value > 0 && at(i, j) == at(i + 1, j + 1) + value) {
      const double distance =
          std::abs((earlier[a.begin + i].middle() + later[b.begin + j].middle()) / 2 - middle);
      if (distance < nearest) {
        nearest = distance;
        seam = {a.begin + i + 1, b.begin + j + 1};
      }
      ++i;
      ++j;
    } else if (at(i, j) == at(i + 1, j)) {
      ++i;
    } else {
      ++j;
    }
  }
  return seam;
}

}  // namespace parley::pipeline
