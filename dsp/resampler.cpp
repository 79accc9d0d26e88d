#include "parley/dsp/resampler.h"

extern "C" {
#include <libavutil/channel_layout.h>
#include <libswresample/swresample.h>
}

#include <algorithm>

#include "parley/core/base/error.h"

namespace parley::dsp {

void Resampler::Free::operator()(SwrContext* context) const { swr_free(&context); }

Resampler::Resampler(int from_rate, int to_rate) : from_rate_(from_rate), to_rate_(to_rate) {
  AVChannelLayout mono = AV_CHANNEL_LAYOUT_MONO;
  SwrContext* context = nullptr;
  const bool made = swr_alloc_set_opts2(&context, &mono, AV_SAMPLE_FMT_FLT, to_rate, &mono,
                                        AV_SAMPLE_FMT_FLT, from_rate, 0, nullptr) == 0;
  context_.reset(context);
  if (!made || swr_init(context) < 0) {
    throw Error("resampler", "cannot convert " + std::to_string(from_rate) + " Hz to " +
                                 std::to_string(to_rate) + " Hz");
  }
}

Resampler::~Resampler() = default;

void Resampler::append(const float* input, size_t count, std::vector<float>& out) {
  const int room = std::max(0, swr_get_out_samples(context_.get(), static_cast<int>(count)));
  const size_t before = out.size();
  out.resize(before + static_cast<size_t>(room));
  auto* to = reinterpret_cast<uint8_t*>(out.data() + before);
  const auto* from = reinterpret_cast<const uint8_t*>(input);
  const int got = swr_convert(context_.get(), &to, room, input != nullptr ? &from : nullptr,
                              static_cast<int>(count));
  if (got < 0) throw Error("resampler", "libswresample failed");
  out.resize(before + static_cast<size_t>(got));
  produced_ += got;
}

void Resampler::convert(std::span<const float> input, std::vector<float>& out) {
  constexpr size_t kBlock = 1 << 16;  // libswresample counts in int
  consumed_ += static_cast<int64_t>(input.size());
  for (size_t at = 0; at < input.size(); at += kBlock) {
    append(input.data() + at, std::min(kBlock, input.size() - at), out);
  }
}

void Resampler::finish(std::vector<float>& out) {
  append(nullptr, 0, out);
  const int64_t whole = (consumed_ * to_rate_ + from_rate_ - 1) / from_rate_;
  const int64_t missing = whole - produced_;
  out.resize(static_cast<size_t>(std::max<int64_t>(0, static_cast<int64_t>(out.size()) + missing)));
}

}  // namespace parley::dsp
