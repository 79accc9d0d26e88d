#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "parley/cli/interrupt_watch.h"
#include "parley/cli/option_values.h"
#include "parley/cli/parley/parley_commands.h"
#include "parley/cli/program.h"
#include "parley/cli/run_facts.h"
#include "parley/cli/write_all.h"
#include "parley/core/base/file.h"
#include "parley/core/model/model.h"
#include "parley/core/nn/cpu/isa.h"
#include "parley/pipeline/evaluation/profiler.h"
#include "parley/pipeline/stt/speech_model.h"
#include "parley/pipeline/stt/transcriber.h"
#include "parley/pipeline/tts/synthesizer.h"
#include "parley/pipeline/tts/voice_model.h"
#include "parley/store/model_lookup.h"

namespace parley::cli {

namespace {

constexpr size_t kMaxText = size_t{16} << 20;
constexpr double kWarmUp = 30;       // seconds of audio that are computed before, unwatched
constexpr size_t kWarmUpText = 200;  // bytes of text

struct Profile {
  std::string model, digest;
  int threads = 0;
  double audio_seconds = 0;
  double wall_seconds = 0;
  std::vector<std::pair<std::string, double>> stages;  // seconds
  std::vector<pipeline::ProfileRow> rows;
};

Profile profile_speech(const std::filesystem::path& folder, const ProfileArguments& a,
                       const std::stop_token& stop) {
  pipeline::Transcriber transcriber(load_model([&] {
                                      return pipeline::SpeechModel::load(
                                          folder, a.precision, a.threads,
                                          stage::PackedCache::for_user());
                                    }),
                                    a.threads);
  pipeline::TranscribeOptions options{.beam = a.beam};
  dsp::AudioReader beginning = dsp::AudioReader::open(a.input);
  beginning.limit(0, kWarmUp);
  transcriber.transcribe(std::move(beginning), options, {}, stop);
  pipeline::Profiler profiler;
  transcriber.set_observer(&profiler);
  transcriber.transcribe(dsp::AudioReader::open(a.input), options, {}, stop);
  const pipeline::Timings& t = transcriber.timings();
  return {.model = transcriber.model().files.name(),
          .digest = transcriber.model().files.digest(),
          .audio_seconds = t.audio_seconds,
          .wall_seconds = t.wall_seconds,
          .stages = {{"decode_audio", t.decode_audio},
                     {"vad", t.vad},
                     {"frontend", t.frontend},
                     {"encoder", t.encoder},
                     {"decoder", t.decoder}},
          .rows = profiler.rows()};
}

Profile profile_voice(const std::filesystem::path& folder, const ProfileArguments& a,
                      const std::stop_token& stop) {
  pipeline::Synthesizer voice(
      load_model([&] { return pipeline::VoiceModel::load(folder, a.precision, a.threads); }),
      a.threads);
  const std::string text = read_file(a.input, kMaxText);
  pipeline::SpeakOptions options{.where = a.input.string()};
  pipeline::speak(voice, std::string_view(text).substr(0, kWarmUpText), options, stop);
  pipeline::Profiler profiler;
  voice.set_observer(&profiler);
  pipeline::speak(voice, text, options, stop);
  const pipeline::SpeakTimings& t = voice.timings();
  return {.model = voice.model().files.name(),
          .digest = voice.model().files.digest(),
          .audio_seconds = t.audio_seconds,
          .wall_seconds = t.wall_seconds,
          .stages = {{"text_encoder", t.text_encoder},
                     {"mel_decoder", t.mel_decoder},
                     {"vocoder", t.vocoder}},
          .rows = profiler.rows()};
}

template <class... Values>
std::string format(const char* pattern, Values... values) {
  std::array<char, 512> text;
  std::snprintf(text.data(), text.size(), pattern, values...);
  return text.data();
}

double operator_seconds(const Profile& profile) {
  double total = 0;
  for (const pipeline::ProfileRow& row : profile.rows) total += row.seconds;
  return total;
}

std::string profile_table(const Profile& p, const ProfileArguments& a) {
  std::string text = format("%s, %s on %s, %d threads: %.1f s of audio in %.2f s\n\n",
                            p.model.c_str(), std::string(nn::name_of(a.precision)).c_str(),
                            std::string(nn::name_of(nn::isa())).c_str(), p.threads, p.audio_seconds,
                            p.wall_seconds);
  for (const auto& [stage, seconds] : p.stages)
    text += format("%-14s %10.1f ms\n", stage.c_str(), 1e3 * seconds);
  const double total = operator_seconds(p);
  text += format("%-14s %10.1f ms\n\n", "operators", 1e3 * total);
  const size_t shown = std::min<size_t>(p.rows.size(), static_cast<size_t>(a.top));
  int layer_width = 5;
  int kernel_width = 6;
  for (const auto& row : std::span(p.rows).first(shown)) {
    layer_width = std::max(layer_width, static_cast<int>(row.layer.size()));
    kernel_width = std::max(kernel_width, static_cast<int>(row.kernel.size()));
  }
  text += format("%-*s  %-24s  %-*s  %-7s %7s %9s %6s %9s %7s\n", layer_width, "layer", "operator",
                 kernel_width, "kernel", "set", "calls", "ms", "share", "GFLOP/s", "GB/s");
  for (const auto& row : std::span(p.rows).first(shown)) {
    text += format("%-*s  %-24s  %-*s  %-7s %7lld %9.2f %5.1f%% %9.1f %7.1f\n", layer_width,
                   row.layer.c_str(), row.operation.c_str(), kernel_width, row.kernel.c_str(),
                   std::string(nn::name_of(row.isa)).c_str(), static_cast<long long>(row.calls),
                   1e3 * row.seconds, 100 * ratio(row.seconds, total), row.gflops_per_second(),
                   row.gbytes_per_second());
  }
  if (shown < p.rows.size()) text += format("and %zu more (--top)\n", p.rows.size() - shown);
  return text;
}

std::string profile_json(const Profile& p, const ProfileArguments& a) {
  using Json = nlohmann::ordered_json;
  Json json = {{"model", p.model},
               {"digest", p.digest},
               {"precision", nn::name_of(a.precision)},
               {"instruction_set", nn::name_of(nn::isa())},
               {"threads", p.threads},
               {"audio_seconds", rounded(p.audio_seconds)},
               {"wall_seconds", rounded(p.wall_seconds)},
               {"stages", Json::object()},
               {"operators", Json::array()}};
  for (const auto& [stage, seconds] : p.stages) json["stages"][stage] = rounded(seconds);
  for (const pipeline::ProfileRow& row : p.rows) {
    json["operators"].push_back({{"layer", row.layer},
                                 {"operator", row.operation},
                                 {"kernel", row.kernel},
                                 {"instruction_set", nn::name_of(row.isa)},
                                 {"calls", row.calls},
                                 {"seconds", row.seconds},
                                 {"flops", row.flops},
                                 {"bytes", row.bytes},
                                 {"gflops_per_second", row.gflops_per_second()},
                                 {"gbytes_per_second", row.gbytes_per_second()}});
  }
  return json.dump(1) + "\n";
}

}  // namespace

CLI::App* add_profile(CLI::App& app, ProfileArguments& a) {
  CLI::App* command =
      app.add_subcommand("profile", "Time, work and speed of a model's operators on an input");
  command->add_option("MODEL", a.model, "Installed model or model folder")
      ->type_name("NAME|DIR")
      ->required();
  command->add_option("--input", a.input, "A recording to hear, or a text file to speak")
      ->type_name("FILE")
      ->required();
  add_number(*command, "--top", a.top, 1, 1000000, "How many operators to show, slowest first");
  add_number(*command, "--beam", a.beam, 1, 64, "Beams of a speech model's decoder");
  command
      ->add_option("--json", a.json,
                   "Write all operators as JSON; -: to standard output, instead of the table")
      ->type_name("FILE");
  add_machine(*command, a.precision, a.threads);
  return command;
}

int run_profile(const ProfileArguments& a) {
  const InterruptWatch interrupts;
  const std::filesystem::path folder =
      load_model([&] { return store::find_model(a.model, "", ""); });
  const std::string kind = load_model([&] { return stage::Model::open(folder).kind(); });
  if (kind != "stt" && kind != "tts")
    throw UsageError("profile is for models that hear or speak, not of kind " + kind);
  Profile profile = kind == "stt" ? profile_speech(folder, a, interrupts.token())
                                  : profile_voice(folder, a, interrupts.token());
  profile.threads = nn::ThreadTeam(a.threads).threads();
  if (a.json != "-") std::fputs(profile_table(profile, a).c_str(), stdout);
  if (!a.json.empty()) write_named(a.json, profile_json(profile, a));
  return kAllGood;
}

}  // namespace parley::cli
