#include "parley/pipeline/live/conversation.h"

#include "parley/dsp/microphone.h"

// play: gives 16 kHz samples to a sound device and returns when it has taken them.
void converse(const char* ears, const char* voice, const parley::pipeline::SampleWriter& play) {
  using namespace parley;
  pipeline::Conversation conversation(pipeline::load_speech_model(ears),
                                      pipeline::load_voice_model(voice), {}, play,
                                      {.heard = [&](const pipeline::LiveEvent& event) {
                                        if (event.kind == pipeline::LiveEventKind::kFinal)
                                          conversation.say("You said" + event.text);
                                      }});
  dsp::Microphone microphone;
  for (std::vector<float> samples; conversation.push(samples); samples.clear())
    microphone.read(samples, 100);
}
