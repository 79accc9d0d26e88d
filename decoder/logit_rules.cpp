#include "parley/decoder/logit_rules.h"

#include <algorithm>
#include <limits>

#include "parley/core/nn/linear.h"

namespace parley::decoder {

namespace {

constexpr float kForbidden = -std::numeric_limits<float>::infinity();

// Forbids tokens [begin, end), clipped to the vocabulary.
void forbid(std::span<float> logits, int64_t begin, int64_t end) {
  const auto size = static_cast<int64_t>(logits.size());
  begin = std::clamp<int64_t>(begin, 0, size);
  end = std::clamp<int64_t>(end, begin, size);
  std::fill(logits.begin() + begin, logits.begin() + end, kForbidden);
}

void forbid(std::span<float> logits, std::span<const int32_t> tokens) {
  for (const int32_t token : tokens) forbid(logits, token, token + 1);
}

}  // namespace

void LogitRules::apply(std::span<float> logits, std::span<const int32_t> sampled) const {
  if (sampled.empty()) forbid(logits, suppressed_at_begin);
  forbid(logits, suppressed);
  if (timestamps) apply_timestamp_grammar(logits, sampled);
}

void LogitRules::apply_timestamp_grammar(std::span<float> logits,
                                         std::span<const int32_t> sampled) const {
  const auto size = static_cast<int64_t>(logits.size());
  const auto is_timestamp = [this](int32_t token) { return token >= timestamp_begin; };
  forbid(logits, no_timestamps, no_timestamps + 1);

  // Timestamps come in pairs, except before eot.
  const bool last = !sampled.empty() && is_timestamp(sampled.back());
  const bool before_last = sampled.size() < 2 || is_timestamp(sampled[sampled.size() - 2]);
  if (last && before_last) forbid(logits, timestamp_begin, size);
  if (last && !before_last) forbid(logits, 0, eot);

  // They do not go back; only the second of a pair may repeat the first.
  const auto latest = std::find_if(sampled.rbegin(), sampled.rend(), is_timestamp);
  if (latest != sampled.rend())
    forbid(logits, timestamp_begin, last && !before_last ? *latest : *latest + 1);

  if (sampled.empty()) {
    forbid(logits, 0, timestamp_begin);
    if (max_initial_timestamp_index >= 0)
      forbid(logits, timestamp_begin + max_initial_timestamp_index + 1, size);
  }

  // A timestamp is sampled when all of them together are likelier than any text.
  const auto first = logits.subspan(static_cast<size_t>(std::min<int64_t>(timestamp_begin, size)));
  const auto text = logits.first(logits.size() - first.size());
  if (first.empty() || text.empty()) return;
  const nn::Peak timestamp_peak = nn::peak(first);
  if (timestamp_peak.maximum == kForbidden) return;
  if (timestamp_peak.logsumexp > nn::maximum(text)) forbid(logits, 0, timestamp_begin);
}

}  // namespace parley::decoder
