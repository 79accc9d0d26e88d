#include "parley/pipeline/evaluation/profiler.h"

#include <gtest/gtest.h>

#include <set>

#include "parley/pipeline/stt/speech_model.h"
#include "parley/pipeline/stt/transcriber.h"
#include "parley/tests/golden/golden_model.h"

namespace parley::pipeline {
namespace {

TEST(Profiler, OperatorsWithoutWeightsBelongToThePartBeforeThem) {
  Profiler profiler;
  profiler.operation({.name = "a.layers.0.attn.q", .kind = "linear", .kernel = "k"}, 1);
  profiler.operation({.name = "", .kind = "attention", .kernel = "k", .flops = 4e9}, 2);
  profiler.operation({.name = "", .kind = "attention", .kernel = "k", .flops = 4e9}, 2);
  const std::vector<ProfileRow> rows = profiler.rows();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].layer, "a.layers.0.attn");
  EXPECT_EQ(rows[0].calls, 2);
  EXPECT_DOUBLE_EQ(rows[0].gflops_per_second(), 2);
  EXPECT_EQ(rows[1].layer, "a.layers.0.attn.q");
  EXPECT_DOUBLE_EQ(profiler.seconds(), 5);
}

// The tiny model's dimensions tell how much work an encoder's layers are.
TEST(Profiler, EveryMatrixOfASpeechModelIsCountedUnderItsName) {
  const test::GoldenModel golden("multilingual-80");
  Transcriber transcriber(SpeechModel::load(golden.model.path(), nn::Precision::kF32, 2), 2);
  Profiler profiler;
  transcriber.set_observer(&profiler);
  transcriber.transcribe(
      dsp::AudioReader::open(test::source_path("tests/golden/whisper/clips.wav")),
      {.vad = VadKind::kOff, .language = "en", .beam = 1, .temperatures = {0}});
  std::set<std::string> layers;
  for (const ProfileRow& row : profiler.rows()) {
    layers.insert(row.layer);
    EXPECT_FALSE(row.layer.empty());
    EXPECT_GT(row.seconds, 0) << row.layer;
    EXPECT_GT(row.bytes, 0) << row.layer;
    if (row.layer == "encoder.layers.0.fc1") {
      EXPECT_EQ(row.operation, "linear");
      EXPECT_EQ(row.kernel, "f32 many rows");
      EXPECT_EQ(row.calls, 1);
      EXPECT_DOUBLE_EQ(row.flops, 2. * 1500 * 32 * 128);
    }
    if (row.layer == "encoder.layers.1.self_attn") {
      EXPECT_DOUBLE_EQ(row.flops, 4. * 1500 * 1500 * 32);
    }
  }
  for (const char* name :
       {"encoder.conv1", "encoder.conv2", "encoder.layers.0.self_attn.q_proj+k_proj+v_proj",
        "encoder.layers.0.fc1", "encoder.layers.1.fc2", "encoder.layer_norm",
        "decoder.layers.0.self_attn", "decoder.layers.0.encoder_attn",
        "decoder.layers.0.encoder_attn.k_proj+v_proj", "decoder.embed_tokens"}) {
    EXPECT_TRUE(layers.contains(name)) << name;
  }
}

}  // namespace
}  // namespace parley::pipeline
