// The word error rate: how many words of a reference were substituted, deleted or inserted.
#pragma once

#include <cstddef>
#include <string_view>

namespace parley::text {

struct WordErrors {
  size_t hits = 0;
  size_t substitutions = 0;
  size_t deletions = 0;   // words of the reference that are missing
  size_t insertions = 0;  // words that the reference does not have

  size_t errors() const { return substitutions + deletions + insertions; }
  size_t reference_words() const { return hits + substitutions + deletions; }
  // errors() / reference_words(), above 1 with many insertions. Without a reference: the number of
  // insertions, as in jiwer.
  double rate() const;

  WordErrors& operator+=(const WordErrors& other);
  bool operator==(const WordErrors&) const = default;
};

// Compares words between white space, as they stand: normalize both first (EnglishTextNormalizer).
// Of alignments with equally few errors the one that rapidfuzz finds, so that the counts are
// jiwer's. Over several utterances add the counts up. Takes time and (a quarter of a byte) memory
// for each pair of words; throws Error for more than 2^33 pairs.
WordErrors word_errors(std::string_view reference, std::string_view hypothesis);

}  // namespace parley::text
