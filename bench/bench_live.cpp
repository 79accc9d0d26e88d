// Live transcription, measured: how long after a word has ended it is shown, how long after the
// endpoint the final text comes, what it costs; and whether memory stays flat over hours. Prints
// one JSON object (bench/README.md).
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "parley/core/nn/cpu/isa.h"
#include "parley/dsp/audio_reader.h"
#include "parley/pipeline/live/live_session.h"
#include "parley/pipeline/stt/speech_model.h"

namespace {

using namespace parley;
using Clock = std::chrono::steady_clock;
using pipeline::LiveEvent;
using pipeline::LiveEventKind;

struct Shown {
  LiveEvent event;
  double at;  // wall seconds since the stream began
};

double seconds_since(Clock::time_point begun) {
  return std::chrono::duration<double>(Clock::now() - begun).count();
}

double median(std::vector<double> values) {
  if (values.empty()) return -1;
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

double percentile_95(std::vector<double> values) {
  if (values.empty()) return -1;
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, values.size() * 95 / 100)];
}

// Letters and digits in lower case, word by word.
std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  std::istringstream in(text);
  for (std::string word; in >> word;) {
    std::string bare;
    for (const char c : word) {
      if (std::isalnum(static_cast<unsigned char>(c)))
        bare += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    if (!bare.empty()) words.push_back(bare);
  }
  return words;
}

std::vector<float> read_joined(const std::vector<std::string>& files, double pause) {
  std::vector<float> samples(static_cast<size_t>(dsp::kSampleRate));
  std::vector<float> block(dsp::kSampleRate);
  for (const std::string& file : files) {
    dsp::AudioReader reader = dsp::AudioReader::open(file);
    while (const size_t count = reader.read(block))
      samples.insert(samples.end(), block.begin(), block.begin() + static_cast<int64_t>(count));
    samples.resize(samples.size() + static_cast<size_t>(pause * dsp::kSampleRate));
  }
  return samples;
}

// For each word of a final text: the time from its end to the first event since the final before
// that shows it in its place.
void add_delays(const std::vector<Shown>& shown, std::vector<double>& delays) {
  size_t since = 0;
  for (size_t i = 0; i < shown.size(); ++i) {
    const LiveEvent& final = shown[i].event;
    if (final.kind != LiveEventKind::kFinal) continue;
    size_t place = 0;
    for (const pipeline::Segment& segment : final.segments) {
      for (const pipeline::Word& word : segment.words) {
        const auto bare = words_of(word.word);
        if (bare.empty()) continue;
        for (size_t k = since; k <= i; ++k) {
          const bool text = shown[k].event.kind == LiveEventKind::kPartial || k == i;
          const auto seen = text ? words_of(shown[k].event.text) : std::vector<std::string>();
          if (place >= seen.size() || seen[place] != bare[0]) continue;
          if (shown[k].at >= word.end) delays.push_back(shown[k].at - word.end);
          break;
        }
        place += bare.size();
      }
    }
    since = i + 1;
  }
}

nlohmann::json measure(const std::shared_ptr<const pipeline::SpeechModel>& model,
                       const pipeline::LiveOptions& options, const std::vector<float>& samples) {
  std::vector<Shown> shown;
  const auto begun = Clock::now();
  pipeline::LiveSession session(model, options, [&](const LiveEvent& event) {
    shown.push_back({event, seconds_since(begun)});
  });
  const size_t block = dsp::kSampleRate / 50;
  for (size_t at = 0; at + block <= samples.size(); at += block) {
    std::this_thread::sleep_until(
        begun + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(
                    static_cast<double>(at + block) / dsp::kSampleRate)));
    session.push(std::span(samples).subspan(at, block));
  }
  session.finish();
  std::vector<double> delays;
  std::vector<double> finals;
  std::vector<double> partials;
  std::string text;
  add_delays(shown, delays);
  for (const Shown& each : shown) {
    if (each.event.kind == LiveEventKind::kFinal) finals.push_back(each.event.lag_ms / 1000);
    if (each.event.kind == LiveEventKind::kFinal) text += each.event.text;
    if (each.event.kind == LiveEventKind::kPartial) partials.push_back(each.event.lag_ms / 1000);
  }
  const pipeline::Timings& timings = session.timings();
  return {{"audio_seconds", timings.audio_seconds},
          {"words", delays.size()},
          {"word_to_first_text_median_s", median(delays)},
          {"word_to_first_text_95_s", percentile_95(delays)},
          {"endpoint_to_final_median_s", median(finals)},
          {"endpoint_to_final_95_s", percentile_95(finals)},
          {"partials", partials.size()},
          {"partial_lag_median_s", median(partials)},
          {"real_time_factor", timings.wall_seconds / timings.audio_seconds},
          {"text", text}};
}

double resident_megabytes() {
  std::ifstream statm("/proc/self/statm");
  double pages = 0;
  statm >> pages >> pages;
  return pages * static_cast<double>(::sysconf(_SC_PAGESIZE)) / 1e6;
}

// Hours of the same audio, as fast as it can be heard; memory after each tenth of it.
nlohmann::json soak(const std::shared_ptr<const pipeline::SpeechModel>& model,
                    const pipeline::LiveOptions& options, const std::vector<float>& samples,
                    double hours) {
  double last_end = 0;
  int64_t finals = 0;
  pipeline::LiveSession session(model, options, [&](const LiveEvent& event) {
    if (event.kind != LiveEventKind::kFinal) return;
    ++finals;
    last_end = std::max(last_end, event.end);
  });
  const auto total = static_cast<int64_t>(hours * 3600 * dsp::kSampleRate);
  nlohmann::json memory = nlohmann::json::array();
  int64_t pushed = 0;
  for (int64_t next = total / 10; pushed < total;) {
    session.push(samples);
    pushed += static_cast<int64_t>(samples.size());
    if (pushed < next) continue;
    memory.push_back(resident_megabytes());
    next += total / 10;
  }
  session.finish();
  return {{"audio_seconds", session.timings().audio_seconds},
          {"pushed_seconds", static_cast<double>(pushed) / dsp::kSampleRate},
          {"resident_mb", memory},
          {"finals", finals},
          {"last_final_end", last_end},
          {"dropped_seconds", session.dropped_seconds()},
          {"busy_seconds", session.timings().wall_seconds}};
}

}  // namespace

int main(int argc, char** argv) {
  std::string folder;
  std::vector<std::string> files;
  double hours = 0;
  double pause = 1.5;
  pipeline::LiveOptions options;
  options.transcribe.word_timestamps = true;
  CLI::App app("Measures live transcription.");
  app.add_option("model", folder, "model folder")->required();
  app.add_option("files", files, "audio, heard one after another")->required();
  app.add_option("--threads", options.threads, "0: all processors");
  app.add_option("--beam", options.transcribe.beam);
  app.add_option("--partial-interval", options.partial_interval, "seconds");
  app.add_option("--pause", pause, "seconds between files");
  app.add_option("--soak", hours, "hours of the audio, fast, watching memory instead");
  CLI11_PARSE(app, argc, argv);
  try {
    const auto model = pipeline::SpeechModel::load(folder, nn::Precision::kAuto, options.threads);
    const std::vector<float> samples = read_joined(files, pause);
    nlohmann::json result =
        hours > 0 ? soak(model, options, samples, hours) : measure(model, options, samples);
    result["model"] = model->files.name();
    result["isa"] = nn::name_of(nn::isa());
    std::cout << result.dump() << "\n";
  } catch (const std::exception& error) {
    std::cerr << "bench_live: " << error.what() << "\n";
    return 3;
  }
}
