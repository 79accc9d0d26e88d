// Weights that stay compressed: stored rows to panels (core/nn/cpu/kernels_compressed.h).
#include <algorithm>
#include <cmath>
#include <vector>

#include "parley/core/nn/cpu/kernels_compressed.h"
#include "parley/core/nn/weight.h"

namespace parley::nn {

using kernels::Form;
using kernels::kBlockInputs;
using kernels::kPanel;
using kernels::kQuadBytes;
using kernels::panels_of;

namespace {

// One panel as it is filled, output by output.
class PanelWriter {
 public:
  PanelWriter(Form form, uint8_t* panel) : form_(form), panel_(panel) {}

  void put_codes(int64_t output, const std::vector<int8_t>& codes) {
    for (size_t i = 0; i < codes.size(); ++i) put(output, static_cast<int64_t>(i), codes[i]);
  }
  void put_scale(int64_t output, int64_t block, uint16_t half) {
    const int64_t bytes = kernels::block_bytes(form_);
    auto* scales = reinterpret_cast<uint16_t*>(at_block(block / 2 * 2) + 2 * bytes);
    scales[block % 2 * kPanel + output] = half;
  }

 private:
  uint8_t* at_block(int64_t block) const {
    const int64_t bytes = kernels::block_bytes(form_);
    if (!kernels::has_block_scales(form_)) return panel_ + block * bytes;
    return panel_ + block / 2 * (2 * bytes + kQuadBytes) + block % 2 * bytes;
  }
  void put(int64_t output, int64_t k, int8_t code) {
    uint8_t* block = at_block(k / kBlockInputs);
    const int64_t quad = k % kBlockInputs / 4;
    const int64_t place = 4 * output + k % 4;
    if (kernels::block_bytes(form_) == 8 * kQuadBytes) {
      block[quad * kQuadBytes + place] = static_cast<uint8_t>(code);
    } else {
      const int nibble = (code & 15) << (quad % 2 * 4);
      uint8_t& both = block[quad / 2 * kQuadBytes + place];
      both = static_cast<uint8_t>(both | nibble);
    }
  }

  Form form_;
  uint8_t* panel_;
};

// What a panel's products are made of beside the codes; pointers to the panel's 16 outputs.
struct PanelFactors {
  float* scale;
  float* offset;
  int8_t* palette;       // 16 entries; of quantized activations only
  float* exact_palette;  // 16 or 256 entries
};

void write_block_scales(const StoredMatrix& matrix, int64_t row, const std::vector<int8_t>& codes,
                        int64_t output, PanelWriter& writer, const PanelFactors& factors) {
  const bool four = bits_of(matrix.storage) == 4;
  const int64_t inputs = matrix.inputs();
  const int64_t blocks = (inputs + kBlockInputs - 1) / kBlockInputs;
  float offset = 0;
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t index = has_blocks(matrix.storage) ? row * blocks + block : row;
    const uint16_t half = matrix.scale.as<uint16_t>()[index];
    writer.put_scale(output, block, half);
    int sum = 0;
    for (int64_t k = block * kBlockInputs; k < std::min((block + 1) * kBlockInputs, inputs); ++k)
      sum += codes[static_cast<size_t>(k)];
    offset += f16_to_f32(half) * static_cast<float>(four ? 16 * sum : sum);
  }
  factors.scale[output] = four ? 1.f / 16.f : 1.f;
  factors.offset[output] = offset;
}

// The palette of a row as 8-bit integers; returns what one of them is worth.
float quantize_palette(const Tensor& palette, int64_t group, int8_t* out) {
  const uint16_t* halves = palette.as<uint16_t>() + group * 16;
  float largest = 0;
  for (int i = 0; i < 16; ++i) largest = std::max(largest, std::abs(f16_to_f32(halves[i])));
  const float step = std::max(largest / 127.f, 1e-30f);
  for (int i = 0; i < 16; ++i)
    out[i] = static_cast<int8_t>(std::lrint(f16_to_f32(halves[i]) / step));
  return step;
}

void write_palette(const StoredMatrix& matrix, int64_t row, const std::vector<int8_t>& codes,
                   int64_t output, const PanelFactors& factors) {
  const int64_t group = row / kPaletteGroup;
  const int64_t count = matrix.palette.shape[1];
  for (int64_t i = 0; i < count; ++i)
    factors.exact_palette[i] = f16_to_f32(matrix.palette.as<uint16_t>()[group * count + i]);
  factors.scale[output] = matrix.scale.f32()[row];
  if (factors.palette == nullptr) return;
  factors.scale[output] *= quantize_palette(matrix.palette, group, factors.palette);
  const auto inputs = static_cast<int64_t>(codes.size());
  const int64_t padding = (kBlockInputs - inputs % kBlockInputs) % kBlockInputs;
  auto offset = static_cast<float>(padding * factors.palette[0]);  // padded with index 0
  for (const int8_t code : codes) offset += factors.palette[code];
  factors.offset[output] = offset;
}

}  // namespace

int64_t Weight::padded_inputs() const {
  const int64_t padding = kernels::padding_of(form_.value_or(Form::kInt8));
  return (inputs_ + padding - 1) / padding * padding;
}

kernels::CompressedMatrix Weight::compressed() const {
  return {.form = *form_,
          .panels = panels_.as<uint8_t>(),
          .inputs = padded_inputs(),
          .outputs = outputs_,
          .scale = scale_.as<float>(),
          .offset = offset_.as<float>(),
          .palette = palette_.as<int8_t>(),
          .exact_palette = exact_palette_.as<float>()};
}

void Weight::pack_compressed(const WeightSource& source, ThreadTeam& team) {
  const Form form = *form_;
  const int64_t panels = panels_of(outputs_);
  const int64_t bytes = kernels::panel_bytes(form, compressed().inputs);
  const bool palettes = form == Form::kPalette4 || form == Form::kPalette8;
  const int64_t entries = form == Form::kPalette8 ? 256 : 16;
  // Where each output of the stack lies in its part.
  std::vector<std::pair<const StoredMatrix*, int64_t>> rows;
  for (const auto& part : source.parts) {
    for (int64_t row = 0; row < part.matrix.outputs(); ++row) rows.emplace_back(&part.matrix, row);
  }
  team.run(panels, [&](int64_t panel, int) {
    PanelWriter writer(form, panels_.as<uint8_t>() + panel * bytes);
    const PanelFactors factors{
        .scale = scale_.as<float>() + panel * kPanel,
        .offset = offset_.as<float>() + panel * kPanel,
        .palette = palette_.size() ? palette_.as<int8_t>() + panel * 16 : nullptr,
        .exact_palette = palettes ? exact_palette_.as<float>() + panel * entries : nullptr};
    std::vector<int8_t> codes(static_cast<size_t>(inputs_));
    for (int64_t n = 0; n < std::min(kPanel, outputs_ - panel * kPanel); ++n) {
      const auto [matrix, row] = rows[static_cast<size_t>(panel * kPanel + n)];
      unpack_row(*matrix, row, codes.data());
      writer.put_codes(n, codes);
      if (palettes) {
        write_palette(*matrix, row, codes, n, factors);
      } else if (kernels::has_block_scales(form)) {
        write_block_scales(*matrix, row, codes, n, writer, factors);
      } else {
        factors.scale[n] = matrix->scale.f32()[row];
      }
    }
  });
}

}  // namespace parley::nn
