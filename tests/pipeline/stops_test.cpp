// Stops, errors and full queues: whatever happens beside or inside a transcription, it ends, says
// why, and what it used can be used again.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "parley/core/base/error.h"
#include "parley/decoder/word_alignment.h"
#include "parley/pipeline/stt/speech_model.h"
#include "parley/pipeline/stt/window_source.h"
#include "parley/tests/pipeline/random_model.h"

namespace parley::pipeline {
namespace {

using test::RandomModel;

const TranscribeOptions kGreedy = {
    .language = "en", .beam = 1, .temperatures = {0}, .no_speech_threshold = 1};

TEST_F(RandomModel, EveryStageLooksAtTheStopToken) {
  const auto model = load("english-128");
  nn::Context ctx({.threads = 1});
  const nn::Tensor mel = ctx.allocate({model->encoder.frames(), model->encoder.n_mels()});
  std::fill_n(mel.f32(), mel.shape.elements(), 0.f);
  const nn::Tensor features = ctx.allocate({model->encoder.positions(), model->encoder.d_model()});
  model->encoder.run(ctx, mel, features);
  const auto cross = model->decoder.listen(ctx, features);
  const text::SpecialTokens& special = model->tokenizer.special();
  const decoder::AlignTask words{.cross = cross,
                                 .start = {special.sot, special.no_timestamps},
                                 .texts = {{10, 11, 12}},
                                 .language = "en",
                                 .positions = 100};
  decoder::KvState state(model->decoder.cache_shape(), 1);
  const auto step = [&] {
    const nn::Scope scope(ctx);
    state.reset(0, cross);
    const decoder::Row row{0, special.sot, true};
    model->decoder.step(ctx, state, {&row, 1});
  };
  const auto align = [&] { decoder::align_words(ctx, model->decoder, model->tokenizer, words); };

  std::stop_source stop;
  ctx.set_stop_token(stop.get_token());
  EXPECT_NO_THROW(step());
  EXPECT_NO_THROW(align());
  // Asked in the middle of a pass: it does not get to its end.
  state.reset(0, cross);
  const std::vector<int32_t> tokens = {special.sot, 10, 11};
  EXPECT_THROW(model->decoder.force(ctx, state, 0, tokens,
                                    {.classes = special.eot,
                                     .attention = [&](const nn::Tensor&) { stop.request_stop(); },
                                     .positions = 100}),
               Stopped);
  EXPECT_THROW(model->encoder.run(ctx, mel, features), Stopped);
  EXPECT_THROW(model->decoder.listen(ctx, features), Stopped);
  EXPECT_THROW(step(), Stopped);
  EXPECT_THROW(align(), Stopped);
  ctx.set_stop_token({});
  EXPECT_NO_THROW(step());
}

TEST_F(RandomModel, AStoppedTranscriberWorksAgain) {
  for (const Strategy strategy : {Strategy::kWindows, Strategy::kSequential}) {
    Transcriber transcriber(load("english-128"), 2);
    TranscribeOptions options = kGreedy;
    options.strategy = strategy;
    options.word_timestamps = true;
    const auto run = [&](std::stop_token stop) {
      return tokens_of(
          transcriber.transcribe(dsp::AudioReader::open(clips()), options, {}, std::move(stop)));
    };
    const auto expected = run({});
    std::stop_source stop;
    stop.request_stop();
    EXPECT_THROW(run(stop.get_token()), Stopped);
    EXPECT_EQ(run({}), expected);
    // Asked by another thread at any moment: it ends, one way or the other.
    for (int i = 0; i < 5; ++i) {
      std::stop_source later;
      std::jthread other([&] { later.request_stop(); });
      try {
        EXPECT_EQ(run(later.get_token()), expected);
      } catch (const Stopped&) {
      }
    }
    EXPECT_EQ(run({}), expected);
  }
}

TEST_F(RandomModel, AReaderThatFailsEndsTheTranscription) {
  const int descriptor = ::open("/proc/self/mem", O_RDONLY);  // address 0 cannot be read
  if (descriptor < 0) GTEST_SKIP() << "needs /proc";
  Transcriber transcriber(load("english-128"), 1);
  for (const Strategy strategy : {Strategy::kWindows, Strategy::kSequential}) {
    TranscribeOptions options = kGreedy;
    options.strategy = strategy;
    EXPECT_THROW(
        transcriber.transcribe(
            dsp::AudioReader::from_descriptor(descriptor, "broken", dsp::RawFormat{}), options),
        Error);
  }
  ::close(descriptor);
  EXPECT_NO_THROW(transcriber.transcribe(dsp::AudioReader::open(clips()), kGreedy));
}

TEST_F(RandomModel, AFullQueueMakesTheReaderWaitAndLosesNothing) {
  const auto model = load("english-128");
  const auto path = long_file();
  TranscribeOptions options = kGreedy;
  options.endpoint_silence = 0.2;
  const auto source = [&] {
    return WindowSource(dsp::AudioReader::open(path), model->log_mel, model->encoder.frames(),
                        options, {});
  };
  // The reader is ahead of us by what the queue holds, never more; what comes is in order.
  WindowSource all = source();
  size_t windows = 0;
  int64_t last = -1;
  while (const auto window = all.next()) {
    EXPECT_GT(window->window.start, last);
    last = window->window.start;
    ++windows;
  }
  EXPECT_GT(windows, 8u) << "more than the queue holds";
  EXPECT_GT(all.summary().samples, 90 * 16000);
  // Left while its reader waits for room, or has not begun: it ends.
  for (int taken = 0; taken < 3; ++taken) {
    WindowSource left = source();
    for (int i = 0; i < taken; ++i) EXPECT_TRUE(left.next());
  }
}

}  // namespace
}  // namespace parley::pipeline
