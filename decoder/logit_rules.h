// Which tokens may come next in a Whisper transcript.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "parley/text/tokenizer/special_tokens.h"

namespace parley::decoder {

// What the rules need to know of a checkpoint and of what is asked.
struct LogitRules {
  int32_t eot = 0;
  int32_t no_timestamps = 0;
  int32_t timestamp_begin = 0;
  std::vector<int32_t> suppressed;           // never sampled
  std::vector<int32_t> suppressed_at_begin;  // not sampled first: the blank and eot
  bool timestamps = true;  // the transcript carries timestamps and follows their grammar
  int max_initial_timestamp_index = 50;  // in steps of 0.02 s; negative: no limit

  // Sets the logits of forbidden tokens to -inf. sampled: the tokens since the start sequence.
  // Reference: openai/whisper decoding.py, SuppressBlank, SuppressTokens, ApplyTimestampRules, in
  // this order.
  void apply(std::span<float> logits, std::span<const int32_t> sampled) const;

 private:
  void apply_timestamp_grammar(std::span<float> logits, std::span<const int32_t> sampled) const;
};

}  // namespace parley::decoder
