#include "parley/decoder/word_alignment.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string_view>
#include <utility>

#include "parley/decoder/time_warping.h"
#include "parley/text/scoring/word_tokens.h"
#include "parley/text/utf8.h"

namespace parley::decoder {

namespace {

constexpr double kPositionSeconds = 0.02;
constexpr std::string_view kOpening = "\"'“¿([{-";
constexpr std::string_view kClosing = "\"'.。,，!！?？:：”)]}、";

bool all_finite(const nn::Tensor& matrix) {
  return std::all_of(matrix.f32(), matrix.f32() + matrix.shape.elements(),
                     [](float value) { return std::isfinite(value); });
}

}  // namespace

std::vector<std::vector<AlignedWord>> align_words(nn::Context& ctx, const WhisperDecoder& decoder,
                                                  const text::Tokenizer& tokenizer,
                                                  const AlignTask& task) {
  std::vector<std::vector<AlignedWord>> aligned(task.texts.size());
  std::vector<int32_t> tokens = task.start;
  for (const auto& text : task.texts) tokens.insert(tokens.end(), text.begin(), text.end());
  const auto start = static_cast<int64_t>(task.start.size());
  const auto length = static_cast<int64_t>(tokens.size()) - start;  // of all texts
  if (length == 0 || task.positions < 1) return aligned;
  const int32_t eot = tokenizer.special().eot;
  tokens.push_back(eot);

  const nn::Scope scope(ctx);
  const nn::Tensor similarity = ctx.allocate({static_cast<int64_t>(tokens.size()), task.positions});
  std::fill_n(similarity.f32(), similarity.shape.elements(), 0.f);
  KvState state(decoder.cache_shape(), 1);
  state.reset(0, task.cross);
  const std::vector<float> probabilities = decoder.force(
      ctx, state, 0, tokens,
      {.first_scored = start,
       .classes = eot,
       .attention = [&](const nn::Tensor& heads) { add_standardized(ctx, heads, similarity); },
       .positions = task.positions});
  if (!all_finite(similarity)) return aligned;
  // Divided by their number, sums of heads round as the reference's mean does.
  const auto heads = static_cast<float>(decoder.alignment_heads());
  for (int64_t i = 0; i < similarity.shape.elements(); ++i) similarity.f32()[i] /= heads;

  // The row before a token is the one that predicts it: from no_timestamps to the last token.
  const std::vector<int64_t> positions =
      first_positions(similarity.slice_rows(start - 1, length + 1));
  size_t first = 0;  // token of the segment
  for (size_t i = 0; i < task.texts.size(); first += task.texts[i++].size()) {
    for (auto& [text, begin, end] :
         text::split_to_word_tokens(tokenizer, task.texts[i], task.language)) {
      const auto its = probabilities.begin() + static_cast<int64_t>(first);
      const float sum =
          std::accumulate(its + static_cast<int64_t>(begin), its + static_cast<int64_t>(end), 0.f);
      aligned[i].push_back(
          {.text = std::move(text),
           .begin = begin,
           .end = end,
           .from = static_cast<double>(positions[first + begin]) * kPositionSeconds,
           .to = static_cast<double>(positions[first + end]) * kPositionSeconds,
           .probability = sum / static_cast<float>(end - begin)});
    }
  }
  return aligned;
}

void merge_punctuation(std::vector<AlignedWord>& words) {
  const auto is_opening = [](const AlignedWord& word) {
    return word.text.starts_with(' ') &&
           kOpening.find(text::strip(word.text)) != std::string_view::npos;
  };
  const auto is_closing = [](const AlignedWord& word) {
    return kClosing.find(word.text) != std::string_view::npos;
  };
  std::vector<AlignedWord> merged;  // back to front
  for (auto word = words.rbegin(); word != words.rend(); ++word) {
    if (!merged.empty() && is_opening(*word)) {
      merged.back().text.insert(0, word->text);
      merged.back().begin = word->begin;
    } else {
      merged.push_back(std::move(*word));
    }
  }
  words.clear();
  for (auto word = merged.rbegin(); word != merged.rend(); ++word) {
    if (!words.empty() && !words.back().text.ends_with(' ') && is_closing(*word)) {
      words.back().text += word->text;
      words.back().end = word->end;
    } else {
      words.push_back(std::move(*word));
    }
  }
}

}  // namespace parley::decoder
