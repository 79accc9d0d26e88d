// How the likeliest sequences of a task go on, plain ones and those that say hotwords.
#include <utility>

#include "parley/decoder/search_state.h"

namespace parley::decoder {

namespace {

// By so much in log-probability a sequence with a hotword may fall behind the best plain one.
constexpr double kHotMargin = 6;

struct Continuation {
  double score = 0;
  double sum_logprob = 0;
  size_t source = 0;
  int32_t token = 0;
  double gain = 0;
  double pending = 0;
  int node = Hotwords::kRoot;
};

void sort_by_score(std::vector<Continuation>& continuations) {
  std::stable_sort(continuations.begin(), continuations.end(),
                   [](const Continuation& a, const Continuation& b) { return a.score > b.score; });
}

}  // namespace

void Search::search(Group& group, std::span<const Choice> choices) {
  Survivors next;
  if (!group.plain_over) extend_beams(group, choices, next);
  if (group.hot()) extend_hot(group, choices, next);
  replace_active(group, std::move(next));
}

// The reference's BeamSearchDecoder.update: of the beam's continuations the best `beam` that do not
// end go on; those that end before them, in order of likelihood, are finished candidates.
void Search::extend_beams(Group& group, std::span<const Choice> choices, Survivors& next) const {
  std::vector<Continuation> continuations;
  for (const Choice& choice : choices) {
    const Hypothesis& source = group.active[choice.sequence];
    if (source.hot) continue;
    for (const auto& [logprob, token] : choice.candidates) {
      const double sum = source.sum_logprob + logprob;
      continuations.push_back(
          {.score = sum, .sum_logprob = sum, .source = choice.sequence, .token = token});
    }
  }
  sort_by_score(continuations);
  const auto beam = static_cast<size_t>(group.task.beam);
  std::vector<Hypothesis>& growing = next.hypotheses;
  for (const Continuation& way : continuations) {
    Hypothesis hypothesis = group.active[way.source];
    hypothesis.sum_logprob = way.sum_logprob;
    append(group.task, hypothesis, way.token);
    if (way.token == eot_) {
      if (group.finished.size() < group.most()) group.finished.push_back(std::move(hypothesis));
      continue;
    }
    if (hypothesis.looped) {
      if (!growing.empty()) continue;
      // The likeliest way on is a loop: what comes of the others is no better.
      if (group.finished.empty()) group.finished.push_back(std::move(hypothesis));
      group.plain_over = true;
      return;
    }
    growing.push_back(std::move(hypothesis));
    next.sources.push_back(way.source);
    if (growing.size() == beam) break;
  }
  if (group.finished.size() < group.most()) return;
  finish_plain(group, std::exchange(next, {}).hypotheses);
}

// Hot sequences come of hot ones, and of plain ones where a phrase begins. The same tokens are
// looked after both as plain text and as a phrase, since they may end as either.
void Search::extend_hot(Group& group, std::span<const Choice> choices, Survivors& next) const {
  const Hotwords& hotwords = *group.task.hotwords;
  if (group.hot_finished.size() >= group.most()) return;
  std::vector<Continuation> continuations;
  const auto consider = [&](const Choice& choice, float logprob, int32_t token, double gain,
                            double pending, int node) {
    const double sum = group.active[choice.sequence].sum_logprob + logprob;
    continuations.push_back(
        {sum + gain + pending, sum, choice.sequence, token, gain, pending, node});
  };
  for (const Choice& choice : choices) {
    const Hypothesis& source = group.active[choice.sequence];
    if (!source.hot && group.plain_over) continue;
    const auto may_end = [&](int32_t token) {
      return source.node == Hotwords::kRoot || hotwords.ends_before(source.node, token);
    };
    const double ended = source.gain + source.pending;
    if (source.hot) {
      for (const auto& [logprob, token] : choice.candidates)
        if (may_end(token)) consider(choice, logprob, token, ended, 0, Hotwords::kRoot);
    }
    for (const auto& [logprob, token, node, begins] : choice.phrases) {
      const double gained = hotwords.gain(logprob);
      if (!begins) {
        consider(choice, logprob, token, source.gain, source.pending + gained, node);
      } else if (may_end(token)) {
        consider(choice, logprob, token, ended, gained, node);
      }
    }
  }
  sort_by_score(continuations);
  const size_t plain = next.hypotheses.size();
  const size_t most = plain + static_cast<size_t>(hot_sequences(group.task.beam));
  const double least = best_plain_score(group, next) - kHotMargin;
  for (const Continuation& way : continuations) {
    if (next.hypotheses.size() == most || way.score < least) break;
    Hypothesis hypothesis = group.active[way.source];
    hypothesis.sum_logprob = way.sum_logprob;
    hypothesis.gain = way.gain;
    hypothesis.pending = way.pending;
    hypothesis.node = way.node;
    hypothesis.hot = true;
    append(group.task, hypothesis, way.token);
    if (way.token == eot_) {
      group.hot_finished.push_back(std::move(hypothesis));
      continue;
    }
    const bool known =
        std::any_of(next.hypotheses.begin() + static_cast<std::ptrdiff_t>(plain),
                    next.hypotheses.end(), [&](const Hypothesis& other) {
                      return other.node == hypothesis.node && other.tokens == hypothesis.tokens;
                    });
    if (known || hypothesis.looped) continue;
    next.hypotheses.push_back(std::move(hypothesis));
    next.sources.push_back(way.source);
  }
}

// The plain search is over. Of what it did not finish as much counts as finished candidates are
// missing; beside a loop nothing does.
void Search::finish_plain(Group& group, std::vector<Hypothesis> growing) {
  group.plain_over = true;
  for (Hypothesis& hypothesis : growing) {
    if (group.finished.size() >= static_cast<size_t>(group.task.beam)) return;
    group.finished.push_back(std::move(hypothesis));
  }
}

double Search::best_plain_score(const Group& group, const Survivors& plain) {
  if (!plain.hypotheses.empty()) return plain.hypotheses.front().score();
  return best_of(group.finished, group.task.length_penalty).score();
}

// Every survivor's cache is a fork of its source's. A source that goes on keeps its slot for one
// of its survivors.
void Search::replace_active(Group& group, Survivors next) {
  const std::vector<size_t>& sources = next.sources;
  std::vector<int> slots(sources.size(), -1);
  std::vector<bool> kept(group.slots.size(), false);
  for (size_t i = 0; i < sources.size(); ++i) {
    if (kept[sources[i]]) continue;
    kept[sources[i]] = true;
    slots[i] = group.slots[sources[i]];
  }
  std::vector<int> reserve;
  for (size_t i = 0; i < group.slots.size(); ++i) {
    if (!kept[i]) reserve.push_back(group.slots[i]);
  }
  for (size_t i = 0; i < sources.size(); ++i) {
    if (slots[i] >= 0) continue;
    slots[i] = reserve.back();
    reserve.pop_back();
    state_.fork(group.slots[sources[i]], slots[i]);
  }
  slots.insert(slots.end(), reserve.begin(), reserve.end());
  group.slots = std::move(slots);
  group.active = std::move(next.hypotheses);
}

}  // namespace parley::decoder
