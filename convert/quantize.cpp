#include "parley/convert/quantize.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <vector>

namespace parley::stage {

namespace {

using nn::Storage;

// The element of largest magnitude, with its sign.
float extreme(std::span<const float> values) {
  float result = 0;
  for (const float value : values) {
    if (std::abs(value) > std::abs(result)) result = value;
  }
  return result;
}

// values ~ scale * q, low <= q <= high.
void round_to(std::span<const float> values, float scale, int low, int high, int8_t* q) {
  const float inverse = scale == 0.f ? 0.f : 1.f / scale;
  for (size_t i = 0; i < values.size(); ++i) {
    const float level =
        std::clamp(values[i] * inverse, static_cast<float>(low), static_cast<float>(high));
    q[i] = static_cast<int8_t>(std::lrint(level));
  }
}

float scale_of_int8(std::span<const float> values) { return std::abs(extreme(values)) / 127.f; }

// The best scale for q in [-8, 7]. For given q it is sum(x q) / sum(q^2), and the squared error is
// smaller the larger sum(x q)^2 / sum(q^2).
float scale_of_int4(std::span<const float> values) {
  const float most = extreme(values);
  if (most == 0.f) return 0.f;
  float best_scale = 0;
  float best_gain = -1;
  for (int step = -8; step <= 8; ++step) {
    const float inverse = -(8.f + 0.1f * static_cast<float>(step)) / most;
    float xq = 0;
    float qq = 0;
    for (const float value : values) {
      const float q = std::clamp(std::nearbyint(value * inverse), -8.f, 7.f);
      xq += value * q;
      qq += q * q;
    }
    if (qq > 0 && xq * xq > best_gain * qq) {
      best_gain = xq * xq / qq;
      best_scale = xq / qq;
    }
  }
  return best_scale;
}

float rounded_to_half(float value) { return nn::f16_to_f32(nn::f32_to_f16(value)); }

void store_scale(const nn::Tensor& scale, int64_t index, float value) {
  if (scale.dtype == nn::DType::kF16) {
    scale.as<uint16_t>()[index] = nn::f32_to_f16(value);
  } else {
    scale.f32()[index] = value;
  }
}

void quantize_row(std::span<const float> values, int64_t row, nn::StoredMatrix& out, int8_t* q) {
  const bool four = nn::bits_of(out.storage) == 4;
  const auto inputs = static_cast<int64_t>(values.size());
  const int64_t block = nn::has_blocks(out.storage) ? nn::kScaleBlock : inputs;
  const int64_t blocks = (inputs + block - 1) / block;
  for (int64_t b = 0; b < blocks; ++b) {
    const auto begin = static_cast<size_t>(b * block);
    const auto part = values.subspan(begin, std::min<size_t>(block, values.size() - begin));
    float scale = four ? scale_of_int4(part) : scale_of_int8(part);
    if (out.scale.dtype == nn::DType::kF16) scale = rounded_to_half(scale);
    store_scale(out.scale, row * blocks + b, scale);
    round_to(part, scale, four ? -8 : -127, four ? 7 : 127, q + begin);
  }
}

// Values in order, with the sums that the mean of any run of them takes.
class SortedValues {
 public:
  SortedValues(const std::vector<float>& values, const std::vector<float>& weights)
      : sorted_(values.size()), weight_(1, 0.0), moment_(1, 0.0) {
    std::vector<size_t> order(values.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(),
              [&](size_t a, size_t b) { return values[a] < values[b]; });
    for (size_t i = 0; i < order.size(); ++i) {
      const double value = values[order[i]];
      const double weight = weights[order[i]];
      sorted_[i] = values[order[i]];
      weight_.push_back(weight_.back() + weight);
      moment_.push_back(moment_.back() + weight * value);
    }
  }

  size_t size() const { return sorted_.size(); }
  float operator[](size_t index) const { return sorted_[index]; }
  size_t first_above(float bound) const {
    return static_cast<size_t>(std::upper_bound(sorted_.begin(), sorted_.end(), bound) -
                               sorted_.begin());
  }
  // Of values [begin, end); `otherwise` when they weigh nothing.
  float mean(size_t begin, size_t end, float otherwise) const {
    const double weight = weight_[end] - weight_[begin];
    return weight > 0 ? static_cast<float>((moment_[end] - moment_[begin]) / weight) : otherwise;
  }

 private:
  std::vector<float> sorted_;
  std::vector<double> weight_;
  std::vector<double> moment_;
};

// Lloyd's algorithm in one dimension: centres in order.
std::vector<float> k_means(const SortedValues& values, size_t count) {
  constexpr int kMaxRounds = 60;
  std::vector<float> centres(count);
  // Between equal shares of the values and equal steps of their range: both ends are looked after.
  const float low = values[0];
  const float step = (values[values.size() - 1] - low) / static_cast<float>(count);
  for (size_t i = 0; i < count; ++i) {
    const float share = values[(2 * i + 1) * values.size() / (2 * count)];
    centres[i] = 0.5f * (share + low + (static_cast<float>(i) + 0.5f) * step);
  }
  for (int round = 0; round < kMaxRounds; ++round) {
    const std::vector<float> before = centres;
    size_t begin = 0;
    for (size_t i = 0; i < count; ++i) {
      const size_t end =
          i + 1 == count ? values.size() : values.first_above(0.5f * (before[i] + before[i + 1]));
      centres[i] = values.mean(begin, end, before[i]);
      begin = end;
    }
    if (centres == before) break;
  }
  return centres;
}

// rows: f32 [count, inputs], the outputs of palette `group`.
void quantize_group(std::vector<float>& rows, int64_t group, nn::StoredMatrix& out,
                    std::vector<int8_t>& codes) {
  const auto inputs = static_cast<size_t>(out.inputs());
  std::vector<float> weights(rows.size());
  for (size_t begin = 0; begin < rows.size(); begin += inputs) {
    const auto row = std::span(rows).subspan(begin, inputs);
    const float scale = std::abs(extreme(row));
    store_scale(out.scale, group * nn::kPaletteGroup + static_cast<int64_t>(begin / inputs), scale);
    for (float& value : row) value = scale == 0.f ? 0.f : value / scale;
    std::fill_n(weights.begin() + static_cast<ptrdiff_t>(begin), inputs, scale * scale);
  }
  const auto count = static_cast<size_t>(out.palette.shape[1]);
  std::vector<float> centres = k_means(SortedValues(rows, weights), count);
  for (float& centre : centres) centre = rounded_to_half(centre);
  for (size_t i = 0; i < count; ++i)
    out.palette.as<uint16_t>()[static_cast<size_t>(group) * count + i] = nn::f32_to_f16(centres[i]);
  std::vector<float> bounds(count - 1);
  for (size_t i = 0; i + 1 < count; ++i) bounds[i] = 0.5f * (centres[i] + centres[i + 1]);
  codes.resize(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    codes[i] = static_cast<int8_t>(std::upper_bound(bounds.begin(), bounds.end(), rows[i]) -
                                   bounds.begin());
  }
}

QuantizedMatrix allocate(const nn::Shape& shape, Storage storage) {
  QuantizedMatrix result;
  result.view.shape = shape;
  result.view.storage = storage;
  const auto layout = nn::layout_of(storage, result.view.outputs(), result.view.inputs());
  const auto make = [](nn::Buffer& buffer, const nn::Shape& part, nn::DType dtype) {
    buffer = nn::Buffer(static_cast<size_t>(part.elements()) * nn::size_of(dtype));
    return nn::Tensor(buffer.data(), part, dtype);
  };
  result.view.data = make(result.data, layout.data, nn::DType::kU8);
  result.view.scale = make(result.scale, layout.scale, layout.scale_type);
  if (nn::is_palette(storage))
    result.view.palette = make(result.palette, layout.palette, nn::DType::kF16);
  return result;
}

}  // namespace

QuantizedMatrix quantize(const nn::StoredMatrix& source, Storage storage, nn::ThreadTeam& team) {
  nn::check(source);
  QuantizedMatrix result = allocate(source.shape, storage);
  nn::StoredMatrix& out = result.view;
  const int64_t outputs = source.outputs();
  const auto inputs = static_cast<size_t>(source.inputs());
  const auto row_bytes = out.data.shape[1];
  constexpr int64_t kRows = nn::kPaletteGroup;  // that a thread takes at a time
  team.run((outputs + kRows - 1) / kRows, [&](int64_t group, int) {
    const int64_t begin = group * kRows;
    const auto count = static_cast<size_t>(std::min(kRows, outputs - begin));
    std::vector<float> rows(count * inputs);
    std::vector<int8_t> codes(count * inputs);
    for (size_t r = 0; r < count; ++r)
      nn::dequantize_row(source, begin + static_cast<int64_t>(r), rows.data() + r * inputs);
    if (nn::is_palette(storage)) quantize_group(rows, group, out, codes);
    for (size_t r = 0; r < count; ++r) {
      const int64_t row = begin + static_cast<int64_t>(r);
      int8_t* q = codes.data() + r * inputs;
      if (!nn::is_palette(storage))
        quantize_row(std::span(rows).subspan(r * inputs, inputs), row, out, q);
      nn::pack_row(q, static_cast<int64_t>(inputs), nn::bits_of(storage),
                   out.data.as<uint8_t>() + row * row_bytes);
    }
  });
  return result;
}

}  // namespace parley::stage
