#include "parley/cli/parley/validation_report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "parley/core/nn/cpu/isa.h"

namespace parley::cli {

namespace {

using Json = nlohmann::ordered_json;
using pipeline::SpeechScore;
using pipeline::TensorError;
using pipeline::VoiceScore;

template <class... Values>
std::string format(const char* pattern, Values... values) {
  std::array<char, 512> text;
  std::snprintf(text.data(), text.size(), pattern, values...);
  return text.data();
}

std::string tensor_table(const std::vector<TensorError>& tensors) {
  size_t width = 12;
  for (const TensorError& tensor : tensors) width = std::max(width, tensor.name.size());
  const int columns = static_cast<int>(width);
  std::string text =
      format("%-*s  %-15s %12s %12s\n", columns, "", "shape", "max error", "relative");
  for (const TensorError& tensor : tensors) {
    text += format("%-*s  %-15s %12.3g %12.3g\n", columns, tensor.name.c_str(),
                   tensor.shape.str().c_str(), tensor.max_error, tensor.relative_error);
  }
  return text + "\n";
}

std::string score_row(const std::string& name, const text::WordErrors* words, double real_time) {
  const std::string wer = words == nullptr ? "-" : format("%.2f %%", percent(*words));
  return format("%-30s %10s %12.4f\n", name.substr(0, 30).c_str(), wer.c_str(), real_time);
}

std::string score_table(const Validation& v) {
  const std::string header = format("%-30s %10s %12s\n", "", "WER", "real time x");
  const auto of = [](const auto& score) { return score ? &*score : nullptr; };
  std::string text;
  if (v.speech) {
    text = format("%s: %lld recordings, %.0f s\n", v.manifest.c_str(),
                  static_cast<long long>(v.speech->recordings), v.speech->audio_seconds);
    text += header + score_row(v.model, &v.speech->words, v.speech->real_time_factor());
    if (const SpeechScore* other = of(v.reference_speech))
      text += score_row(v.reference, &other->words, other->real_time_factor());
  } else {
    text = format("%s: %lld texts, %.0f s spoken%s%s\n", v.manifest.c_str(),
                  static_cast<long long>(v.voice->sentences), v.voice->audio_seconds,
                  v.listener.empty() ? "" : ", heard by ", v.listener.c_str());
    text += header + score_row(v.model, of(v.voice->words), v.voice->real_time_factor());
    if (const VoiceScore* other = of(v.reference_voice))
      text += score_row(v.reference, of(other->words), other->real_time_factor());
  }
  if (const auto delta = wer_delta(v)) text += format("%-30s %+10.2f\n", "difference", *delta);
  if (v.voice && v.voice->cepstral_distortion)
    text += format("%-30s %10.2f dB\n", "mel-cepstral distortion", *v.voice->cepstral_distortion);
  if (v.voice && v.voice->signal_to_noise)
    text += format("%-30s %10.2f dB\n", "vocoder, signal to noise", *v.voice->signal_to_noise);
  return text + "\n";
}

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json words_json(const text::WordErrors& words) {
  return {{"wer", percent(words)},
          {"words", words.reference_words()},
          {"substitutions", words.substitutions},
          {"deletions", words.deletions},
          {"insertions", words.insertions}};
}

Json score_json(const SpeechScore& score) {
  Json json = words_json(score.words);
  json["recordings"] = score.recordings;
  json["audio_seconds"] = score.audio_seconds;
  json["wall_seconds"] = score.wall_seconds;
  json["real_time_factor"] = score.real_time_factor();
  return json;
}

Json score_json(const VoiceScore& score) {
  Json json = score.words ? words_json(*score.words) : Json::object();
  json["texts"] = score.sentences;
  json["audio_seconds"] = score.audio_seconds;
  json["wall_seconds"] = score.wall_seconds;
  json["real_time_factor"] = score.real_time_factor();
  if (score.cepstral_distortion)
    json["mel_cepstral_distortion"] = number(*score.cepstral_distortion);
  if (score.signal_to_noise) json["signal_to_noise"] = number(*score.signal_to_noise);
  return json;
}

Json task_json(const Validation& v) {
  Json json = {{"manifest", v.manifest}};
  if (!v.listener.empty()) json["listener"] = v.listener;
  const auto put = [&json](const char* name, const auto& score) {
    if (score) json[name] = score_json(*score);
  };
  put("model", v.speech);
  put("model", v.voice);
  put("reference", v.reference_speech);
  put("reference", v.reference_voice);
  if (const auto delta = wer_delta(v)) json["wer_delta"] = *delta;
  return json;
}

}  // namespace

double percent(const text::WordErrors& words) { return 100 * words.rate(); }

std::optional<double> wer_delta(const Validation& v) {
  if (v.speech && v.reference_speech)
    return percent(v.speech->words) - percent(v.reference_speech->words);
  if (v.voice && v.reference_voice && v.voice->words && v.reference_voice->words)
    return percent(*v.voice->words) - percent(*v.reference_voice->words);
  return std::nullopt;
}

bool Validation::is_good() const {
  return std::all_of(bounds.begin(), bounds.end(),
                     [](const Bound& bound) { return bound.is_kept(); });
}

std::string validation_table(const Validation& v) {
  std::string text = v.model + ", " + v.precision + " on " + std::string(nn::name_of(nn::isa()));
  if (!v.reference.empty()) text += ", beside " + v.reference;
  text += "\n\n";
  if (!v.tensors.empty()) text += tensor_table(v.tensors);
  if (v.speech || v.voice) text += score_table(v);
  for (const Bound& bound : v.bounds) {
    text += format("--%s %g: %g, %s\n", bound.name.c_str(), bound.bound, bound.measured,
                   bound.is_kept() ? "kept" : "broken");
  }
  return text;
}

std::string validation_json(const Validation& v) {
  Json json = {{"model", v.model},
               {"digest", v.digest},
               {"precision", v.precision},
               {"instruction_set", nn::name_of(nn::isa())},
               {"reference", v.reference.empty() ? Json(nullptr) : Json(v.reference)},
               {"tensors", Json::array()}};
  for (const TensorError& tensor : v.tensors) {
    Json shape = Json::array();
    for (int axis = 0; axis < tensor.shape.rank(); ++axis) shape.push_back(tensor.shape[axis]);
    json["tensors"].push_back({{"name", tensor.name},
                               {"layer", tensor.role == pipeline::TensorRole::kLayer},
                               {"shape", shape},
                               {"max_error", number(tensor.max_error)},
                               {"relative_error", number(tensor.relative_error)}});
  }
  if (v.speech || v.voice) json["task"] = task_json(v);
  json["bounds"] = Json::array();
  for (const Bound& bound : v.bounds) {
    json["bounds"].push_back({{"option", bound.name},
                              {"bound", bound.bound},
                              {"measured", number(bound.measured)},
                              {"kept", bound.is_kept()}});
  }
  json["good"] = v.is_good();
  return json.dump(1) + "\n";
}

}  // namespace parley::cli
