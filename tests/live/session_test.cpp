#include <sndfile.h>

#include <atomic>
#include <cmath>
#include <condition_variable>

#include "parley/core/base/error.h"
#include "parley/pipeline/live/live_session.h"
#include "parley/tests/live/live_fixture.h"

namespace parley::pipeline {
namespace {

// Floats, so that the file has the very samples.
std::filesystem::path write_wav(const std::filesystem::path& path,
                                const std::vector<float>& samples) {
  SF_INFO info{};
  info.samplerate = 16000;
  info.channels = 1;
  info.format = SF_FORMAT_WAV | SF_FORMAT_FLOAT;
  SNDFILE* file = sf_open(path.c_str(), SFM_WRITE, &info);
  sf_writef_float(file, samples.data(), static_cast<sf_count_t>(samples.size()));
  sf_close(file);
  return path;
}

Transcript transcribe_file(const std::vector<float>& samples, const TranscribeOptions& options,
                           const std::shared_ptr<const SpeechModel>& model) {
  const test::TemporaryFolder folder;
  Transcriber transcriber(model, 1);
  return transcriber.transcribe(dsp::AudioReader::open(write_wav(folder.path() / "a.wav", samples)),
                                options);
}

void expect_same(const std::vector<LiveEvent>& finals, const Transcript& transcript) {
  std::vector<Segment> segments;
  std::string text;
  for (const LiveEvent& event : finals) {
    text += event.text;
    segments.insert(segments.end(), event.segments.begin(), event.segments.end());
  }
  EXPECT_EQ(text, transcript.text);
  ASSERT_EQ(segments.size(), transcript.segments.size());
  for (size_t i = 0; i < segments.size(); ++i) {
    EXPECT_EQ(segments[i].id, transcript.segments[i].id);
    EXPECT_EQ(segments[i].tokens, transcript.segments[i].tokens);
    EXPECT_EQ(segments[i].start, transcript.segments[i].start);
    EXPECT_EQ(segments[i].end, transcript.segments[i].end);
  }
}

TEST(LiveSession, FinalTextEqualsTheFilesForAnyBlockSize) {
  std::vector<float> samples = clips_with_pauses(50);
  samples.resize(samples.size() + 77);  // no whole frame at the end
  LiveOptions options = quick_options();
  const Transcript expected = transcribe_file(samples, options.transcribe, tiny_model());
  ASSERT_GT(expected.segments.size(), 4u);
  for (const size_t largest : {37u, 1600u, 40000u}) {
    RecordedSession live(options);
    live.push(samples, largest, static_cast<unsigned>(largest));
    live.session.finish();
    expect_same(live.of(LiveEventKind::kFinal), expected);
    EXPECT_DOUBLE_EQ(live.session.timings().audio_seconds, expected.duration);
    EXPECT_EQ(live.session.dropped_seconds(), 0);
  }
}

// Windows that overlap because there is no silence to cut at, words with times, no voice detector.
TEST(LiveSession, FinalTextEqualsTheFilesWhereWindowsOverlap) {
  std::vector<float> samples;
  const std::vector<float> clip = golden_clips();
  while (samples.size() < 70 * dsp::kSampleRate)
    samples.insert(samples.end(), clip.begin(), clip.end());
  LiveOptions options = quick_options();
  options.transcribe.vad = VadKind::kOff;
  options.transcribe.word_timestamps = true;
  const Transcript expected = transcribe_file(samples, options.transcribe, tiny_model());
  RecordedSession live(options);
  live.push(samples);
  live.session.finish();
  expect_same(live.of(LiveEventKind::kFinal), expected);
  EXPECT_EQ(live.of(LiveEventKind::kFinal).size(), 3u);
  EXPECT_EQ(live.of(LiveEventKind::kSpeechStart).size(), 1u);
  EXPECT_EQ(live.of(LiveEventKind::kSpeechEnd).size(), 1u);
}

TEST(LiveSession, EventsOfAnUtteranceComeInOrder) {
  RecordedSession live(quick_options());
  live.push(clips_with_pauses(40));
  live.session.finish();
  const auto starts = live.of(LiveEventKind::kSpeechStart);
  const auto ends = live.of(LiveEventKind::kSpeechEnd);
  ASSERT_GT(starts.size(), 3u);
  ASSERT_EQ(starts.size(), ends.size());
  double last = 0;
  for (size_t i = 0; i < starts.size(); ++i) {
    EXPECT_GE(starts[i].start, last);
    EXPECT_EQ(ends[i].start, starts[i].start);
    EXPECT_GT(ends[i].end, ends[i].start);
    last = ends[i].end;
  }
  double final_end = 0;
  for (const LiveEvent& event : live.events) {
    EXPECT_GE(event.lag_ms, 0);
    EXPECT_LE(event.stable, event.text.size());
    if (event.kind == LiveEventKind::kPartial) {
      EXPECT_GE(event.end, final_end);
    }
    if (event.kind != LiveEventKind::kFinal) continue;
    EXPECT_GE(event.start, final_end);
    EXPECT_EQ(event.stable, event.text.size());
    final_end = event.end;
  }
}

TEST(LiveSession, FlushEndsTheUtteranceWhereItIs) {
  const std::vector<float> clip = golden_clips();
  LiveOptions options = quick_options();
  options.transcribe.endpoint_silence = 60;
  const auto run = [&](bool flush) {
    RecordedSession live(options);
    live.push(clip);
    if (flush) live.session.flush();
    live.push(clip);
    live.session.finish();
    return live.of(LiveEventKind::kFinal);
  };
  EXPECT_EQ(run(false).size(), 1u);
  const auto finals = run(true);
  ASSERT_EQ(finals.size(), 2u);
  const double middle = static_cast<double>(clip.size()) / dsp::kSampleRate;
  EXPECT_LE(finals[0].end, middle);
  EXPECT_GE(finals[1].start, middle - 0.01);
}

TEST(LiveSession, WhatComesInAPauseIsNotHeardAndTimesGoOn) {
  const std::vector<float> clip = golden_clips();
  RecordedSession live(quick_options());
  live.push(clip);
  live.session.pause();
  live.push(clip);
  live.session.resume();
  live.push(clip);
  live.session.finish();
  const double length = static_cast<double>(clip.size()) / dsp::kSampleRate;
  EXPECT_NEAR(live.session.timings().audio_seconds, 3 * length, 1e-9);
  bool before = false;
  bool after = false;
  for (const LiveEvent& event : live.of(LiveEventKind::kFinal)) {
    EXPECT_TRUE(event.end <= length + 0.01 || event.start >= 2 * length - 0.41);
    before = before || event.end <= length + 0.01;
    after = after || event.start >= 2 * length - 0.41;
  }
  EXPECT_TRUE(before && after);
  EXPECT_TRUE(live.of(LiveEventKind::kOverrun).empty());
}

// Holds up the session's thread in its first event, until it is let go.
struct Gate {
  std::mutex mutex;
  std::condition_variable changed;
  bool reached = false;
  bool open = false;
  void pass() {
    std::unique_lock lock(mutex);
    reached = true;
    changed.notify_all();
    changed.wait(lock, [this] { return open; });
  }
  void wait_until_reached() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [this] { return reached; });
  }
  void release() {
    const std::lock_guard lock(mutex);
    open = true;
    changed.notify_all();
  }
};

TEST(LiveSession, EveryDroppedMillisecondIsReportedAndTheSessionRecovers) {
  const std::vector<float> samples = clips_with_pauses(60);
  LiveOptions options = quick_options();
  options.overflow = Overflow::kDropOldest;
  options.queue_seconds = 3;
  Gate gate;
  std::vector<LiveEvent> events;
  LiveSession session(tiny_model(), options, [&](const LiveEvent& event) {
    events.push_back(event);
    if (events.size() == 1) gate.pass();
  });
  const std::span<const float> all(samples);
  const size_t first = 10 * dsp::kSampleRate;
  for (size_t at = 0; at < first; at += 160) session.push(all.subspan(at, 160));
  gate.wait_until_reached();
  for (size_t at = first; at < samples.size(); at += 1600)
    session.push(all.subspan(at, std::min<size_t>(1600, samples.size() - at)));
  gate.release();
  session.finish();
  double dropped = 0;
  double last_final = 0;
  std::vector<float> heard = samples;  // with silence where audio is said to be lost
  std::vector<LiveEvent> finals;
  for (const LiveEvent& event : events) {
    if (event.kind == LiveEventKind::kOverrun) {
      std::fill(heard.begin() + std::llround(event.start * dsp::kSampleRate),
                heard.begin() + std::llround(event.end * dsp::kSampleRate), 0.f);
      dropped += event.end - event.start;
      EXPECT_NEAR(event.dropped_ms, dropped * 1000, 1e-6);
    }
    if (event.kind == LiveEventKind::kFinal) finals.push_back(event);
    if (event.kind == LiveEventKind::kFinal) last_final = std::max(last_final, event.end);
  }
  // To the sample, and the text is right again after it.
  expect_same(finals, transcribe_file(heard, options.transcribe, tiny_model()));
  const double length = static_cast<double>(samples.size()) / dsp::kSampleRate;
  EXPECT_GT(dropped, length - 20);
  EXPECT_NEAR(session.dropped_seconds(), dropped, 1e-9);
  EXPECT_DOUBLE_EQ(session.timings().audio_seconds, length);  // times did not drift
  EXPECT_GT(last_final, length - 4);
}

TEST(LiveSession, CancelStopsAndTellsNothingMore) {
  std::atomic<int> told = 0;
  LiveSession* self = nullptr;
  LiveSession session(tiny_model(), quick_options(), [&](const LiveEvent&) {
    ++told;
    self->cancel();
  });
  self = &session;
  const std::vector<float> samples = clips_with_pauses(10);
  while (session.push(samples)) continue;
  EXPECT_THROW(session.finish(), Stopped);
  EXPECT_EQ(told, 1);
}

TEST(LiveSession, WhatTheEventFunctionThrowsReachesTheCaller) {
  struct Failure {};
  LiveSession session(tiny_model(), quick_options(), [](const LiveEvent& event) {
    if (event.kind == LiveEventKind::kFinal) throw Failure();
  });
  const std::vector<float> samples = clips_with_pauses(10);
  while (session.push(samples)) continue;
  EXPECT_THROW(session.finish(), Failure);
}

TEST(LiveSession, RefusesWhatItCannotDo) {
  const auto attempt = [](const LiveOptions& options) {
    LiveSession session(tiny_model(), options, [](const LiveEvent&) {});
  };
  LiveOptions options = quick_options();
  options.transcribe.strategy = Strategy::kSequential;
  EXPECT_THROW(attempt(options), Error);
  options = quick_options();
  options.queue_seconds = 0;
  EXPECT_THROW(attempt(options), Error);
  options = quick_options();
  options.partial_interval = std::nan("");
  EXPECT_THROW(attempt(options), Error);
  options = quick_options();
  options.transcribe.language = "xx";
  EXPECT_THROW(attempt(options), Error);
}

}  // namespace
}  // namespace parley::pipeline
