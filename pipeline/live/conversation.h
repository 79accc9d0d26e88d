// Listening and speaking in one process: who starts to speak interrupts what is being said, and
// what is said is not heard.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "parley/pipeline/live/live_session.h"
#include "parley/pipeline/tts/synthesizer.h"

namespace parley::pipeline {

struct ConversationOptions {
  LiveOptions live = {.overflow = Overflow::kDropOldest,
                      .front_end = dsp::VoiceFrontEndOptions{.echo_cancellation = true}};
  SpeakOptions speak = {};  // samples are 16 kHz, whatever its sample_rate
  // Who starts to speak interrupts what is being said; false: everything is said to its end. Counts
  // from when 1.5 s have been played: before, the echo canceller still learns the room.
  bool barge_in = true;
};

struct ConversationEvents {
  LiveSession::OnEvent heard = {};  // as of a session
  // A text was said to its end, or not. Called by the speaking thread.
  std::function<void(const std::string& text, bool whole)> said = {};
};

// A LiveSession, and a Synthesizer with a thread of its own.
class Conversation {
 public:
  // play: plays 16 kHz mono, 10 ms at a time, and returns when the device has taken them; what the
  // device holds back is heard even when speech was interrupted. Called by the speaking thread.
  Conversation(std::shared_ptr<const SpeechModel> ears, std::shared_ptr<const VoiceModel> voice,
               const ConversationOptions& options, SampleWriter play, ConversationEvents events);
  // Cancels.
  ~Conversation();
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;

  // The microphone, as LiveSession::push.
  bool push(std::span<const float> samples);

  // Says the text after those that wait, and returns at once; may be called from anywhere, also
  // from the event functions. With barge_in, not while somebody speaks: then it is forgotten.
  void say(std::string text);
  // Stops speaking within 10 ms of sound, and forgets what waits.
  void hush();

  // Nothing more is heard: returns when all final texts were told and everything was said. Throws
  // what stopped either half.
  void finish();

  LiveSession& session();

 private:
  class Work;
  std::unique_ptr<Work> work_;
};

}  // namespace parley::pipeline
