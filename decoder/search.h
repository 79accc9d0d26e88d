// Decoding of windows: greedy, sampled, or by beams; many windows at once.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "parley/decoder/hotwords.h"
#include "parley/decoder/kv_state.h"
#include "parley/decoder/logit_rules.h"
#include "parley/decoder/whisper.h"
#include "parley/text/tokenizer/special_tokens.h"

namespace parley::decoder {

// One window to decode. Reference: openai/whisper decoding.py, DecodingTask.
struct DecodeTask {
  std::shared_ptr<const CrossState> cross;
  std::vector<int32_t>
      initial_tokens;     // [sot_prev, prompt...,] sot [, language, task] [, no_timestamps]
  int64_t sot_index = 0;  // where sot stands in them
  std::shared_ptr<const LogitRules> rules;
  std::shared_ptr<const Hotwords> hotwords = nullptr;  // null: none; for temperature 0
  bool stop_loops =
      false;  // a sequence that repeats itself over and over ends, and counts as failed
  float temperature =
      0;               // 0: the likeliest tokens; above: sampled from softmax(logits / temperature)
  int beam = 1;        // at temperature 0; 1: greedy
  int best_of = 1;     // above temperature 0: how many are sampled
  float patience = 1;  // beams: how many finished candidates end the search, in units of the beam
  float length_penalty =
      -1;  // alpha of ((5 + length) / 6)^alpha; negative: candidates are ranked by logprob / length
  int max_tokens = 224;  // to sample at most
  uint64_t seed =
      0;  // of the samples: keyed by run, window and temperature, so that company does not matter
};

struct DecodeResult {
  std::vector<int32_t> tokens;  // sampled, without eot
  double sum_logprob = 0;
  double avg_logprob = 0;  // sum_logprob / (tokens + 1)
  double gain = 0;         // by hotwords, in log-probability: not in the sum
  float no_speech_prob = 0;
  float temperature = 0;
  bool looped = false;  // ended because it repeated itself
};

// How many sequences with hotwords are looked after beside the beams.
inline int hot_sequences(int beam) { return std::max(2, beam); }
// The sequences of a task: beams, with hotwords more beside them; above temperature 0 its samples.
int slots_for(const DecodeTask& task);

// Hotwords leave the plain search as it is. Beside it, further sequences say a phrase where it is
// not too unlikely: each of its tokens gains Hotwords::gain(). One that leaves the phrase before
// its end is dropped; one that completes it keeps the gain, and in the end is the result when it
// ranks above all plain ones. So hotwords change a text only by whole phrases.
//
// Decodes tasks in the order in which they are submitted, as many together as slots allow; a task
// joins as soon as others have finished. The results do not depend on what is decoded beside a
// task. Belongs to one thread at a time.
class Search {
 public:
  // slots: sequences decoded together; a task takes as many as slots_for() says.
  Search(const WhisperDecoder& decoder, const text::SpecialTokens& special, int slots);
  ~Search();

  // Returns the task's number: 0, 1, 2, ... Throws Error when it needs more slots than there are,
  // or its tokens are too many.
  int64_t submit(DecodeTask task);
  // Forgets a task that is not finished.
  void cancel(int64_t task);
  bool idle() const { return waiting_.empty() && active_.empty(); }
  int slots() const { return state_.slots(); }
  int free_slots() const { return static_cast<int>(free_.size()); }
  int64_t steps() const { return steps_; }  // passes through the decoder so far
  int64_t rows() const { return rows_; }    // tokens that went through it
  size_t state_bytes() const { return state_.bytes(); }

  struct Finished {
    int64_t task;
    DecodeResult result;
  };
  // One step for all active tasks; returns those that it finished. Throws Stopped when the context
  // is asked to stop.
  std::vector<Finished> step(nn::Context& ctx);

 private:
  struct Group;
  struct Choice;
  struct Hypothesis;
  struct Survivors;
  void admit();
  void feed(const Group& group, std::vector<Row>& rows) const;
  void begin(Group& group, std::span<float> sot_logits);
  void choose(nn::Context& ctx, std::span<Choice> choices) const;
  void append(const DecodeTask& task, Hypothesis& hypothesis, int32_t token) const;
  void sample(Group& group, std::span<const Choice> choices);
  void search(Group& group, std::span<const Choice> choices);
  void extend_beams(Group& group, std::span<const Choice> choices, Survivors& next) const;
  void extend_hot(Group& group, std::span<const Choice> choices, Survivors& next) const;
  static void finish_plain(Group& group, std::vector<Hypothesis> growing);
  // There must be one.
  static const Hypothesis& best_of(std::span<const Hypothesis> finished, float length_penalty);
  static double best_plain_score(const Group& group, const Survivors& plain);
  void replace_active(Group& group, Survivors next);
  void free_slots_of(const Group& group);
  DecodeResult finish(Group& group);

  const WhisperDecoder& decoder_;
  int32_t no_speech_;
  int32_t eot_;
  KvState state_;
  std::vector<int> free_;
  std::deque<std::unique_ptr<Group>> waiting_;
  std::vector<std::unique_ptr<Group>> active_;
  int64_t submitted_ = 0;
  int64_t steps_ = 0;
  int64_t rows_ = 0;
};

// All of `tasks`, results in their order.
std::vector<DecodeResult> decode(nn::Context& ctx, Search& search, std::vector<DecodeTask> tasks);

struct LanguageProbability {
  std::string code = {};
  float probability = 0;
};
struct LanguageGuess {
  std::vector<LanguageProbability> languages;  // likeliest first
  float no_speech_prob = 0;                    // as DecodeResult's
};
// The likelihood of each language of a multilingual checkpoint: one step on sot, softmax over the
// language tokens only. Reference: openai/whisper decoding.py, detect_language.
LanguageGuess detect_language(nn::Context& ctx, const WhisperDecoder& decoder,
                              const text::SpecialTokens& special,
                              std::shared_ptr<const CrossState> cross);

}  // namespace parley::decoder
