#include "parley/decoder/mel_generator.h"

#include <algorithm>

#include "parley/decoder/dropout.h"

namespace parley::decoder {

MelGenerator::MelGenerator(const SpeechT5MelDecoder& decoder)
    : decoder_(decoder),
      state_(decoder.cache_shape(), 1),
      kept_(static_cast<size_t>(decoder.kept_size())) {}

void MelGenerator::begin(std::shared_ptr<const CrossState> cross, std::span<const float> speaker,
                         MelOptions options) {
  options_ = std::move(options);
  report_ = {};
  speaker_ = speaker;
  tokens_ = cross->positions();
  report_.said = tokens_;
  attempt_ = 0;
  watching_ = options_.guard && decoder_.has_alignment_heads();
  watch_ = AlignmentWatch(tokens_, options_.words);
  frames_.clear();
  released_ = 0;
  last_frame_.assign(static_cast<size_t>(decoder_.n_mels()), 0.f);
  attention_.assign(static_cast<size_t>(tokens_), 0.f);
  state_.reset(0, std::move(cross));
}

float MelGenerator::take_step(nn::Context& ctx) {
  const nn::Scope scope(ctx);
  const int64_t at = state_.length(0);
  if (options_.dropout) {
    options_.dropout(at, kept_);
  } else {
    draw_kept({.seed = options_.seed, .sentence = options_.sentence, .attempt = attempt_},
              static_cast<uint32_t>(at), decoder_.dropout(), kept_);
  }
  const float* last =
      at == released_ ? last_frame_.data() : frames_.data() + frames_.size() - decoder_.n_mels();
  const MelRow row{.slot = 0,
                   .frame = last,
                   .kept = kept_.data(),
                   .speaker = speaker_.data(),
                   .attention = watching_ ? attention_.data() : nullptr};
  const SpeechT5MelDecoder::Step step = decoder_.step(ctx, state_, std::span(&row, 1));
  frames_.insert(frames_.end(), step.frames.f32(),
                 step.frames.f32() + step.frames.shape.elements());
  ++report_.steps;
  return step.stop.f32()[0];
}

bool MelGenerator::take_back(Alignment problem) {
  if (static_cast<int>(attempt_) + 1 >= options_.max_attempts) {
    report_.problem = describe(problem);
    return false;
  }
  ++attempt_;
  ++report_.retries;
  const int64_t steps = state_.length(0);
  const int64_t back = std::max(released_, std::min(watch_.good_steps(), steps - kHold));
  state_.truncate(0, back);
  watch_.rewind(back);
  frames_.resize(
      static_cast<size_t>((back - released_) * decoder_.frames_per_step() * decoder_.n_mels()));
  return true;
}

int64_t MelGenerator::last_good_word() {
  const std::vector<int64_t>& words = options_.words;
  const int64_t good = std::max(released_, watch_.good_steps());
  // A word has begun when its second token is attended to: the first is a blank.
  for (auto word = words.rbegin(); word != words.rend(); ++word) {
    const int64_t begin = watch_.steps_to(*word + 1);
    if (begin > good || begin == watch_.steps()) continue;
    if (begin < released_) break;
    report_.said = *word;
    return begin;
  }
  // Within a word that has partly been given out: it counts as said when most of it was.
  const int64_t reached = watch_.reached_after(released_);
  const auto next = std::ranges::upper_bound(words, reached);
  const int64_t begin = next == words.begin() ? 0 : *(next - 1);
  const int64_t end = next == words.end() ? tokens_ : *next;
  report_.said = 2 * (reached - begin) > end - begin ? end : begin;
  return released_;
}

int64_t MelGenerator::settled() const {
  const int64_t steps = state_.length(0);
  if (!watching_) return steps;
  if (released_ < kFirst) return steps - kHold;
  const int64_t settled = std::min(steps - kHold, watch_.progress() - kHold / 2);
  if (options_.words.empty()) return settled;
  const auto next = std::ranges::lower_bound(options_.words, watch_.reached_after(steps));
  const int64_t word = next == options_.words.begin() ? 0 : watch_.steps_to(*(next - 1) + 1);
  return std::min(settled, std::max(word, steps - kHoldWord));
}

void MelGenerator::release(int64_t end, std::vector<float>& mel) {
  if (end <= released_) return;
  const auto count = (end - released_) * decoder_.frames_per_step() * decoder_.n_mels();
  mel.insert(mel.end(), frames_.begin(), frames_.begin() + count);
  last_frame_.assign(frames_.begin() + count - decoder_.n_mels(), frames_.begin() + count);
  frames_.erase(frames_.begin(), frames_.begin() + count);
  released_ = end;
}

bool MelGenerator::advance(nn::Context& ctx, std::vector<float>& mel) {
  const float stop = take_step(ctx);
  const int64_t steps = state_.length(0);
  const bool longest = steps >= decoder_.max_steps(tokens_);
  const bool ended =
      longest || (steps >= decoder_.min_steps(tokens_) && stop >= decoder_.threshold());
  if (watching_) {
    Alignment alignment = watch_.observe(attention_);
    if (alignment == Alignment::kFine && ended) {
      alignment = watch_.end();
      const bool stops = stop >= decoder_.threshold();
      if (alignment == Alignment::kFine && !stops) alignment = Alignment::kRanAway;
    }
    if (alignment != Alignment::kFine) {
      if (take_back(alignment)) return true;
      if (alignment == Alignment::kRanAway) {
        release(std::min(steps, watch_.progress() + kFading), mel);
        return false;
      }
      if (!options_.words.empty()) {
        release(last_good_word(), mel);
        return false;
      }
      watching_ = false;
    }
  }
  release(ended ? steps : settled(), mel);
  return !ended;
}

}  // namespace parley::decoder
