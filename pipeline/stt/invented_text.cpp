#include "parley/pipeline/stt/invented_text.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

#include "parley/dsp/audio_reader.h"
#include "parley/text/scoring/basic_normalizer.h"
#include "parley/text/utf8.h"

namespace parley::pipeline {

namespace {

constexpr double kBestInvented = -0.5;  // mean log-probability; invented texts were seen up to -0.7
constexpr float kSure = 0.8f;           // probability; speech nearly always reaches 0.99 somewhere
constexpr int64_t kNear = dsp::kSampleRate / 5;  // samples: how far the model's times are off

// As normalized by BasicTextNormalizer. Each was seen in published transcripts of silence.
constexpr std::array<std::string_view, 46> kStockPhrases = {
    "you",
    "you you",
    "bye",
    "bye bye",
    "goodbye",
    "thank you",
    "thank you so much",
    "thank you very much",
    "thank you bye",
    "thanks",
    "thanks for watching",
    "thanks for watching guys",
    "thanks for watching and i ll see you next time",
    "thanks for watching and i ll see you in the next video",
    "thanks for listening",
    "thank you for watching",
    "thank you for listening",
    "thank you for your attention",
    "thank you so much for watching",
    "thank you very much for watching",
    "thank you for watching i ll see you in the next video",
    "thank you for watching and see you in the next video",
    "i ll see you next time",
    "i ll see you in the next video",
    "see you next time",
    "see you in the next video",
    "see you next week",
    "please subscribe",
    "please subscribe to my channel",
    "like and subscribe",
    "don t forget to subscribe",
    "subtitles by the amara org community",
    "transcription by castingwords",
    "untertitel der amara org community",
    "untertitel von stephanie geiges",
    "vielen dank fürs zuschauen",
    "sous titres réalisés par la communauté d amara org",
    "merci d avoir regardé cette vidéo",
    "sottotitoli creati dalla comunità amara org",
    "subtítulos realizados por la comunidad de amara org",
    "gracias por ver el video",
    "legendas pela comunidade amara org",
    "продолжение следует",
    "ご視聴ありがとうございました",
    "시청해주셔서 감사합니다",
    "请不吝点赞 订阅 转发 打赏支持明镜与点点栏目",
};

// The surest frame of the speech that was found in or near the segment's time; 0: none was found.
float peak_of(const Segment& segment, std::span<const dsp::SpeechSpan> speech) {
  const auto start = static_cast<int64_t>(segment.start * dsp::kSampleRate) - kNear;
  const auto end = static_cast<int64_t>(segment.end * dsp::kSampleRate) + kNear;
  float peak = 0;
  for (const auto& [span, surest] : speech) {
    if (span.start < end && span.end > start) peak = std::max(peak, surest);
  }
  return peak;
}

std::string bare(std::string_view text) {
  static const text::BasicTextNormalizer normalize;
  return std::string(text::strip(normalize(text)));
}

}  // namespace

bool is_stock_phrase(std::string_view text) {
  const std::string phrase = bare(text);
  return phrase.empty() ||
         std::find(kStockPhrases.begin(), kStockPhrases.end(), phrase) != kStockPhrases.end();
}

std::string_view why_invented(const Segment& segment, std::span<const dsp::SpeechSpan> speech,
                              std::string_view before, float no_speech_threshold) {
  const bool low =
      segment.no_speech_prob > no_speech_threshold && segment.avg_logprob < kBestInvented;
  const float peak = speech.empty() ? 1 : peak_of(segment, speech);
  if (peak == 0 && (low || is_stock_phrase(segment.text) || bare(segment.text) == bare(before)))
    return "no_speech";
  if (peak < kSure && low) return "no_speech";
  if (low && is_stock_phrase(segment.text)) return "hallucination";
  return "";
}

}  // namespace parley::pipeline
