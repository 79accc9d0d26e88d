#include "parley/pipeline/stt/language_detection.h"

#include <algorithm>
#include <cmath>

namespace parley::pipeline {

namespace {

constexpr float kLeast = 1e-6f;  // what no window says more against a language or itself than

void normalize(std::vector<decoder::LanguageProbability>& languages) {
  float total = 0;
  for (const auto& language : languages) total += language.probability;
  for (auto& language : languages) language.probability /= total;
}

}  // namespace

void LanguageDetection::hear(const decoder::LanguageGuess& window) {
  if (sure()) return;
  ++windows_;
  std::vector<decoder::LanguageProbability> languages;
  for (const auto& [code, probability] : window.languages) {
    if (among_.empty() || std::find(among_.begin(), among_.end(), code) != among_.end())
      languages.push_back({code, std::max(probability, kLeast)});
  }
  normalize(languages);
  const auto likelier = [](const auto& a, const auto& b) { return a.probability < b.probability; };
  const auto best = std::max_element(languages.begin(), languages.end(), likelier);
  if (best == languages.end()) return;
  decided_ = best->probability > kThreshold && window.no_speech_prob <= no_speech_threshold_;
  if (decided_) sums_.clear();  // what was heard before does not count
  const float weight = decided_ ? 1 : std::max(1 - window.no_speech_prob, kLeast);
  weight_ = decided_ ? weight : weight_ + weight;
  for (const auto& [code, probability] : languages) {
    const auto known = std::find_if(sums_.begin(), sums_.end(),
                                    [&](const auto& other) { return other.code == code; });
    auto& sum = known != sums_.end() ? *known : (sums_.push_back({code, 0}), sums_.back());
    sum.probability += weight * std::log(probability);
  }
}

decoder::LanguageProbability LanguageDetection::best() const {
  std::vector<decoder::LanguageProbability> languages = sums_;
  for (auto& language : languages)
    language.probability = std::exp(language.probability / static_cast<float>(weight_));
  normalize(languages);
  const auto best =
      std::max_element(languages.begin(), languages.end(),
                       [](const auto& a, const auto& b) { return a.probability < b.probability; });
  return best != languages.end() ? *best : decoder::LanguageProbability{};
}

}  // namespace parley::pipeline
