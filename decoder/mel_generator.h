// One sentence after another as mel frames, watched while it is spoken.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "parley/core/nn/context.h"
#include "parley/decoder/alignment_watch.h"
#include "parley/decoder/kv_state.h"
#include "parley/decoder/speecht5_mel.h"

namespace parley::decoder {

struct MelOptions {
  uint64_t seed = 0;      // of the prenet's dropout
  uint32_t sentence = 0;  // its number: sentences of one seed differ
  bool guard = true;      // watches the alignment, when the model has heads that show it
  int max_attempts = 3;   // with other dropout, where the alignment goes astray
  // Where words begin after the first, in tokens; ascending. When all attempts go astray, speech
  // ends after a word, and MelReport::said tells where to go on. Empty: the last attempt stands.
  std::vector<int64_t> words = {};
  // Tests: takes the place of the seeded dropout.  kept: [prenet layers, units].
  std::function<void(int64_t step, std::span<uint8_t> kept)> dropout = {};
};

// What happened in a sentence, for whoever reports it.
struct MelReport {
  int64_t steps = 0;    // taken, those that were taken back included
  int retries = 0;      // times that steps were taken back
  std::string problem;  // empty: the text was followed to its end
  int64_t said = 0;     // tokens; fewer than the text has when it was given up there
};

// Speaks one sentence at a time. Belongs to one thread at a time.
//
// When the guard sees that speech does not follow its text (alignment_watch.h), the steps since all
// was well are taken back and taken again under another dropout. To be able to, the last kHold
// steps are held back until others follow, and so is a word that is not complete. When all attempts
// go astray speech ends after a word, or the last attempt stands, and the report says so; what runs
// away is cut short.
class MelGenerator {
 public:
  static constexpr int64_t kHold = 12;      // steps: 0.4 s of SpeechT5's speech
  static constexpr int64_t kHoldWord = 24;  // steps of a word that are held back until it ends
  static constexpr int64_t kFirst = 32;  // steps after which they are: not to delay the first audio
  static constexpr int64_t kFading = 8;  // steps after the last sound that belong to it

  explicit MelGenerator(const SpeechT5MelDecoder& decoder);

  // speaker: of SpeechT5MelDecoder::speaker(), kept alive by the caller.
  void begin(std::shared_ptr<const CrossState> cross, std::span<const float> speaker,
             MelOptions options);
  // One step. Appends to `mel` the frames that are final now. False when the sentence is complete.
  bool advance(nn::Context& ctx, std::vector<float>& mel);
  const MelReport& report() const { return report_; }

 private:
  // One step through the decoder; returns its stop probability.
  float take_step(nn::Context& ctx);
  // Takes steps back for another attempt; false: there is none left.
  bool take_back(Alignment problem);
  // Where speech ends when it was given up; sets report_.said.
  int64_t last_good_word();
  // Steps that will not be taken back any more.
  int64_t settled() const;
  void release(int64_t end, std::vector<float>& mel);

  const SpeechT5MelDecoder& decoder_;
  KvState state_;
  MelOptions options_;
  MelReport report_;
  std::span<const float> speaker_;
  int64_t tokens_ = 0;
  uint32_t attempt_ = 0;
  bool watching_ = false;
  AlignmentWatch watch_;
  std::vector<float> frames_;      // of the steps from released_ on
  int64_t released_ = 0;           // steps given out
  std::vector<float> last_frame_;  // of the step before released_
  std::vector<float> attention_;   // [tokens], of the last step
  std::vector<uint8_t> kept_;
};

}  // namespace parley::decoder
