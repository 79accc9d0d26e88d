// speak: text to speech, to files, standard output and the sound device.
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "parley/cli/help_layout.h"
#include "parley/cli/interrupt_watch.h"
#include "parley/cli/program.h"
#include "parley/cli/recommend.h"
#include "parley/cli/run_facts.h"
#include "parley/cli/speak/audio_output.h"
#include "parley/cli/speak/speak_options.h"
#include "parley/cli/write_all.h"
#include "parley/core/base/error.h"
#include "parley/core/model/voices.h"
#include "parley/core/nn/cpu/isa.h"
#include "parley/core/nn/thread_count.h"
#include "parley/pipeline/tts/voice_model.h"
#include "parley/store/model_lookup.h"

namespace parley::cli {

namespace {

constexpr const char* kEmbeddedVoice = "parley-mini-voice";

// The text of the command line, or of a file or pipe as it comes.
class TextSource {
 public:
  explicit TextSource(const SpeakArguments& arguments)
      : text_(arguments.text), where_(arguments.options.where) {
    if (arguments.file.empty()) return;
    descriptor_ = arguments.file == "-" ? ::dup(STDIN_FILENO)
                                        : ::open(arguments.file.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor_ < 0) throw Error(where_, std::string("cannot open: ") + std::strerror(errno));
  }
  ~TextSource() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  TextSource(const TextSource&) = delete;
  TextSource& operator=(const TextSource&) = delete;

  std::optional<size_t> read(std::span<char> buffer, const std::stop_token& stop) {
    if (descriptor_ >= 0) return read_file(buffer, stop);
    const size_t count = std::min(buffer.size(), text_.size() - at_);
    std::copy_n(text_.begin() + static_cast<std::ptrdiff_t>(at_), count, buffer.begin());
    at_ += count;
    return count;
  }

 private:
  // A pipe may stay silent for ever: says so after a moment, so that what came is spoken and a stop
  // is noticed.
  std::optional<size_t> read_file(std::span<char> buffer, const std::stop_token& stop) const {
    constexpr int kWaitMs = 50;
    while (!stop.stop_requested()) {
      pollfd waiting{.fd = descriptor_, .events = POLLIN, .revents = 0};
      if (::poll(&waiting, 1, kWaitMs) == 0) return std::nullopt;
      const ssize_t count = ::read(descriptor_, buffer.data(), buffer.size());
      if (count >= 0) return static_cast<size_t>(count);
      if (errno != EINTR && errno != EAGAIN)
        throw Error(where_, std::string("cannot read: ") + std::strerror(errno));
    }
    return 0;
  }

  const std::string& text_;
  std::string where_;
  size_t at_ = 0;
  int descriptor_ = -1;
};

std::unique_ptr<AudioOutput> open_output(const SpeakArguments& a, int rate) {
  if (a.play) return open_sound_device(rate);
  if (a.raw || a.output == "-") return open_standard_output(rate, /*header=*/!a.raw);
  return open_audio_file(a.output, rate);
}

void show_notice(const pipeline::SpokenNotice& notice) {
  constexpr size_t kShown = 60;
  std::string words = notice.spoken.substr(0, kShown);
  if (words.size() < notice.spoken.size()) words += "...";
  if (notice.problem.empty()) return;  // another attempt was good
  std::fprintf(stderr, "speak: \"%s\": %s, also after %d more %s\n", words.c_str(),
               notice.problem.c_str(), notice.retries,
               notice.retries == 1 ? "attempt" : "attempts");
}

std::string timings_json(const SpeakArguments& a, const pipeline::Synthesizer& synthesizer,
                         int threads, double load_seconds) {
  const pipeline::SpeakTimings& t = synthesizer.timings();
  using Json = nlohmann::ordered_json;
  return Json{{"wall_seconds", rounded(t.wall_seconds)},
              {"audio_seconds", rounded(t.audio_seconds)},
              {"real_time_factor", ratio(t.wall_seconds, t.audio_seconds)},
              {"time_to_first_audio_ms", rounded(t.time_to_first_audio_ms)},
              {"stages",
               {{"text_encoder", rounded(t.text_encoder)},
                {"mel_decoder", rounded(t.mel_decoder)},
                {"vocoder", rounded(t.vocoder)}}},
              {"tokens", t.characters},
              {"tokens_per_second", ratio(static_cast<double>(t.characters), t.wall_seconds)},
              {"sentences", t.sentences},
              {"steps", t.steps},
              {"retries", t.retries},
              {"load_seconds", rounded(load_seconds)},
              {"peak_rss_bytes", peak_rss_bytes()},
              {"model", synthesizer.model().files.name()},
              {"model_digest", synthesizer.model().files.digest()},
              {"precision", nn::name_of(a.precision)},
              {"instruction_set", nn::name_of(nn::isa())},
              {"threads", threads}}
             .dump() +
         '\n';
}

int list_voices(const std::filesystem::path& folder) {
  for (const std::string& name : load_model([&] { return pipeline::list_voices(folder); }))
    std::printf("%s\n", name.c_str());
  return kAllGood;
}

void check_voice(const std::string& voice, const pipeline::VoiceModel& model) {
  if (voice.empty()) return;
  const std::vector<std::string> voices = stage::voice_names(model.files.stage("voices"));
  if (std::find(voices.begin(), voices.end(), voice) == voices.end()) {
    throw UsageError("the model has no voice '" + voice + "'; --list-voices shows them");
  }
}

int speak(SpeakArguments& a) {
  check_speak_options(a);
  const auto folder = load_model([&] { return store::find_model(a.model, "tts", kEmbeddedVoice); });
  if (a.list_voices) return list_voices(folder);
  if (a.model.empty() && !a.quiet && store::is_embedded_model(folder, kEmbeddedVoice)) {
    recommend("speak", std::string(kEmbeddedVoice) +
                           " is small; for a person's voice, install "
                           "another: parley models pull speecht5");
  }
  ::signal(SIGPIPE, SIG_IGN);  // a reader that leaves is noticed when writing
  TextSource text(a);
  InterruptWatch watch;
  const auto begun = std::chrono::steady_clock::now();
  const auto model =
      load_model([&] { return pipeline::VoiceModel::load(folder, a.precision, a.threads); });
  const std::chrono::duration<double> load = std::chrono::steady_clock::now() - begun;
  if (!model->has_vocoder() && !a.quiet) {
    std::fprintf(stderr,
                 "speak: %s: has no vocoder; Griffin-Lim, which sounds metallic, takes its place; "
                 "add one: parley convert MODEL -o NEW --vocoder VOCODER\n",
                 folder.c_str());
  }
  check_voice(a.options.voice, *model);
  if (a.options.sample_rate == 0) {
    a.options.sample_rate =
        a.output.empty() ? model->sample_rate() : audio_file_rate(a.output, model->sample_rate());
  }
  pipeline::Synthesizer synthesizer(model, a.threads);
  const auto output = open_output(a, a.options.sample_rate);
  pipeline::SpeakEvents events;
  if (!a.quiet) {
    events.notice = show_notice;
    events.remark = [&](const std::string& remark) {
      print_error("speak", a.options.where + ": " + remark);
    };
  }
  try {
    synthesizer.speak([&](std::span<char> buffer,
                          const std::stop_token& stop) { return text.read(buffer, stop); },
                      [&](std::span<const float> samples) { output->write(samples); }, a.options,
                      events, watch.token());
    output->commit();
  } catch (const ClosedPipe&) {  // whoever listened has enough
    return kSomeFailed;
  }
  if (!a.timings.empty()) {
    const int threads = nn::thread_count(a.threads);
    write_named(a.timings, timings_json(a, synthesizer, threads, load.count()));
  }
  return kAllGood;
}

}  // namespace

int run_speak(int argc, char** argv) {
  CLI::App app("Turns text into speech.", "speak");
  app.set_version_flag("--version", "speak " + version());
  app.formatter(std::make_shared<HelpLayout>());
  app.get_formatter()->column_width(36);
  SpeakArguments arguments;
  add_speak_options(app, arguments);
  return run_program(app, argc, argv, [&] { return speak(arguments); });
}

}  // namespace parley::cli

int main(int argc, char** argv) {
  try {
    return parley::cli::run_speak(argc, argv);
  } catch (...) {  // what run_program() does not catch: no memory for the options
    return parley::cli::kSomeFailed;
  }
}
