#include "parley/pipeline/evaluation/task_scores.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <variant>

#include "parley/core/base/error.h"
#include "parley/core/base/file.h"
#include "parley/core/model/manifest.h"
#include "parley/pipeline/evaluation/stage_tensors.h"
#include "parley/pipeline/stt/speech_model.h"
#include "parley/pipeline/tts/voice_model.h"
#include "parley/text/scoring/basic_normalizer.h"
#include "parley/text/scoring/english_normalizer.h"
#include "parley/text/scoring/word_tokens.h"
#include "parley/vocoder/griffin_lim.h"

namespace parley::pipeline {

namespace {

constexpr size_t kMaxManifest = size_t{256} << 20;

std::vector<std::string_view> split(std::string_view line, char separator) {
  std::vector<std::string_view> fields;
  for (size_t end; (end = line.find(separator)) != std::string_view::npos;) {
    fields.push_back(line.substr(0, end));
    line.remove_prefix(end + 1);
  }
  fields.push_back(line);
  return fields;
}

// Texts as they are compared: in the language's spelling of Whisper's published scores.
class Normalizer {
 public:
  explicit Normalizer(const std::string& language)
      : english_(language.empty() || language == "en"),
        basic_(/*remove_diacritics=*/false, text::is_written_without_spaces(language)) {}

  std::string operator()(std::string_view text) const {
    return english_ ? normalizer_(text) : basic_(text);
  }

 private:
  bool english_;
  text::EnglishTextNormalizer normalizer_;
  text::BasicTextNormalizer basic_;
};

// Samples as a file in memory.
class SampleFile {
 public:
  explicit SampleFile(std::span<const float> samples) : descriptor_(::memfd_create("speech", 0)) {
    const auto* bytes = reinterpret_cast<const char*>(samples.data());
    size_t left = samples.size_bytes();
    while (descriptor_ >= 0 && left > 0) {
      const ssize_t count = ::write(descriptor_, bytes, left);
      if (count <= 0) break;
      bytes += count;
      left -= static_cast<size_t>(count);
    }
    if (descriptor_ < 0 || left > 0) throw Error("", "no memory for what was spoken");
    ::lseek(descriptor_, 0, SEEK_SET);
  }
  ~SampleFile() { ::close(descriptor_); }
  SampleFile(const SampleFile&) = delete;
  SampleFile& operator=(const SampleFile&) = delete;
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

std::string heard(Transcriber& listener, const TranscribeOptions& options,
                  std::span<const float> samples, int rate, const std::stop_token& stop) {
  const SampleFile file(samples);
  return listener
      .transcribe(dsp::AudioReader::from_descriptor(
                      file.descriptor(), "speech",
                      dsp::RawFormat{.encoding = dsp::RawFormat::Encoding::kF32le, .rate = rate}),
                  options, {}, stop)
      .text;
}

// One voice's sentences, one after another.
class VoiceTally {
 public:
  VoiceTally(Synthesizer& voice, const VoiceScoring& scoring, const Normalizer& normalizer)
      : voice_(voice), scoring_(scoring), normalizer_(normalizer) {
    if (scoring.listener != nullptr) score_.words.emplace();
  }

  std::vector<float> say(const std::string& text, const std::stop_token& stop) {
    std::vector<float> samples = speak(voice_, text, {.seed = scoring_.seed}, stop);
    ++score_.sentences;
    score_.audio_seconds += voice_.timings().audio_seconds;
    score_.wall_seconds += voice_.timings().wall_seconds;
    if (score_.words) {
      const std::string text_heard = heard(*scoring_.listener, scoring_.listening, samples,
                                           voice_.model().sample_rate(), stop);
      *score_.words += text::word_errors(normalizer_(text), normalizer_(text_heard));
    }
    return samples;
  }
  VoiceScore& score() { return score_; }

 private:
  Synthesizer& voice_;
  const VoiceScoring& scoring_;
  const Normalizer& normalizer_;
  VoiceScore score_;
};

// What the two vocoders make of the frames of one recording; nothing when one of the voices has
// none.
std::optional<double> vocoder_signal_to_noise(nn::Context& ctx, const VoiceModel& voice,
                                              const VoiceModel& reference,
                                              std::span<const float> samples) {
  const auto* vocoder = std::get_if<vocoder::HifiGan>(&voice.vocoder);
  const auto* expected = std::get_if<vocoder::HifiGan>(&reference.vocoder);
  if (vocoder == nullptr || expected == nullptr) return std::nullopt;
  const stage::MelContract& mel = reference.mel;
  const int64_t frames = static_cast<int64_t>(samples.size()) / mel.hop_length;
  const nn::Scope scope(ctx);
  const nn::Tensor bands = ctx.allocate({frames, mel.n_mels});
  vocoder::GriffinLim(mel).analyze(samples.first(static_cast<size_t>(frames * mel.hop_length)),
                                   bands);
  return signal_to_noise(vocoder::synthesize(ctx, *vocoder, bands),
                         vocoder::synthesize(ctx, *expected, bands));
}

}  // namespace

std::vector<ManifestRow> read_manifest(const std::filesystem::path& path, size_t limit) {
  const std::string text = read_file(path, kMaxManifest);
  std::vector<std::string_view> lines = split(text, '\n');
  for (std::string_view& line : lines) {
    if (line.ends_with('\r')) line.remove_suffix(1);
  }
  const std::vector<std::string_view> header = split(lines.front(), '\t');
  const auto column = [&](std::string_view name) {
    const auto found = std::find(header.begin(), header.end(), name);
    if (found == header.end())
      throw Error(path.string(), "its first line has no column '" + std::string(name) + "'");
    return static_cast<size_t>(found - header.begin());
  };
  const size_t file = column("relative_path");
  const size_t transcript = column("transcript");
  std::vector<ManifestRow> rows;
  for (size_t i = 1; i < lines.size(); ++i) {
    if (lines[i].empty()) continue;
    const std::vector<std::string_view> fields = split(lines[i], '\t');
    const std::string where = path.string() + ": line " + std::to_string(i + 1);
    if (fields.size() <= std::max(file, transcript)) throw Error(where, "columns are missing");
    if (fields[transcript].empty()) continue;
    const std::string relative(fields[file]);
    stage::check_inside(relative, where);
    rows.push_back({path.parent_path() / relative, std::string(fields[transcript])});
  }
  if (rows.empty()) throw Error(path.string(), "has no line with a transcript");
  if (limit == 0 || limit >= rows.size()) return rows;
  std::vector<ManifestRow> some;
  for (size_t i = 0; i < limit; ++i) some.push_back(rows[i * rows.size() / limit]);
  return some;
}

SpeechScore score_speech(Transcriber& transcriber, std::span<const ManifestRow> rows,
                         const TranscribeOptions& options, const std::stop_token& stop,
                         const ScoreProgress& progress) {
  const Normalizer normalizer(options.language);
  SpeechScore score;
  size_t next = 0;
  const auto input = [&](bool) -> std::optional<Input> {
    if (next == rows.size()) return std::nullopt;
    const ManifestRow& row = rows[next++];
    return Input{.audio = dsp::AudioReader::open(row.recording),
                 .events = {},
                 .done =
                     [&](const Transcript& transcript) {
                       score.words += text::word_errors(normalizer(row.transcript),
                                                        normalizer(transcript.text));
                       score.audio_seconds += transcript.duration;
                       ++score.recordings;
                       if (progress) progress(static_cast<size_t>(score.recordings), rows.size());
                     },
                 .failed = [](std::exception_ptr error) { std::rethrow_exception(error); }};
  };
  transcriber.transcribe_all(input, options, stop);
  score.wall_seconds = transcriber.timings().wall_seconds;
  return score;
}

VoiceScores score_voice(Synthesizer& voice, std::span<const ManifestRow> rows,
                        const VoiceScoring& scoring, const std::stop_token& stop,
                        const ScoreProgress& progress) {
  const Normalizer normalizer(scoring.listening.language);
  VoiceTally tally(voice, scoring, normalizer);
  std::optional<VoiceTally> reference;
  if (scoring.reference != nullptr) {
    stage::require_same_mel(voice.model().files.stage("mel_decoder"),
                            scoring.reference->model().files.stage("mel_decoder"));
    reference.emplace(*scoring.reference, scoring, normalizer);
  }
  nn::Context ctx({.stop = stop});
  double distortion = 0;
  std::optional<double> signal;
  size_t done = 0;
  for (const ManifestRow& row : rows) {
    const std::vector<float> samples = tally.say(row.transcript, stop);
    if (reference) {
      const std::vector<float> expected = reference->say(row.transcript, stop);
      distortion += mel_cepstral_distortion(samples, expected, voice.model().mel);
      if (const auto ratio =
              vocoder_signal_to_noise(ctx, voice.model(), scoring.reference->model(), expected))
        signal = signal.value_or(0) + *ratio;
    }
    if (progress) progress(++done, rows.size());
  }
  VoiceScores scores{.voice = tally.score(), .reference = std::nullopt};
  if (reference) {
    scores.voice.cepstral_distortion = distortion / static_cast<double>(rows.size());
    if (signal) scores.voice.signal_to_noise = *signal / static_cast<double>(rows.size());
    scores.reference = reference->score();
  }
  return scores;
}

}  // namespace parley::pipeline
