#include "parley/decoder/search.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>

#include "parley/core/base/error.h"
#include "parley/decoder/search_state.h"

namespace parley::decoder {

namespace {

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

// Of one token; 0 when there is none.
float probability(std::span<const float> logits, int32_t token) {
  if (token < 0 || static_cast<size_t>(token) >= logits.size()) return 0;
  return std::exp(logits[static_cast<size_t>(token)] - nn::peak(logits).logsumexp);
}

// The likeliest tokens that begin a phrase or go on with the one that `node` is in.
std::vector<PhraseCandidate> likeliest(const Hotwords& hotwords, int node,
                                       std::span<const float> logits, size_t count) {
  std::vector<PhraseCandidate> found;
  const auto collect = [&](int from) {
    for (const auto& [token, next] : hotwords.next(from)) {
      if (static_cast<size_t>(token) >= logits.size()) continue;
      const float logit = logits[static_cast<size_t>(token)];
      if (std::isfinite(logit)) found.push_back({logit, token, next, from == Hotwords::kRoot});
    }
  };
  collect(node);
  if (node != Hotwords::kRoot && hotwords.complete(node)) collect(Hotwords::kRoot);
  const auto likelier = [](const PhraseCandidate& a, const PhraseCandidate& b) {
    return a.logprob > b.logprob || (a.logprob == b.logprob && a.token < b.token);
  };
  const size_t kept = std::min(count, found.size());
  std::partial_sort(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(kept), found.end(),
                    likelier);
  found.resize(kept);
  return found;
}

}  // namespace

int slots_for(const DecodeTask& task) {
  if (task.temperature > 0) return task.best_of;
  return task.beam + (task.hotwords ? hot_sequences(task.beam) : 0);
}

Search::Search(const WhisperDecoder& decoder, const text::SpecialTokens& special, int slots)
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
  const int slots = slots_for(t);
  if (std::min(slots, t.beam) < 1 || slots > state_.slots()) {
    throw Error("", "a window with " + std::to_string(slots) + " sequences does not fit " +
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
  while (!waiting_.empty() &&
         free_.size() >= static_cast<size_t>(slots_for(waiting_.front()->task))) {
    std::unique_ptr<Group> group = std::move(waiting_.front());
    waiting_.pop_front();
    for (int i = 0; i < slots_for(group->task); ++i) {
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
    // At first all sequences of a task share one row.
    for (size_t i = 0; i < group->active.size(); ++i)
      choices.push_back({group.get(), i, first ? row : take()});
  }
  choose(ctx, choices);

  std::vector<Finished> done;
  std::span<const Choice> rest = choices;
  for (auto& group : active_) {
    size_t count = 0;
    while (count < rest.size() && rest[count].group == group.get()) ++count;
    if (group->searches()) {
      search(*group, rest.first(count));
    } else {
      sample(*group, rest.first(count));
    }
    rest = rest.subspan(count);
    const auto length = static_cast<int64_t>(group->task.initial_tokens.size()) + ++group->sampled;
    if (group->active.empty() || group->sampled == group->task.max_tokens ||
        length > state_.max_length()) {
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
  ctx.parallel(count, [&](int64_t i, int) {
    Choice& choice = choices[static_cast<size_t>(i)];
    Group& group = *choice.group;
    const DecodeTask& task = group.task;
    const nn::Peak best = nn::peak(choice.logits);
    if (group.searches()) {
      choice.candidates = greatest(choice.logits, static_cast<size_t>(task.beam) + 1);
    } else {
      const int32_t token = task.temperature > 0 ? draw(choice.logits, task.temperature,
                                                        group.generators[choice.sequence])
                                                 : static_cast<int32_t>(best.index);
      choice.candidates = {{choice.logits[static_cast<size_t>(token)], token}};
    }
    for (Candidate& candidate : choice.candidates) candidate.logprob -= best.logsumexp;
    if (!group.hot()) return;
    choice.phrases = likeliest(*task.hotwords, group.active[choice.sequence].node, choice.logits,
                               static_cast<size_t>(hot_sequences(task.beam)));
    for (PhraseCandidate& candidate : choice.phrases) candidate.logprob -= best.logsumexp;
  });
}

// The hypothesis goes on with the token; its log-probability is added already.
void Search::append(const DecodeTask& task, Hypothesis& hypothesis, int32_t token) const {
  if (token == eot_) return;
  hypothesis.tokens.push_back(token);
  hypothesis.looped =
      task.stop_loops && ends_in_loop(hypothesis.tokens, task.rules->timestamp_begin);
}

// The start sequence has been read. A search fans out from one sequence; samples all stand where
// the first one does.
void Search::begin(Group& group, std::span<float> sot_logits) {
  group.no_speech_prob = probability(sot_logits, no_speech_);
  group.started = true;
  group.active.resize(group.searches() ? 1 : group.slots.size());
  for (size_t i = 1; i < group.active.size(); ++i) state_.fork(group.slots[0], group.slots[i]);
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

const Search::Hypothesis& Search::best_of(std::span<const Hypothesis> finished,
                                          float length_penalty) {
  return *std::max_element(finished.begin(), finished.end(),
                           [&](const Hypothesis& a, const Hypothesis& b) {
                             if (a.looped != b.looped) return a.looped;
                             return a.rank(length_penalty) < b.rank(length_penalty);
                           });
}

void Search::free_slots_of(const Group& group) {
  for (const int slot : group.slots) {
    state_.reset(slot, nullptr);
    free_.push_back(slot);
  }
}

void Search::cancel(int64_t task) {
  const auto is_it = [task](const std::unique_ptr<Group>& group) { return group->number == task; };
  std::erase_if(waiting_, is_it);
  for (const std::unique_ptr<Group>& group : active_) {
    if (is_it(group)) free_slots_of(*group);
  }
  std::erase_if(active_, is_it);
}

DecodeResult Search::finish(Group& group) {
  free_slots_of(group);
  // What was cut off counts too; beside finished beams only as far as candidates are missing.
  std::stable_sort(group.active.begin(), group.active.end(),
                   [](const Hypothesis& a, const Hypothesis& b) { return a.score() > b.score(); });
  std::vector<Hypothesis>& finished = group.finished;
  for (Hypothesis& hypothesis : group.active) {
    if (hypothesis.hot) {
      const int node = hypothesis.node;
      if (node != Hotwords::kRoot && !group.task.hotwords->complete(node)) continue;
      hypothesis.gain += hypothesis.pending;
      group.hot_finished.push_back(std::move(hypothesis));
    } else if (!group.by_beams() || finished.size() < static_cast<size_t>(group.task.beam)) {
      finished.push_back(std::move(hypothesis));
    }
  }
  finished.insert(finished.end(), group.hot_finished.begin(), group.hot_finished.end());
  const Hypothesis& best = best_of(finished, group.task.length_penalty);
  return {.tokens = best.tokens,
          .sum_logprob = best.sum_logprob,
          .avg_logprob = best.sum_logprob / (static_cast<double>(best.tokens.size()) + 1),
          .gain = best.gain,
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

LanguageGuess detect_language(nn::Context& ctx, const WhisperDecoder& decoder,
                              const text::SpecialTokens& special,
                              std::shared_ptr<const CrossState> cross) {
  const nn::Scope scope(ctx);
  KvState state(decoder.cache_shape(), 1);
  state.reset(0, std::move(cross));
  const Row row{0, special.sot, true};
  const nn::Tensor out = decoder.step(ctx, state, {&row, 1});
  const std::span<const float> logits(out.row(0), static_cast<size_t>(out.cols()));
  LanguageGuess guess{.languages = {}, .no_speech_prob = probability(logits, special.no_speech)};
  std::vector<LanguageProbability>& languages = guess.languages;
  std::vector<float> values;
  for (const auto& [code, id] : special.languages) {
    languages.push_back({code, 0});
    values.push_back(logits[static_cast<size_t>(id)]);
  }
  const float logsumexp = nn::peak(values).logsumexp;
  for (size_t i = 0; i < values.size(); ++i)
    languages[i].probability = std::exp(values[i] - logsumexp);
  std::stable_sort(languages.begin(), languages.end(),
                   [](const auto& a, const auto& b) { return a.probability > b.probability; });
  return guess;
}

}  // namespace parley::decoder
