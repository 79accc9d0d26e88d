#include "parley/dsp/audio_source.h"

#include <algorithm>
#include <utility>

#include "parley/core/base/error.h"
#include "parley/dsp/timeline.h"

namespace parley::dsp {

namespace {

constexpr size_t kMostNotes = 20;
constexpr size_t kMostDamage = 8;      // places that are named
constexpr double kOnePlace = 0.5;      // seconds between damages that are told as one
constexpr double kWorthANotice = 0.1;  // seconds

std::string count_of(int64_t count, const char* what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

}  // namespace

AudioSource::AudioSource(std::string where, const AudioOptions& options)
    : where_(std::move(where)), options_(options), mix_(options.channel) {}

void AudioSource::check(int rate, int channels) const {
  if (rate < 1000 || rate > 768000) {
    throw Error(where_, "has a sample rate of " + std::to_string(rate) + " Hz",
                "1000 to 768000 Hz are supported");
  }
  if (channels < 1 || channels > 64) {
    throw Error(where_, "has " + std::to_string(channels) + " channels", "1 to 64 are supported");
  }
}

void AudioSource::check_first(int rate, int channels) const {
  check(rate, channels);
  if (options_.channel && *options_.channel > channels) {
    throw Error(where_, "has " + count_of(channels, "channel") + ", there is no channel " +
                            std::to_string(*options_.channel));
  }
}

void AudioSource::check_track(int tracks) const {
  if (options_.track && *options_.track > tracks) {
    throw Error(where_, "has " + count_of(tracks, "track") + " of sound, there is no track " +
                            std::to_string(*options_.track));
  }
}

void AudioSource::note(const std::string& what) {
  if (notes_.size() < kMostNotes) notes_.push_back(what);
}

void AudioSource::note_damage(double from, double to) {
  if (!damage_.empty() && more_damage_ == 0 && from - damage_.back().to < kOnePlace) {
    damage_.back().to = std::max(damage_.back().to, to);
  } else if (damage_.size() < kMostDamage) {
    damage_.push_back({from, to});
  } else {
    ++more_damage_;
  }
}

void AudioSource::note_early_end(double seconds, const std::string& why) {
  ended_early_ = true;
  note("ends at " + shown_seconds(seconds) + ", " + why);
}

std::vector<std::string> AudioSource::notices() const {
  std::vector<std::string> all = notes_;
  if (!damage_.empty()) {
    std::string places;
    for (const Span& span : damage_) {
      places += places.empty() ? "" : ", ";
      places += shown_seconds(span.from);
      if (span.to > span.from) places += " to " + shown_seconds(span.to);
    }
    if (more_damage_ > 0) places += " and " + count_of(more_damage_, "more place");
    all.push_back("is damaged at " + places + ": what could not be decoded is silence");
  }
  if (mix_.non_finite_samples() > 0) {
    all.push_back(std::to_string(mix_.non_finite_samples()) +
                  " samples that are not numbers were taken for silence");
  }
  if (mix_.cancelled_seconds() >= kWorthANotice) {
    all.push_back("the channels cancel each other out for " +
                  shown_seconds(mix_.cancelled_seconds()) +
                  ": the loudest was heard alone there (--channel chooses one)");
  }
  if (mix_.missing_seconds() > 0) {
    all.push_back("has no channel " + std::to_string(*options_.channel) + " for " +
                  shown_seconds(mix_.missing_seconds()) + ": all channels were heard there");
  }
  return all;
}

}  // namespace parley::dsp
