#include "parley/core/nn/weight.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <sstream>

#include "parley/core/base/error.h"
#include "parley/core/nn/cpu/isa.h"
#include "parley/core/nn/cpu/kernels.h"
#include "parley/core/nn/cpu/kernels_compressed.h"
#include "parley/core/nn/cpu/onednn.h"

namespace parley::nn {

using kernels::Form;
using kernels::kPanel;
using kernels::panels_of;

std::string_view name_of(Precision precision) {
  switch (precision) {
    case Precision::kAuto:
      return "auto";
    case Precision::kF32:
      return "f32";
    case Precision::kBF16:
      return "bf16";
    case Precision::kInt8:
      return "int8";
  }
  return "?";
}

std::string_view name_of(Compute compute) {
  switch (compute) {
    case Compute::kF32Many:
      return "f32 many rows";
    case Compute::kBF16Many:
      return "bf16 oneDNN";
    case Compute::kF32Few:
      return "f32 rows";
    case Compute::kBF16Few:
      return "bf16 rows";
    case Compute::kInt8:
      return "int8 rows";
    case Compute::kInt8Many:
      return "int8 many rows";
  }
  return "?";
}

Isa isa_of(Compute compute) {
  if (compute == Compute::kInt8 || compute == Compute::kInt8Many)
    return std::min(isa(), Isa::kVnni);
  if (compute == Compute::kBF16Many && isa() >= Isa::kAmx) return Isa::kAmx;
  return std::min(isa(), Isa::kAvx512);
}

Compute compute_for(Precision precision, Rows rows) {
  const bool many = rows == Rows::kMany;
  switch (precision) {
    case Precision::kF32:
      return many ? Compute::kF32Many : Compute::kF32Few;
    case Precision::kBF16:
      if (isa() < Isa::kAvx512)
        throw Error("precision bf16", "this processor lacks AVX-512", "use --precision auto");
      return many ? Compute::kBF16Many : Compute::kBF16Few;
    case Precision::kInt8:
      return many ? Compute::kInt8Many : Compute::kInt8;
    case Precision::kAuto:
      break;
  }
  if (many)
    return isa() >= Isa::kAmx    ? Compute::kBF16Many
           : isa() >= Isa::kAvx2 ? Compute::kInt8Many
                                 : Compute::kF32Many;
  return isa() >= Isa::kAvx2 ? Compute::kInt8 : Compute::kF32Few;
}

namespace {

bool is_for_many(Compute compute) {
  return compute == Compute::kF32Many || compute == Compute::kBF16Many ||
         compute == Compute::kInt8Many;
}

// Its rows are turned, so it is floats wherever it is packed.
bool is_convolution(const StoredMatrix& matrix) { return matrix.shape.rank() == 3; }

bool is_codes(const StoredMatrix& matrix) {
  return matrix.storage != Storage::kFloat && !is_convolution(matrix);
}

// How a source whose parts are all of one storage stays compressed; nothing when it does not.
std::optional<Form> form_of(const WeightSource& source, Compute compute) {
  if (is_for_many(compute)) return std::nullopt;
  const Storage storage = source.parts.at(0).matrix.storage;
  for (size_t i = 0; i < source.parts.size(); ++i) {
    const StoredMatrix& matrix = source.parts[i].matrix;
    const bool last = i + 1 == source.parts.size();
    if (matrix.storage != storage || is_convolution(matrix)) return std::nullopt;
    if (is_palette(storage) && !last && matrix.outputs() % kPanel != 0) return std::nullopt;
  }
  const bool bytes = compute == Compute::kInt8;
  switch (storage) {
    case Storage::kFloat:
      return std::nullopt;
    case Storage::kInt8:
      return bytes ? std::nullopt : std::optional(Form::kInt8);
    case Storage::kInt8Block:
      return Form::kInt8Block;
    case Storage::kInt4:
    case Storage::kInt4Block:
      return Form::kInt4Block;
    case Storage::kPalette4:
      return Form::kPalette4;
    case Storage::kPalette6:
    case Storage::kPalette8:
      return bytes ? std::nullopt : std::optional(Form::kPalette8);  // bytes: as int8
  }
  return std::nullopt;
}

// The outputs of a source as f32 rows.
class Rows32 {
 public:
  explicit Rows32(const WeightSource& source) : source_(source) {}

  // The f32 values of output n, converted into `buffer` unless they are f32 already.
  const float* row(int64_t n, float* buffer) const {
    const auto [matrix, row] = locate(n);
    if (is_convolution(*matrix)) return turned_row(*matrix, row, buffer);
    if (matrix->storage == Storage::kFloat && matrix->data.dtype == DType::kF32)
      return matrix->data.f32() + row * matrix->inputs();
    dequantize_row(*matrix, row, buffer);
    return buffer;
  }

  struct Place {
    const StoredMatrix* matrix;
    int64_t row;
  };
  Place locate(int64_t n) const {
    size_t part = 0;
    while (n >= source_.parts[part].matrix.outputs()) n -= source_.parts[part++].matrix.outputs();
    return {&source_.parts[part].matrix, n};
  }

 private:
  // [channels, kernel] -> [kernel, channels]
  static const float* turned_row(const StoredMatrix& matrix, int64_t row, float* buffer) {
    const int64_t channels = matrix.shape[1];
    const int64_t kernel = matrix.shape[2];
    std::vector<float> stored(static_cast<size_t>(channels * kernel));
    dequantize_row(matrix, row, stored.data());
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t k = 0; k < kernel; ++k)
        buffer[k * channels + c] = stored[static_cast<size_t>(c * kernel + k)];
    }
    return buffer;
  }

  const WeightSource& source_;
};

constexpr int64_t kPackPanels = 8;  // that one thread packs at a time

void check_parts(const WeightSource& source, int64_t inputs) {
  for (const auto& [matrix, bias, name] : source.parts) {
    check(matrix);
    if (matrix.shape.rank() < 2 || matrix.shape.rank() > 3 || matrix.inputs() != inputs) {
      throw Error("weight", "expected a matrix with " + std::to_string(inputs) + " inputs, got " +
                                matrix.shape.str());
    }
    const bool floats =
        bias.dtype == DType::kF32 || bias.dtype == DType::kF16 || bias.dtype == DType::kBF16;
    if (bias && (bias.shape != Shape{matrix.outputs()} || !floats)) {
      throw Error("weight",
                  "bias " + bias.shape.str() + " does not belong to matrix " + matrix.shape.str());
    }
  }
}

}  // namespace

std::string joined_names(std::string_view first, std::string_view next) {
  const auto [end, other] = std::ranges::mismatch(first, next);
  const std::string_view same(first.begin(), end);
  const size_t dot = same.rfind('.');
  next.remove_prefix(dot == std::string_view::npos ? 0 : dot + 1);
  return std::string(first) + "+" + std::string(next);
}

Weight::Weight(const WeightSource& source, Compute compute, const Packing& packing)
    : name_(source.parts.at(0).name), compute_(compute) {
  isa();  // chosen before the first kernel runs
  inputs_ = source.parts.at(0).matrix.inputs();
  check_parts(source, inputs_);
  for (const auto& part : source.parts) {
    outputs_ += part.matrix.outputs();
    if (&part != &source.parts.front()) name_ = joined_names(name_, part.name);
  }
  form_ = form_of(source, compute);
  // Stored codes have the full range of their bits.
  const auto has_codes = [](const auto& part) { return is_codes(part.matrix); };
  if (std::ranges::any_of(source.parts, has_codes)) byte_limit_ = kernels::byte_limit();
  const std::string key = packing.kept != nullptr ? packing_key(source) : "";
  if (packing.kept == nullptr || !take(*packing.kept, key)) {
    pack(source, packing.team);
    if (packing.kept != nullptr) keep(*packing.kept, key);
  }
  if (opaque_.size() != 0)
    matrix_ = std::make_shared<onednn::Matrix>(outputs_, inputs_, opaque_.share());
}

// All that decides what the parts hold, but the numbers themselves.
std::string Weight::packing_key(const WeightSource& source) const {
  std::ostringstream key;
  key << name_ << ' ' << kernel() << ' ' << outputs_ << 'x' << inputs_ << " limit " << byte_limit_;
  for (const auto& part : source.parts) key << ' ' << name_of(part.matrix.storage);
  if (compute_ == Compute::kBF16Many)
    key << " layout " << onednn::Matrix::layout(outputs_, inputs_).name;
  return key.str();
}

std::array<size_t, Weight::kParts> Weight::part_sizes() const {
  const auto panels = static_cast<size_t>(panels_of(outputs_));
  const size_t column = panels * kPanel * sizeof(float);
  std::array<size_t, kParts> sizes{column};
  auto& [bias, codes, scale, sum, offset, palette, exact_palette, opaque] = sizes;
  if (form_) {
    const bool palettes = *form_ == Form::kPalette4 || *form_ == Form::kPalette8;
    codes = panels * static_cast<size_t>(kernels::panel_bytes(*form_, padded_inputs()));
    scale = offset = column;
    if (palettes) exact_palette = panels * (*form_ == Form::kPalette8 ? 256 : 16) * sizeof(float);
    if (palettes && compute_ == Compute::kInt8) palette = panels * 16;
  } else if (has_int8_rows()) {
    codes = panels * kPanel * static_cast<size_t>((inputs_ + 3) / 4 * 4);
    scale = sum = column;
  } else if (compute_ == Compute::kBF16Many) {
    opaque = onednn::Matrix::layout(outputs_, inputs_).bytes;
  } else {
    codes = column / sizeof(float) * static_cast<size_t>(inputs_) *
            (compute_ == Compute::kBF16Few ? 2 : 4);
  }
  return sizes;
}

std::array<Buffer*, Weight::kParts> Weight::buffers() {
  return {&bias_, &panels_, &scale_, &sum_, &offset_, &palette_, &exact_palette_, &opaque_};
}

bool Weight::take(KeptParts& kept, const std::string& key) {
  std::vector<Buffer> parts = kept.take(key, part_sizes());
  if (parts.empty()) return false;
  for (size_t i = 0; i < kParts; ++i) *buffers()[i] = std::move(parts[i]);
  return true;
}

void Weight::keep(KeptParts& kept, const std::string& key) {
  std::vector<Buffer> parts;
  for (const Buffer* buffer : buffers()) parts.push_back(buffer->share());
  kept.keep(key, std::move(parts));
}

void Weight::pack(const WeightSource& source, ThreadTeam& team) {
  const auto sizes = part_sizes();
  for (size_t i = 0; i < kParts; ++i) *buffers()[i] = Buffer(sizes[i]);
  float* bias = bias_.as<float>();
  for (const auto& part : source.parts) {
    const int64_t count = part.matrix.outputs();
    if (part.bias) to_f32(part.bias.data, part.bias.dtype, static_cast<size_t>(count), bias);
    bias += count;
  }
  if (form_) {
    pack_compressed(source, team);
  } else if (has_int8_rows()) {
    pack_int8(source, team);
  } else if (compute_ == Compute::kBF16Many) {
    pack_onednn(source, team);
  } else {
    pack_float(source, team);
  }
}

void Weight::pack_onednn(const WeightSource& source, ThreadTeam& team) {
  const Buffer whole =
      Buffer::uninitialized(static_cast<size_t>(outputs_ * inputs_) * sizeof(float));
  const Rows32 source_rows(source);
  constexpr int64_t kRows = 64;
  team.run((outputs_ + kRows - 1) / kRows, [&](int64_t block, int) {
    for (int64_t n = block * kRows; n < std::min((block + 1) * kRows, outputs_); ++n) {
      float* target = whole.as<float>() + n * inputs_;
      const float* values = source_rows.row(n, target);
      if (values != target)
        std::memcpy(target, values, static_cast<size_t>(inputs_) * sizeof(float));
    }
  });
  onednn::Matrix::pack(Tensor(whole.data(), {outputs_, inputs_}, DType::kF32), opaque_);
}

void Weight::pack_int8(const WeightSource& source, ThreadTeam& team) {
  const int64_t padded = (inputs_ + 3) / 4 * 4;
  const int64_t panels = panels_of(outputs_);
  const Rows32 rows(source);
  const int32_t limit = byte_limit_ == 255 ? kernels::weight_limit() : 127;
  team.run((panels + kPackPanels - 1) / kPackPanels, [&](int64_t block, int) {
    std::vector<float> buffer(static_cast<size_t>(inputs_));
    std::vector<int8_t> quantized(static_cast<size_t>(padded));
    for (int64_t n = block * kPackPanels * kPanel;
         n < std::min((block + 1) * kPackPanels, panels) * kPanel; ++n) {
      std::fill(quantized.begin(), quantized.end(), int8_t{0});
      if (n < outputs_) {
        if (const auto [matrix, row] = rows.locate(n);
            matrix->storage == Storage::kInt8 && is_codes(*matrix)) {
          unpack_row(*matrix, row, quantized.data());
          scale_.as<float>()[n] = matrix->scale.f32()[row];
          sum_.as<int32_t>()[n] = std::accumulate(quantized.begin(), quantized.end(), 0);
        } else {
          kernels::quantize_weights(rows.row(n, buffer.data()), inputs_, limit, quantized.data(),
                                    scale_.as<float>() + n, sum_.as<int32_t>() + n);
        }
      }
      int8_t* target = panels_.as<int8_t>() + n / kPanel * kPanel * padded + n % kPanel * 4;
      for (int64_t k = 0; k < padded; k += 4)
        std::memcpy(target + k * kPanel, quantized.data() + k, 4);
    }
  });
}

void Weight::pack_float(const WeightSource& source, ThreadTeam& team) {
  const bool bf16 = compute_ == Compute::kBF16Few;
  const int64_t panels = panels_of(outputs_);
  const Rows32 rows(source);
  const std::vector<float> zeros(static_cast<size_t>(inputs_));
  team.run((panels + kPackPanels - 1) / kPackPanels, [&](int64_t block, int) {
    std::vector<float> buffer(static_cast<size_t>(inputs_));
    for (int64_t n = block * kPackPanels * kPanel;
         n < std::min((block + 1) * kPackPanels, panels) * kPanel; ++n) {
      const float* values = n < outputs_ ? rows.row(n, buffer.data()) : zeros.data();
      const int64_t at = n / kPanel * kPanel * inputs_ + n % kPanel;
      if (bf16) {
        for (int64_t k = 0; k < inputs_; ++k)
          panels_.as<uint16_t>()[at + k * kPanel] = f32_to_bf16(values[k]);
      } else {
        for (int64_t k = 0; k < inputs_; ++k) panels_.as<float>()[at + k * kPanel] = values[k];
      }
    }
  });
}

std::string_view Weight::kernel() const {
  if (!form_) return name_of(compute_);
  const bool bytes = has_int8_rows();
  switch (*form_) {
    case Form::kInt8:
      return "int8 x f32 rows";
    case Form::kInt8Block:
      return bytes ? "int8 blocks x int8 rows" : "int8 blocks x f32 rows";
    case Form::kInt4Block:
      return bytes ? "int4 blocks x int8 rows" : "int4 blocks x f32 rows";
    case Form::kPalette4:
      return bytes ? "palette4 x int8 rows" : "palette4 x f32 rows";
    case Form::kPalette8:
      return "palette8 x f32 rows";
  }
  return "?";
}

size_t Weight::bytes() const {
  return bias_.size() + panels_.size() + scale_.size() + sum_.size() + offset_.size() +
         palette_.size() + exact_palette_.size() + opaque_.size();
}

}  // namespace parley::nn
