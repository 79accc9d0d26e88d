#include "parley/dsp/microphone.h"

#include <portaudio.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <chrono>
#include <cmath>
#include <thread>

#include "parley/core/base/error.h"
#include "parley/dsp/audio_reader.h"
#include "parley/dsp/resampler.h"
#include "parley/dsp/sound_system.h"

namespace parley::dsp {

namespace {

constexpr double kRingSeconds = 30;
constexpr auto kTick = std::chrono::milliseconds(5);
constexpr auto kSlowest = std::chrono::seconds(5);  // to the first sample; wireless ones take long
constexpr auto kLost = std::chrono::seconds(2);     // without a sample: the device is gone

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

// With a SoundSystem alive.
std::vector<MicrophoneDevice> list_devices() {
  std::vector<MicrophoneDevice> devices;
  for (int i = 0; i < Pa_GetDeviceCount(); ++i) {
    const PaDeviceInfo* info = Pa_GetDeviceInfo(i);
    if (info == nullptr || info->maxInputChannels < 1) continue;
    const PaHostApiInfo* api = Pa_GetHostApiInfo(info->hostApi);
    devices.push_back({.index = i,
                       .name = info->name,
                       .system = api != nullptr ? api->name : "",
                       .rate = info->defaultSampleRate,
                       .is_default = i == Pa_GetDefaultInputDevice()});
  }
  return devices;
}

MicrophoneDevice find_device(const std::string& wanted) {
  const std::vector<MicrophoneDevice> devices = list_devices();
  for (const MicrophoneDevice& device : devices) {
    const bool fits = wanted.empty()
                          ? device.is_default
                          : std::to_string(device.index) == wanted ||
                                lower(device.name).find(lower(wanted)) != std::string::npos;
    if (fits) return device;
  }
  std::string names;
  for (const MicrophoneDevice& device : devices)
    names += (names.empty() ? "there are: " : ", ") + device.name;
  throw Error("microphone",
              devices.empty()  ? "there is none"
              : wanted.empty() ? "none is the default one"
                               : "none is called '" + wanted + "'",
              names);
}

}  // namespace

struct SampleRing::State {
  std::vector<float> samples;
  std::atomic<uint64_t> written = 0;
  std::atomic<uint64_t> read = 0;
  std::atomic<uint64_t> lost = 0;
};

SampleRing::SampleRing(size_t capacity) : state_(std::make_shared<State>()) {
  state_->samples.resize(capacity);
}

void SampleRing::push(const float* samples, size_t count) {
  State& s = *state_;
  const uint64_t written = s.written.load(std::memory_order_relaxed);
  const size_t room =
      s.samples.size() - static_cast<size_t>(written - s.read.load(std::memory_order_acquire));
  const size_t taken = std::min(count, room);
  for (size_t i = 0; i < taken; ++i)
    s.samples[static_cast<size_t>((written + i) % s.samples.size())] = samples[i];
  s.written.store(written + taken, std::memory_order_release);
  if (taken < count) s.lost.fetch_add(count - taken, std::memory_order_relaxed);
}

size_t SampleRing::pop(std::span<float> out) {
  State& s = *state_;
  const uint64_t read = s.read.load(std::memory_order_relaxed);
  const size_t count =
      std::min(out.size(), static_cast<size_t>(s.written.load(std::memory_order_acquire) - read));
  for (size_t i = 0; i < count; ++i)
    out[i] = s.samples[static_cast<size_t>((read + i) % s.samples.size())];
  s.read.store(read + count, std::memory_order_release);
  return count;
}

bool SampleRing::used() const { return state_->written.load(std::memory_order_acquire) > 0; }
uint64_t SampleRing::lost() const { return state_->lost.load(std::memory_order_relaxed); }

std::vector<MicrophoneDevice> microphones() {
  const SoundSystem system;
  return list_devices();
}

struct Microphone::Stream {
  SoundSystem system = {};
  MicrophoneDevice device;
  SampleRing ring;
  Resampler resampler;
  std::vector<float> block = std::vector<float>(4096);
  std::chrono::steady_clock::time_point last = std::chrono::steady_clock::now();  // samples came
  uint64_t lost_told = 0;
  PaStream* stream = nullptr;

  explicit Stream(const std::string& name)
      : device(find_device(name)),
        ring(static_cast<size_t>(kRingSeconds * device.rate)),
        resampler(static_cast<int>(std::lround(device.rate)), kSampleRate) {
    const PaStreamParameters parameters{
        .device = device.index,
        .channelCount = 1,
        .sampleFormat = paFloat32,
        .suggestedLatency = Pa_GetDeviceInfo(device.index)->defaultLowInputLatency,
        .hostApiSpecificStreamInfo = nullptr};
    const QuietStandardError quiet;
    PaError error = Pa_OpenStream(&stream, &parameters, nullptr, device.rate,
                                  paFramesPerBufferUnspecified, paNoFlag, &record, &ring);
    if (error == paNoError) error = Pa_StartStream(stream);
    if (error == paNoError && gives_sound()) return;
    close();
    throw Error(device.name, error == paNoError ? "the microphone gives no sound"
                                                : std::string("cannot be recorded from: ") +
                                                      Pa_GetErrorText(error));
  }
  ~Stream() {
    const QuietStandardError quiet;
    close();
  }
  // Waits for the first samples. Before them PortAudio 19.6 must not lose its sound server: its
  // thread would go by a variable that it never set, and may then fail over and over for ever.
  bool gives_sound() {
    const auto begun = std::chrono::steady_clock::now();
    do {
      std::this_thread::sleep_for(kTick);
      last = std::chrono::steady_clock::now();
    } while (!ring.used() && last - begun < kSlowest);
    return ring.used();
  }
  void close() {
    if (stream == nullptr) return;
    Pa_AbortStream(stream);
    Pa_CloseStream(stream);
    stream = nullptr;
  }

  static int record(const void* input, void*, unsigned long frames, const PaStreamCallbackTimeInfo*,
                    PaStreamCallbackFlags, void* ring) {
    if (input != nullptr)
      static_cast<SampleRing*>(ring)->push(static_cast<const float*>(input), frames);
    return paContinue;
  }
};

Microphone::Microphone(const std::string& name) : stream_(std::make_unique<Stream>(name)) {}
Microphone::~Microphone() = default;
Microphone::Microphone(Microphone&&) noexcept = default;
Microphone& Microphone::operator=(Microphone&&) noexcept = default;

const std::string& Microphone::name() const { return stream_->device.name; }
double Microphone::rate() const { return stream_->device.rate; }

void Microphone::read(std::vector<float>& out, int milliseconds) {
  using Clock = std::chrono::steady_clock;
  const auto patience = Clock::now() + std::chrono::milliseconds(milliseconds);
  while (true) {
    bool came = false;
    while (const size_t count = stream_->ring.pop(stream_->block)) {
      stream_->resampler.convert(std::span(stream_->block).first(count), out);
      came = true;
    }
    const auto now = Clock::now();
    if (came) {
      stream_->last = now;
      return;
    }
    if (Pa_IsStreamActive(stream_->stream) != 1)
      throw Error(stream_->device.name, "the microphone has stopped");
    if (now - stream_->last > kLost)
      throw Error(stream_->device.name, "the microphone gives no sound any more");
    if (now >= patience) return;
    std::this_thread::sleep_for(kTick);
  }
}

int64_t Microphone::take_overrun() {
  const uint64_t lost = stream_->ring.lost();
  const uint64_t fresh = lost - stream_->lost_told;
  stream_->lost_told = lost;
  return std::llround(static_cast<double>(fresh) * kSampleRate / stream_->device.rate);
}

}  // namespace parley::dsp
