#include "parley/core/model/hifigan.h"

#include "parley/core/base/error.h"
#include "parley/core/model/json.h"

namespace parley::stage {

namespace {

constexpr int64_t kMaxChannels = 4096;
constexpr int64_t kMaxKernel = 64;
constexpr int64_t kMaxRate = 64;
constexpr int64_t kMaxHop = 4096;
constexpr int64_t kMaxDilation = 64;
constexpr size_t kMaxLayers = 8;   // upsamplings, resblocks of a level, dilations of a resblock
constexpr int64_t kEndKernel = 7;  // of conv_pre and conv_post

// A list of 1 to kMaxLayers integers in [1, max].
std::vector<int64_t> sizes(const Fields& fields, const char* key, int64_t max) {
  std::vector<int64_t> list = fields.integers(key, 1, max);
  if (list.empty() || list.size() > kMaxLayers)
    fields.refuse(key, "must have 1 to " + std::to_string(kMaxLayers) + " elements");
  return list;
}

std::vector<std::vector<int64_t>> dilations(const Fields& fields, size_t resblocks) {
  const char* key = "resblock_dilation_sizes";
  std::vector<std::vector<int64_t>> lists;
  for (const nlohmann::json& element : fields.array(key, kMaxLayers)) {
    const nlohmann::json one = {{key, element}};
    lists.push_back(sizes(Fields(one, fields.where()), key, kMaxDilation));
  }
  if (lists.size() != resblocks)
    fields.refuse(key, "must have a list for each of resblock_kernel_sizes");
  return lists;
}

// jik876's config.json has it as a string.
int64_t resblock_kind(const Fields& fields) {
  if (!fields.has("resblock")) return 1;
  if (!fields.at("resblock").is_string()) return fields.integer("resblock", 1, 2);
  const std::string text = fields.string("resblock");
  if (text != "1" && text != "2") fields.refuse("resblock", "must be 1 or 2");
  return text == "1" ? 1 : 2;
}

void check(const HifiGanDims& dims, const Fields& fields) {
  const size_t levels = dims.upsample_rates.size();
  if (dims.upsample_kernel_sizes.size() != levels)
    fields.refuse("upsample_kernel_sizes", "must have as many elements as upsample_rates");
  if (dims.upsample_initial_channel % (int64_t{1} << levels) != 0)
    fields.refuse("upsample_initial_channel", "cannot be halved by every upsampling");
  int64_t hop = 1;
  for (const int64_t rate : dims.upsample_rates) {
    hop *= rate;
    if (hop > kMaxHop) fields.refuse("upsample_rates", "make a hop that is too long");
  }
  for (size_t i = 0; i < levels; ++i) {
    const int64_t beyond = dims.upsample_kernel_sizes[i] - dims.upsample_rates[i];
    if (beyond < 0 || beyond % 2 != 0) {
      fields.refuse("upsample_kernel_sizes",
                    "must be larger than the rates by an even number, as in every HiFi-GAN");
    }
  }
  for (const int64_t kernel : dims.resblock_kernel_sizes) {
    if (kernel % 2 == 0) fields.refuse("resblock_kernel_sizes", "must be odd");
  }
}

void add_convolution(std::vector<NamedShape>& tensors, const std::string& name, int64_t out,
                     int64_t in, int64_t kernel) {
  tensors.push_back({name + ".weight", {out, in, kernel}});
  tensors.push_back({name + ".bias", {out}});
}

}  // namespace

int64_t HifiGanDims::hop_length() const {
  int64_t hop = 1;
  for (const int64_t rate : upsample_rates) hop *= rate;
  return hop;
}

HifiGanDims parse_hifigan_dims(const nlohmann::json& config, const std::string& where) {
  const Fields fields(config, where);
  HifiGanDims dims;
  const char* bands = fields.has("model_in_dim") ? "model_in_dim" : "num_mels";
  dims.model_in_dim = fields.integer(bands, 1, 1024);
  dims.upsample_initial_channel = fields.integer("upsample_initial_channel", 2, kMaxChannels);
  dims.upsample_rates = sizes(fields, "upsample_rates", kMaxRate);
  dims.upsample_kernel_sizes = sizes(fields, "upsample_kernel_sizes", 2 * kMaxRate);
  dims.resblock_kernel_sizes = sizes(fields, "resblock_kernel_sizes", kMaxKernel);
  dims.resblock_dilation_sizes = dilations(fields, dims.resblock_kernel_sizes.size());
  dims.resblock = resblock_kind(fields);
  if (fields.has("leaky_relu_slope"))
    dims.leaky_relu_slope = fields.number("leaky_relu_slope", 0, 1);
  dims.normalize_before = fields.has("normalize_before") && fields.boolean("normalize_before");
  check(dims, fields);
  return dims;
}

nlohmann::json to_json(const HifiGanDims& dims) {
  return {
      {"model_in_dim", dims.model_in_dim},
      {"upsample_initial_channel", dims.upsample_initial_channel},
      {"upsample_rates", dims.upsample_rates},
      {"upsample_kernel_sizes", dims.upsample_kernel_sizes},
      {"resblock_kernel_sizes", dims.resblock_kernel_sizes},
      {"resblock_dilation_sizes", dims.resblock_dilation_sizes},
      {"resblock", dims.resblock},
      {"leaky_relu_slope", dims.leaky_relu_slope},
      {"normalize_before", dims.normalize_before},
  };
}

std::vector<NamedShape> hifigan_tensors(const HifiGanDims& dims) {
  std::vector<NamedShape> tensors;
  add_convolution(tensors, "conv_pre", dims.channels(0), dims.model_in_dim, kEndKernel);
  const size_t levels = dims.upsample_rates.size();
  const size_t resblocks = dims.resblock_kernel_sizes.size();
  for (size_t i = 0; i < levels; ++i) {
    const int64_t out = dims.channels(i + 1);
    const std::string up = "upsampler." + std::to_string(i);
    tensors.push_back({up + ".weight", {dims.channels(i), out, dims.upsample_kernel_sizes[i]}});
    tensors.push_back({up + ".bias", {out}});
    for (size_t b = 0; b < resblocks; ++b) {
      const std::string block = "resblocks." + std::to_string(i * resblocks + b) + ".";
      for (size_t j = 0; j < dims.resblock_dilation_sizes[b].size(); ++j) {
        const int64_t kernel = dims.resblock_kernel_sizes[b];
        for (const char* name : {"convs1.", "convs2.", "convs."}) {
          const bool present = (std::string(name) == "convs.") == (dims.resblock == 2);
          if (present) add_convolution(tensors, block + name + std::to_string(j), out, out, kernel);
        }
      }
    }
  }
  add_convolution(tensors, "conv_post", 1, dims.channels(levels), kEndKernel);
  if (dims.normalize_before) {
    tensors.push_back({"mean", {dims.model_in_dim}});
    tensors.push_back({"scale", {dims.model_in_dim}});
  }
  return tensors;
}

StageManifest hifigan_manifest(const HifiGanDims& dims, const MelContract& mel) {
  const Dimension frames{1, int64_t{1} << 30};
  StageManifest stage;
  stage.kind = kHifiGanKind;
  stage.inputs = {{"mel", {frames, dims.model_in_dim}, nn::DType::kF32}};
  stage.outputs = {
      {"samples", {Dimension{1, (int64_t{1} << 30) * dims.hop_length()}}, nn::DType::kF32}};
  stage.config = to_json(dims);
  stage.config["mel"] = to_json(mel);
  return stage;
}

}  // namespace parley::stage
