// Regular expressions (PCRE2): matching at a place, searching, replacing.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace parley::text {

// Where a pattern matched, and its groups. Views point into the searched text.
class Match {
 public:
  size_t begin() const { return groups_[0].begin; }
  size_t end() const { return groups_[0].end; }
  // Whether a group took part in the match, and what it matched: "" if it did not.
  bool has(size_t group) const { return group < groups_.size() && groups_[group].begin != kUnset; }
  std::string_view operator[](size_t group) const {
    return has(group)
               ? text_.substr(groups_[group].begin, groups_[group].end - groups_[group].begin)
               : std::string_view();
  }

 private:
  friend class Pattern;
  static constexpr size_t kUnset = static_cast<size_t>(-1);
  struct Range {
    size_t begin;
    size_t end;
  };
  std::string_view text_;
  std::vector<Range> groups_;
};

// A compiled pattern: immutable, for any number of threads. Matching is bounded: a search that
// backtracks for too long finds nothing.
class Pattern {
 public:
  enum class Unit {
    kByte,       // . is a byte, \w \d \s \b are ASCII's
    kCodePoint,  // text must be valid UTF-8; \w \d \s \b are Unicode's
  };

  // Throws Error when the expression is wrong.
  explicit Pattern(std::string_view expression, Unit unit = Unit::kByte);

  // A match that begins at byte `at` exactly. What lies before `at` is seen by lookbehinds.
  std::optional<Match> match_at(std::string_view text, size_t at) const;
  // The first match that begins at or after `at`.
  std::optional<Match> search(std::string_view text, size_t at = 0) const;
  // `text` with every match, left to right and none overlapping, replaced.
  std::string replace(std::string_view text,
                      const std::function<std::string(const Match&)>& replacement) const;
  std::string replace(std::string_view text, std::string_view replacement) const;

 private:
  std::optional<Match> find(std::string_view text, size_t at, unsigned options) const;

  std::shared_ptr<const void> code_;
  size_t groups_ = 0;
  Unit unit_;
};

}  // namespace parley::text
