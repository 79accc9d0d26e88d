// What Search knows of the tasks in work. Internal to decoder/.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <vector>

#include "parley/decoder/search.h"

namespace parley::decoder {

struct Candidate {
  float logprob;
  int32_t token;
};

// A token that begins a phrase of the hotwords or goes on with one.
struct PhraseCandidate {
  float logprob;
  int32_t token;
  int node;     // where it leads
  bool begins;  // from the root
};

// One of a task's sequences. With hotwords it is hot once it has said a phrase, or begun one.
struct Search::Hypothesis {
  std::vector<int32_t> tokens = {};  // sampled so far, without eot
  double sum_logprob = 0;
  double gain = 0;     // by phrases that have ended
  double pending = 0;  // by the phrase that it is in: lost unless that ends
  int node = Hotwords::kRoot;
  bool hot = false;
  bool looped = false;

  double score() const { return sum_logprob + gain + pending; }
  double rank(float length_penalty) const {
    const double length = std::max<double>(1, static_cast<double>(tokens.size()));
    const double penalty =
        length_penalty < 0 ? length
                           : std::pow((5 + static_cast<double>(tokens.size())) / 6, length_penalty);
    return (sum_logprob + gain) / penalty;
  }
};

// A task in work.
struct Search::Group {
  int64_t number = 0;
  DecodeTask task;
  bool started = false;
  bool plain_over = false;         // the beams, or the greedy sequence, have ended
  std::vector<int> slots;          // one for each of `active`, then those in reserve
  std::vector<Hypothesis> active;  // still growing: plain ones, then hot ones
  std::vector<Hypothesis> finished;
  std::vector<Hypothesis> hot_finished;
  float no_speech_prob = 0;
  int sampled = 0;  // steps so far
  std::vector<std::mt19937_64> generators;

  bool by_beams() const { return task.temperature == 0 && task.beam > 1; }
  // The likeliest continuations of all sequences compete; else each goes on by itself.
  bool searches() const { return by_beams() || hot(); }
  bool hot() const { return task.temperature == 0 && task.hotwords != nullptr; }
  size_t most() const {  // finished candidates end the search
    return static_cast<size_t>(std::lround(static_cast<float>(task.beam) * task.patience));
  }
};

// How one sequence may go on.
struct Search::Choice {
  Group* group;
  size_t sequence;  // of those active in the group
  std::span<float> logits;
  std::vector<Candidate> candidates = {};     // the likeliest, or the one token
  std::vector<PhraseCandidate> phrases = {};  // the likeliest of hotwords
};

// The sequences that go on, and which of those active each comes from.
struct Search::Survivors {
  std::vector<Hypothesis> hypotheses = {};
  std::vector<size_t> sources = {};
};

}  // namespace parley::decoder
