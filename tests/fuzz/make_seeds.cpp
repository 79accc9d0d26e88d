// Small valid inputs for the fuzz targets, made from the files that the tests use:
//   make_seeds SOURCE_ROOT OUTPUT    writes OUTPUT/<target>/...
#include <zip.h>

#include <cstdio>
#include <fstream>

#include "parley/convert/convert.h"
#include "parley/core/base/file.h"
#include "parley/core/model/safetensors.h"

namespace parley {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxSeed = size_t{1} << 20;

void write(const fs::path& path, std::string_view bytes) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}

// The pickle inside a file of torch.save(); their folder is named as the file.
std::string pickle_of(const fs::path& path) {
  std::string pickle;
  zip_t* zip = zip_open(path.c_str(), ZIP_RDONLY, nullptr);
  if (zip == nullptr) return pickle;
  const std::string name = path.stem().string() + "/data.pkl";
  if (zip_file_t* file = zip_fopen(zip, name.c_str(), 0)) {
    pickle.resize(kMaxSeed);
    pickle.resize(static_cast<size_t>(
        std::max<zip_int64_t>(0, zip_fread(file, pickle.data(), pickle.size()))));
    zip_fclose(file);
  }
  zip_discard(zip);
  return pickle;
}

void make_safetensors(const fs::path& folder) {
  fs::create_directories(folder);
  stage::SafetensorsWriter writer(
      folder / "small",
      {{"a", nn::DType::kF16, {2, 3}}, {"b", nn::DType::kI8, {1}}, {"c", nn::DType::kU8, {0}}});
  writer.write("a", std::as_bytes(std::span("0123456789a", 12)));
  writer.write("b", std::as_bytes(std::span("b", 1)));
  writer.commit();
  write(folder / "header", R"({"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}})");
  write(folder / "misaligned",
        R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
        R"("b":{"dtype":"F32","shape":[5],"data_offsets":[4,24]},"__metadata__":{"x":"y"}})");
}

// The file up to its third tensor, and that tensor's beginning alone.
void make_ggml(const fs::path& golden, const fs::path& folder) {
  const std::string file = read_file(golden / "ggml-q8.bin", kMaxSeed);
  const size_t conv1 = file.find("encoder.conv1.weight");
  const size_t conv1_header = conv1 - 6 * sizeof(int32_t);
  const size_t conv2 = file.find("encoder.conv2.weight") - 6 * sizeof(int32_t);
  write(folder / "whole", file.substr(0, conv2));
  write(folder / "tensors", file.substr(conv1_header, conv2 - conv1_header));
  const size_t quantized = file.find("encoder.blocks.0.attn.query.weight") - 5 * sizeof(int32_t);
  write(folder / "quantized", file.substr(quantized, 2048));
}

template <typename T>
void append(std::string& file, T value) {
  file.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void append_name(std::string& file, const std::string& name) {
  append(file, static_cast<uint16_t>(name.size() + 1));
  file += name + '\0';
}

constexpr uint8_t kCt2Widths[] = {4, 1, 2, 4, 2, 2};  // f32, int8, int16, int32, f16, bf16

struct Ct2Seed {
  std::string variables = {};
  uint32_t count = 0;

  void add(const std::string& name, const std::vector<uint32_t>& shape, uint8_t type,
           bool typed = true) {
    append_name(variables, name);
    append(variables, static_cast<uint8_t>(shape.size()));
    uint32_t elements = 1;
    for (const uint32_t dim : shape) {
      append(variables, dim);
      elements *= dim;
    }
    append(variables, typed ? type : kCt2Widths[type]);
    append(variables, typed ? elements * kCt2Widths[type] : elements);
    variables.append(size_t{elements} * kCt2Widths[type], shape.empty() ? '\0' : '\1');
    if (shape.empty()) variables[variables.size() - kCt2Widths[type]] = 1;
    ++count;
  }
  // A matrix of bytes with a scale for each row, and zeros to add.
  void linear(const std::string& name, uint32_t outputs, uint32_t inputs) {
    add(name + "/weight", {outputs, inputs}, 1);
    add(name + "/weight_scale", {outputs}, 0);
    add(name + "/bias", {outputs}, 4);
    variables.replace(variables.size() - size_t{2} * outputs, size_t{2} * outputs,
                      size_t{2} * outputs, '\0');
  }
  void norm(const std::string& name) {
    add(name + "/gamma", {4}, 4);
    add(name + "/beta", {4}, 4);
  }
  std::string file(uint32_t version, const std::string& alias, const std::string& name) const {
    std::string file;
    append(file, version);
    append_name(file, "WhisperSpec");
    append(file, uint32_t{3});
    append(file, count);
    file += variables;
    if (version < 3) return file;
    append(file, uint32_t{1});
    append_name(file, alias);
    append_name(file, name);
    return file;
  }
};

// One layer each of width 4.
Ct2Seed small_ct2_whisper() {
  Ct2Seed seed;
  for (const std::string stage : {"encoder", "decoder"}) {
    const std::string layer = stage + "/layer_0";
    seed.linear(layer + "/self_attention/linear_0", 12, 4);
    seed.linear(layer + "/self_attention/linear_1", 4, 4);
    seed.norm(layer + "/self_attention/layer_norm");
    if (stage == "decoder") {
      seed.linear(layer + "/attention/linear_0", 4, 4);
      seed.linear(layer + "/attention/linear_1", 8, 4);
      seed.linear(layer + "/attention/linear_2", 4, 4);
      seed.norm(layer + "/attention/layer_norm");
    }
    seed.linear(layer + "/ffn/linear_0", 4, 4);
    seed.linear(layer + "/ffn/linear_1", 4, 4);
    seed.norm(layer + "/ffn/layer_norm");
    seed.norm(stage + "/layer_norm");
    seed.add(stage + "/position_encodings/encodings", {4, 4}, 0);
    seed.add(stage + "/num_heads", {}, 2);
  }
  for (const std::string conv : {"encoder/conv1", "encoder/conv2"}) {
    seed.add(conv + "/weight", {4, conv.back() == '1' ? 2U : 4U, 3}, 5);
    seed.add(conv + "/bias", {4}, 0);
  }
  seed.add("decoder/embeddings/weight", {8, 4}, 2);
  return seed;
}

void make_ctranslate2(const fs::path& folder) {
  write(folder / "whisper",
        small_ct2_whisper().file(6, "decoder/projection/weight", "decoder/embeddings/weight"));
  for (uint32_t version = 2; version <= 6; ++version) {
    Ct2Seed seed;
    for (uint8_t type = 0; type < std::size(kCt2Widths); ++type)
      seed.add("v" + std::to_string(type), {2, 3}, type, version >= 4);
    write(folder / std::to_string(version), seed.file(version, "alias", "v1"));
  }
}

void make_manifests(const fs::path& golden, const fs::path& folder) {
  const fs::path model = folder / "model";
  stage::convert(golden / "huggingface", model);
  for (const char* file : {"model.json", "encoder/stage.json", "decoder/stage.json"}) {
    std::string name = file;
    std::replace(name.begin(), name.end(), '/', '_');
    write(folder / name, read_file(model / file, kMaxSeed));
  }
  fs::remove_all(model);
}

// A line of the table each.
void make_spoken_forms(const std::string& table, const fs::path& folder) {
  size_t number = 0;
  for (size_t at = 0; at < table.size();) {
    const size_t end = std::min(table.find('\n', at), table.size());
    const std::string line = table.substr(at, end - at);
    write(folder / std::to_string(number++), line.substr(0, line.find('\t')));
    at = end + 1;
  }
}

void make_ssml(const fs::path& folder) {
  write(
      folder / "all",
      "<speak version='1.1' xml:lang='en-US'><p><s>One &amp; two.</s><s>Three</s></p>"
      "<break time='300ms'/><break strength='weak'/><prosody rate='slow'>a "
      "<prosody rate='+20%'>b</prosody></prosody><say-as interpret-as='date' format='dmy'>1/2/2003"
      "</say-as><say-as interpret-as='characters'>x1</say-as><sub alias='bee'>b</sub></speak>");
  write(folder / "plain",
        "Dr. Smith paid $5.00 to J. R. Jones. Why? \"Because!\"\n\nThe U.S. army.");
}

// Every type, and a shape of each kind.
void make_npy(const fs::path& voice, const fs::path& folder) {
  write(folder / "voice", read_file(voice, kMaxSeed));
  const auto array = [](const std::string& type, const std::string& shape, size_t bytes) {
    const std::string header =
        "{'descr': '" + type + "', 'fortran_order': False, 'shape': " + shape + ", }\n";
    return std::string("\x93NUMPY\1\0", 8) + static_cast<char>(header.size()) + '\0' + header +
           std::string(bytes, 'x');
  };
  write(folder / "f2", array("<f2", "(1, 3)", 6));
  write(folder / "f4", array("<f4", "()", 4));
  write(folder / "f8", array("<f8", "(2,)", 16));
}

void make_seeds(const fs::path& source, const fs::path& output) {
  const fs::path golden = source / "tests/convert/golden";
  fs::remove_all(output);
  fs::create_directories(output);
  make_safetensors(output / "safetensors");
  make_ggml(golden, output / "ggml");
  make_ctranslate2(output / "ctranslate2");
  for (const char* name : {"whisper-openai.gguf", "whisper-candle.gguf", "whisper-transcribe.gguf"})
    write(output / "gguf" / name, read_file(golden / name, size_t{1} << 20).substr(0, kMaxSeed));
  fs::create_directories(output / "manifest");
  make_manifests(golden, output / "manifest");
  write(output / "registry/all", read_file(source / "data/models/registry.json", kMaxSeed));
  for (const char* name : {"openai.pt", "pytorch_model.bin"}) {
    write(output / "pickle" / name, pickle_of(golden / name));
    write(output / "torch_file" / name, read_file(golden / name, kMaxSeed));
  }
  write(output / "tokenizer/small",
        read_file(source / "tests/text/golden/small_tokenizer.json", kMaxSeed));
  make_spoken_forms(read_file(source / "tests/text/golden/spoken_form.tsv", kMaxSeed),
                    output / "spoken_form");
  write(output / "normalizer/text",
        "Mr. O'Neil's neighbour can't pay $20 million and five cents, double oh seven (um) 3.5%");
  make_ssml(output / "ssml");
  make_npy(source / "tests/golden/speecht5/small/voices/anna.npy", output / "npy");
}

}  // namespace
}  // namespace parley

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  try {
    parley::make_seeds(argv[1], argv[2]);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "make_seeds: %s\n", error.what());
    return 1;
  }
}
