#include "decoder/search.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <random>
#include <utility>

#include "base/error.h"

namespace parley::decoder {

namespace {

struct Candidate {
  float logprob;
  int32_t token;
};

// The `count` greatest logits, greatest first; of equal ones the lower id.
std::vector<Candidate> greatest(std::span<const float> logits, size_t count) {
  const auto better = [](const Candidate& a, const Candidate& b) {
    return a.logprob > b.logprob || (a.logprob == b.logprob && a.token < b.token);
  };
  constexpr size_t kBlock = 512;  // nearly all hold nothing that is likelier than what is known
  std::vector<Candidate> best;
  for (size_t begin = 0; begin < logits.size(); begin += kBlock) {
    const std::span block = logits.subspan(begin, std::min(kBlock, logits.size() - begin));
    if (best.size() == count && !(nn::maximum(block) > best.back().logprob)) continue;
    for (size_t i = 0; i < block.size(); ++i) {
      if (best.size() == count && !(block[i] > best.back().logprob)) continue;
      const Candidate candidate{block[i], static_cast<int32_t>(begin + i)};
      if (best.size() == count) best.pop_back();
      best.insert(std::upper_bound(best.begin(), best.end(), candidate, better), candidate);
    }
  }
  return best;
}

// A draw from softmax(logits / temperature).
int32_t draw(std::span<const float> logits, float temperature, std::mt19937_64& generator) {
  const float maximum = nn::peak(logits).maximum;
  double total = 0;
  for (const float logit : logits) total += std::exp((logit - maximum) / temperature);
  double left = std::generate_canonical<double, 53>(generator) * total;
  int32_t chosen = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    const double weight = std::exp((logits[i] - maximum) / temperature);
    if (weight <= 0) continue;
    chosen = static_cast<int32_t>(i);
    left -= weight;
    if (left < 0) break;
  }
  return chosen;
}

}  // namespace

// One of a task's sequences.
struct Search::Hypothesis {
  std::vector<int32_t> tokens;  // sampled so far, without eot
  double sum_logprob = 0;
  double gain = 0;  // by hotwords
  int node = Hotwords::kRoot;
  bool looped = false;

  double score() const { return sum_logprob + gain; }
  double rank(float length_penalty) const {
    const double length = std::max<double>(1, static_cast<double>(tokens.size()));
    const double penalty =
        length_penalty < 0 ? length
                           : std::pow((5 + static_cast<double>(tokens.size())) / 6, length_penalty);
    return score() / penalty;
  }
};

// A task in work.
struct Search::Group {
  int64_t number = 0;
  DecodeTask task;
  bool started = false;
  bool done = false;
  std::vector<int> slots;          // one for each of `active`, then those in reserve
  std::vector<Hypothesis> active;  // still growing
  std::vector<Hypothesis> finished;
  float no_speech_prob = 0;
  int sampled = 0;  // steps so far
  std::vector<std::mt19937_64> generators;

  bool by_beams() const { return task.temperature == 0 && task.beam > 1; }
  int width() const { return task.temperature == 0 ? task.beam : task.best_of; }
};

// How one sequence may go on.
struct Search::Choice {
  Group* group;
  size_t sequence;  // of those active in the group
  std::span<float> logits;
  std::optional<float> logsumexp = {};     // of logits, before hotwords raised some
  std::vector<Candidate> candidates = {};  // by beams beam + 1 of them, else the one token
};

Search::Search(const TokenDecoder& decoder, const text::SpecialTokens& special, int slots)
    : decoder_(decoder),
      no_speech_(special.no_speech),
      eot_(special.eot),
      state_(decoder.cache_shape(), slots) {
  for (int slot = slots; slot-- > 0;) free_.push_back(slot);
}

Search::~Search() = default;

int64_t Search::submit(DecodeTask task) {
  auto group = std::make_unique<Group>();
  group->number = submitted_;
  group->task = std::move(task);
  const DecodeTask& t = group->task;
  if (group->width() < 1 || group->width() > state_.slots()) {
    throw Error("", "a window with " + std::to_string(group->width()) + " sequences does not fit " +
                        std::to_string(state_.slots()) + " slots");
  }
  if (t.initial_tokens.empty() ||
      static_cast<int64_t>(t.initial_tokens.size()) >= state_.max_length() || t.sot_index < 0 ||
      t.sot_index >= static_cast<int64_t>(t.initial_tokens.size())) {
    throw Error("", "a start sequence of " + std::to_string(t.initial_tokens.size()) +
                        " tokens does not fit the decoder");
  }
  waiting_.push_back(std::move(group));
  return submitted_++;
}

void Search::admit() {
  while (!waiting_.empty() && free_.size() >= static_cast<size_t>(waiting_.front()->width())) {
    std::unique_ptr<Group> group = std::move(waiting_.front());
    waiting_.pop_front();
    for (int i = 0; i < group->width(); ++i) {
      group->slots.push_back(free_.back());
      free_.pop_back();
      std::seed_seq key{group->task.seed, static_cast<uint64_t>(i)};
      group->generators.emplace_back(key);
    }
    state_.reset(group->slots[0], group->task.cross);
    active_.push_back(std::move(group));
  }
}

void Search::feed(const Group& group, std::vector<Row>& rows) const {
  if (!group.started) {
    const auto& tokens = group.task.initial_tokens;
    for (size_t i = 0; i < tokens.size(); ++i) {
      const bool logits = i + 1 == tokens.size() || static_cast<int64_t>(i) == group.task.sot_index;
      rows.push_back({group.slots[0], tokens[i], logits});
    }
    return;
  }
  for (size_t i = 0; i < group.active.size(); ++i)
    rows.push_back({group.slots[i], group.active[i].tokens.back(), true});
}

std::vector<Search::Finished> Search::step(nn::Context& ctx) {
  admit();
  std::vector<Row> rows;
  for (const auto& group : active_) feed(*group, rows);
  if (rows.empty()) return {};
  const nn::Scope scope(ctx);
  const nn::Tensor logits = decoder_.step(ctx, state_, rows);
  ++steps_;
  rows_ += static_cast<int64_t>(rows.size());

  int64_t next = 0;
  const auto take = [&]() -> std::span<float> {
    return {logits.row(next++), static_cast<size_t>(logits.cols())};
  };
  std::vector<Choice> choices;
  for (const auto& group : active_) {
    std::span<float> row;
    const bool first = !group->started;
    if (first) {
      row = take();
      begin(*group, row);
      const auto prompt = static_cast<int64_t>(group->task.initial_tokens.size());
      if (group->task.sot_index + 1 != prompt) row = take();
    }
    // The sequences of a task are still one at first: beams fan out from it, samples are drawn.
    const size_t count = first && group->by_beams() ? 1 : group->active.size();
    for (size_t i = 0; i < count; ++i) choices.push_back({group.get(), i, first ? row : take()});
  }
  choose(ctx, choices);

  std::vector<Finished> done;
  std::span<const Choice> rest = choices;
  for (auto& group : active_) {
    size_t count = 0;
    while (count < rest.size() && rest[count].group == group.get()) ++count;
    if (group->by_beams()) {
      extend_beams(*group, rest.first(count));
    } else {
      sample(*group, rest.first(count));
    }
    rest = rest.subspan(count);
    const auto length = static_cast<int64_t>(group->task.initial_tokens.size()) + ++group->sampled;
    group->done |= group->active.empty() || group->sampled == group->task.max_tokens ||
                   length > state_.max_length();
    if (group->done) {
      done.push_back({group->number, finish(*group)});
      group.reset();
    }
  }
  std::erase(active_, nullptr);
  return done;
}

// Every choice depends on its own sequence only: the team shares them, for a vocabulary of 50,000
// takes a while to look through.
void Search::choose(nn::Context& ctx, std::span<Choice> choices) const {
  const auto count = static_cast<int64_t>(choices.size());
  ctx.parallel(count, [&](int64_t i, int) {
    const Choice& choice = choices[static_cast<size_t>(i)];
    const bool shared =
        i > 0 && choices[static_cast<size_t>(i - 1)].logits.data() == choice.logits.data();
    if (shared) return;
    choice.group->task.rules->apply(choice.logits, choice.group->active[choice.sequence].tokens);
  });
  raise_hotwords(ctx, choices);
  ctx.parallel(count, [&](int64_t i, int) {
    Choice& choice = choices[static_cast<size_t>(i)];
    Group& group = *choice.group;
    const nn::Peak best = nn::peak(choice.logits);
    if (group.by_beams()) {
      choice.candidates = greatest(choice.logits, static_cast<size_t>(group.task.beam) + 1);
    } else {
      const int32_t token = group.task.temperature > 0 ? draw(choice.logits, group.task.temperature,
                                                              group.generators[choice.sequence])
                                                       : static_cast<int32_t>(best.index);
      choice.candidates = {{choice.logits[static_cast<size_t>(token)], token}};
    }
    const float logsumexp = choice.logsumexp.value_or(best.logsumexp);
    const int node = group.active[choice.sequence].node;
    for (auto& [logprob, token] : choice.candidates) {
      if (group.task.hotwords) logprob -= group.task.hotwords->raised(node, token);
      logprob -= logsumexp;
    }
  });
}

// Log-probabilities stay those of the model: they are taken before hotwords raise logits.
void Search::raise_hotwords(nn::Context& ctx, std::span<Choice> choices) const {
  const auto wanted = [](const Choice& choice) { return choice.group->task.hotwords != nullptr; };
  if (std::none_of(choices.begin(), choices.end(), wanted)) return;
  ctx.parallel(static_cast<int64_t>(choices.size()), [&](int64_t i, int) {
    Choice& choice = choices[static_cast<size_t>(i)];
    if (wanted(choice)) choice.logsumexp = nn::peak(choice.logits).logsumexp;
  });
  for (size_t i = 0; i < choices.size(); ++i) {
    const Choice& choice = choices[i];
    const bool shared = i > 0 && choices[i - 1].logits.data() == choice.logits.data();
    if (wanted(choice) && !shared) {
      choice.group->task.hotwords->raise(choice.group->active[choice.sequence].node, choice.logits);
    }
  }
}

// The hypothesis goes on with the token; its log-probability is added already.
void Search::append(const DecodeTask& task, Hypothesis& hypothesis, int32_t token) const {
  if (task.hotwords) {
    const auto [node, gain] = task.hotwords->advance(hypothesis.node, token);
    hypothesis.node = node;
    hypothesis.gain += gain;
  }
  if (token == eot_) return;
  hypothesis.tokens.push_back(token);
  hypothesis.looped =
      task.stop_loops && ends_in_loop(hypothesis.tokens, task.rules->timestamp_begin);
}

// The start sequence has been read: the sequences of the task all stand where the first one does.
void Search::begin(Group& group, std::span<float> sot_logits) {
  if (no_speech_ >= 0 && no_speech_ < static_cast<int64_t>(sot_logits.size())) {
    group.no_speech_prob =
        std::exp(sot_logits[static_cast<size_t>(no_speech_)] - nn::peak(sot_logits).logsumexp);
  }
  group.started = true;
  group.active.resize(static_cast<size_t>(group.width()));
  for (size_t i = 1; i < group.slots.size(); ++i) state_.fork(group.slots[0], group.slots[i]);
}

void Search::sample(Group& group, std::span<const Choice> choices) {
  std::vector<Hypothesis> growing;
  std::vector<int> slots;
  std::vector<int> reserve;
  std::vector<std::mt19937_64> generators;
  for (size_t i = 0; i < choices.size(); ++i) {
    const auto [logprob, token] = choices[i].candidates.front();
    Hypothesis& hypothesis = group.active[i];
    hypothesis.sum_logprob += logprob;
    append(group.task, hypothesis, token);
    if (token == eot_ || hypothesis.looped) {
      group.finished.push_back(std::move(hypothesis));
      reserve.push_back(group.slots[i]);
    } else {
      growing.push_back(std::move(hypothesis));
      slots.push_back(group.slots[i]);
      generators.push_back(group.generators[i]);
    }
  }
  for (const int slot : reserve) {
    state_.reset(slot, nullptr);
    free_.push_back(slot);
  }
  group.active = std::move(growing);
  group.slots = std::move(slots);
  group.generators = std::move(generators);
}

// The reference's BeamSearchDecoder.update: of the beam's continuations the best `beam` that do not
// end go on; those that end before them, in order of likelihood, are finished candidates.
void Search::extend_beams(Group& group, std::span<const Choice> choices) {
  const auto beam = static_cast<size_t>(group.task.beam);
  struct Continuation {
    double score;
    double sum_logprob;
    size_t source;
    int32_t token;
  };
  std::vector<Continuation> continuations;
  for (size_t i = 0; i < choices.size(); ++i) {
    const Hypothesis& source = group.active[i];
    for (const auto& [logprob, token] : choices[i].candidates) {
      const double sum = source.sum_logprob + logprob;
      const double gain = group.task.hotwords
                              ? source.gain + group.task.hotwords->advance(source.node, token).gain
                              : 0;
      continuations.push_back({sum + gain, sum, i, token});
    }
  }
  std::stable_sort(continuations.begin(), continuations.end(),
                   [](const Continuation& a, const Continuation& b) { return a.score > b.score; });

  const auto most =
      static_cast<size_t>(std::lround(static_cast<float>(beam) * group.task.patience));
  std::vector<Hypothesis> growing;
  std::vector<size_t> sources;
  for (const auto& [score, sum, source, token] : continuations) {
    Hypothesis hypothesis = group.active[source];
    hypothesis.sum_logprob = sum;
    append(group.task, hypothesis, token);
    if (token == eot_) {
      if (group.finished.size() < most) group.finished.push_back(std::move(hypothesis));
      continue;
    }
    if (hypothesis.looped) {
      if (!growing.empty()) continue;
      // The likeliest way on is a loop: what comes of the others is no better.
      if (group.finished.empty()) group.finished.push_back(std::move(hypothesis));
      group.active.clear();
      group.done = true;
      return;
    }
    growing.push_back(std::move(hypothesis));
    sources.push_back(source);
    if (growing.size() == beam) break;
  }

  // Every survivor's cache is a fork of its source's. A source that goes on keeps its slot for one
  // of its survivors.
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
  group.active = std::move(growing);
  group.done = group.finished.size() >= most;
}

DecodeResult Search::finish(Group& group) {
  for (const int slot : group.slots) {
    state_.reset(slot, nullptr);
    free_.push_back(slot);
  }
  // What was cut off counts too; beside finished beams only as far as candidates are missing.
  std::stable_sort(group.active.begin(), group.active.end(),
                   [](const Hypothesis& a, const Hypothesis& b) { return a.score() > b.score(); });
  for (Hypothesis& hypothesis : group.active) {
    if (group.by_beams() && group.finished.size() >= static_cast<size_t>(group.task.beam)) break;
    group.finished.push_back(std::move(hypothesis));
  }
  const Hypothesis& best = *std::max_element(
      group.finished.begin(), group.finished.end(), [&](const Hypothesis& a, const Hypothesis& b) {
        if (a.looped != b.looped) return a.looped;
        return a.rank(group.task.length_penalty) < b.rank(group.task.length_penalty);
      });
  return {.tokens = best.tokens,
          .sum_logprob = best.sum_logprob,
          .avg_logprob = best.sum_logprob / (static_cast<double>(best.tokens.size()) + 1),
          .no_speech_prob = group.no_speech_prob,
          .temperature = group.task.temperature,
          .looped = best.looped};
}

std::vector<DecodeResult> decode(nn::Context& ctx, Search& search, std::vector<DecodeTask> tasks) {
  std::vector<DecodeResult> results(tasks.size());
  int64_t first = -1;
  for (DecodeTask& task : tasks) {
    const int64_t number = search.submit(std::move(task));
    if (first < 0) first = number;
  }
  while (!search.idle()) {
    for (auto& [number, result] : search.step(ctx))
      results[static_cast<size_t>(number - first)] = std::move(result);
  }
  return results;
}

std::vector<LanguageProbability> detect_language(nn::Context& ctx, const TokenDecoder& decoder,
                                                 const text::SpecialTokens& special,
                                                 std::shared_ptr<const CrossState> cross) {
  const nn::Scope scope(ctx);
  KvState state(decoder.cache_shape(), 1);
  state.reset(0, std::move(cross));
  const Row row{0, special.sot, true};
  const float* logits = decoder.step(ctx, state, {&row, 1}).row(0);
  std::vector<LanguageProbability> languages;
  std::vector<float> values;
  for (const auto& [code, id] : special.languages) {
    languages.push_back({code, 0});
    values.push_back(logits[id]);
  }
  const float logsumexp = nn::peak(values).logsumexp;
  for (size_t i = 0; i < values.size(); ++i)
    languages[i].probability = std::exp(values[i] - logsumexp);
  std::stable_sort(languages.begin(), languages.end(),
                   [](const auto& a, const auto& b) { return a.probability > b.probability; });
  return languages;
}

}  // namespace parley::decoder
