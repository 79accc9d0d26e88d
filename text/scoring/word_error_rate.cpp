#include "parley/text/scoring/word_error_rate.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "parley/core/base/error.h"
#include "parley/text/scoring/basic_normalizer.h"

namespace parley::text {

namespace {

constexpr uint64_t kMaxPairs = uint64_t{1} << 33;

// The distance between reference[0, column) and hypothesis[0, row) is a table. Of it only this is
// kept: whether a cell is one more, or one less, than its left neighbour.
class Distances {
 public:
  Distances(const std::vector<int>& reference, const std::vector<int>& hypothesis)
      : columns_(reference.size()),
        more_(reference.size() * (hypothesis.size() + 1)),
        less_(reference.size() * (hypothesis.size() + 1)) {
    std::vector<size_t> row(columns_ + 1);
    for (size_t i = 0; i <= columns_; ++i) row[i] = i;
    keep(row, 0);
    for (size_t r = 1; r <= hypothesis.size(); ++r) {
      size_t diagonal = row[0]++;
      for (size_t c = 1; c <= columns_; ++c) {
        const size_t substituted = diagonal + (reference[c - 1] == hypothesis[r - 1] ? 0 : 1);
        diagonal = row[c];
        row[c] = std::min({substituted, row[c - 1] + 1, diagonal + 1});
      }
      keep(row, r);
    }
  }

  bool more_than_left(size_t column, size_t row) const {
    return more_[row * columns_ + column - 1];
  }
  bool less_than_left(size_t column, size_t row) const {
    return less_[row * columns_ + column - 1];
  }

 private:
  void keep(const std::vector<size_t>& distances, size_t row) {
    for (size_t c = 1; c <= columns_; ++c) {
      more_[row * columns_ + c - 1] = distances[c] > distances[c - 1];
      less_[row * columns_ + c - 1] = distances[c] < distances[c - 1];
    }
  }

  size_t columns_;
  std::vector<bool> more_, less_;
};

// From the end of both: a deletion where there can be one, else an insertion, else a pair.
WordErrors aligned(const std::vector<int>& reference, const std::vector<int>& hypothesis) {
  const Distances distances(reference, hypothesis);
  WordErrors errors;
  size_t column = reference.size(), row = hypothesis.size();
  while (column > 0 && row > 0) {
    if (distances.more_than_left(column, row)) {
      ++errors.deletions;
      --column;
      continue;
    }
    --row;
    if (row > 0 && distances.less_than_left(column, row)) {
      ++errors.insertions;
      continue;
    }
    --column;
    ++(reference[column] == hypothesis[row] ? errors.hits : errors.substitutions);
  }
  errors.deletions += column;
  errors.insertions += row;
  return errors;
}

}  // namespace

double WordErrors::rate() const {
  if (reference_words() == 0) return static_cast<double>(insertions);
  return static_cast<double>(errors()) / static_cast<double>(reference_words());
}

WordErrors& WordErrors::operator+=(const WordErrors& other) {
  hits += other.hits;
  substitutions += other.substitutions;
  deletions += other.deletions;
  insertions += other.insertions;
  return *this;
}

WordErrors word_errors(std::string_view reference, std::string_view hypothesis) {
  std::unordered_map<std::string, int> ids;
  const auto read = [&](std::string_view text) {
    std::vector<int> words;
    for (std::string& word : split_words(text)) {
      words.push_back(ids.emplace(std::move(word), static_cast<int>(ids.size())).first->second);
    }
    return words;
  };
  std::vector<int> expected = read(reference);
  std::vector<int> given = read(hypothesis);
  // What both begin and end with needs no table.
  WordErrors same;
  const auto begin = std::ranges::mismatch(expected, given);
  same.hits = static_cast<size_t>(begin.in1 - expected.begin());
  given.erase(given.begin(), begin.in2);
  expected.erase(expected.begin(), begin.in1);
  while (!expected.empty() && !given.empty() && expected.back() == given.back()) {
    expected.pop_back();
    given.pop_back();
    ++same.hits;
  }
  if (uint64_t{expected.size()} * (given.size() + 1) > kMaxPairs) {
    throw Error("word error rate", "the texts are too long to compare", "compare shorter parts");
  }
  return same += aligned(expected, given);
}

}  // namespace parley::text
