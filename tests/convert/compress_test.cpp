#include "parley/convert/compress.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <random>

#include "parley/convert/quantize.h"
#include "parley/core/base/error.h"
#include "parley/core/base/file.h"
#include "parley/core/model/inspect.h"
#include "parley/tests/support.h"

namespace parley::stage {
namespace {

namespace fs = std::filesystem;
using nn::Storage;

std::vector<float> random_values(size_t count) {
  std::mt19937 generator(7);
  std::normal_distribution<float> normal(0.f, 0.05f);
  std::vector<float> values(count);
  for (float& value : values) value = normal(generator);
  return values;
}

std::vector<float> values_of(const nn::StoredMatrix& matrix) {
  std::vector<float> values(static_cast<size_t>(matrix.shape.elements()));
  for (int64_t row = 0; row < matrix.outputs(); ++row)
    nn::dequantize_row(matrix, row, values.data() + row * matrix.inputs());
  return values;
}

// Root of the mean squared error, relative to the root of the mean square of `a`.
double relative_error(const std::vector<float>& a, const std::vector<float>& b) {
  double error = 0, energy = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    error += std::pow(a[i] - b[i], 2);
    energy += std::pow(a[i], 2);
  }
  return std::sqrt(error / energy);
}

std::vector<Storage> compressed_storages() {
  std::vector<Storage> storages(std::begin(nn::kStorages), std::end(nn::kStorages));
  std::erase(storages, Storage::kFloat);
  return storages;
}

// What a normal distribution loses, a little above what was measured.
double expected_error(Storage storage) {
  switch (storage) {
    case Storage::kInt8:
      return 0.0095;
    case Storage::kInt8Block:
      return 0.0060;
    case Storage::kInt4:
      return 0.15;
    case Storage::kInt4Block:
      return 0.085;
    case Storage::kPalette4:
      return 0.105;
    case Storage::kPalette6:
      return 0.03;
    case Storage::kPalette8:
      return 0.010;
    case Storage::kFloat:
      return 0;
  }
  return 0;
}

TEST(Quantize, LosesNoMoreThanItsBitsMust) {
  std::vector<float> values = random_values(50 * 300);
  const nn::StoredMatrix source(nn::Tensor(values.data(), {50, 300}, nn::DType::kF32));
  nn::ThreadTeam team(2);
  for (const Storage storage : compressed_storages()) {
    const QuantizedMatrix small = quantize(source, storage, team);
    const double error = relative_error(values, values_of(small.view));
    EXPECT_LT(error, expected_error(storage)) << nn::name_of(storage);
    EXPECT_GT(error, expected_error(storage) / 3) << nn::name_of(storage) << ": the bound is loose";
  }
}

TEST(Quantize, DoesNotDependOnThreads) {
  std::vector<float> values = random_values(70 * 65);
  const nn::StoredMatrix source(nn::Tensor(values.data(), {70, 65}, nn::DType::kF32));
  nn::ThreadTeam one(1);
  nn::ThreadTeam three(3);
  for (const Storage storage : compressed_storages()) {
    EXPECT_EQ(values_of(quantize(source, storage, one).view),
              values_of(quantize(source, storage, three).view));
  }
}

// Rows and blocks of zeros, one huge value among small ones, few distinct values, odd sizes.
TEST(Quantize, TakesExtremes) {
  nn::ThreadTeam team(1);
  std::vector<float> values(3 * 67, 0.f);
  values[0] = 1000.f;
  for (size_t i = 67; i < 2 * 67; ++i) values[i] = i % 2 == 0 ? 1.f : -1.f;
  const nn::StoredMatrix source(nn::Tensor(values.data(), {3, 67}, nn::DType::kF32));
  for (const Storage storage : compressed_storages()) {
    const std::vector<float> back = values_of(quantize(source, storage, team).view);
    EXPECT_NEAR(back[0], 1000.f, 1.f) << nn::name_of(storage);
    for (size_t i = 1; i < values.size(); ++i)
      ASSERT_NEAR(back[i], values[i], 0.01f) << nn::name_of(storage) << " " << i;
  }
}

// With the tiny Whisper of tests/convert/golden.
class Compress : public testing::Test {
 protected:
  Compress() { convert(test::source_path("tests/convert/golden/huggingface"), path("source")); }
  fs::path path(const std::string& name) const { return folder_.path() / name; }
  Model source() const { return Model::open(path("source")); }
  Model compressed(const CompressOptions& options) {
    compress(source(), path("small"), options);
    return Model::open(path("small"));
  }
  void edit(const std::string& file, const std::function<void(nlohmann::json&)>& change) {
    nlohmann::json json = read_json(path(file));
    change(json);
    std::ofstream(path(file)) << json.dump();
  }

 private:
  test::TemporaryFolder folder_;
};

nn::Storage storage_in(const Stage& stage, const std::string& name) {
  for (const StoredTensor& tensor : stage.manifest().compression) {
    if (tensor.name == name) return tensor.storage;
  }
  return Storage::kFloat;
}

TEST_F(Compress, EveryStorageKeepsTheModelWhole) {
  const Model original = source();
  for (const Storage storage : compressed_storages()) {
    const Model small = compressed({.weights = {storage}});
    small.verify();
    EXPECT_EQ(small.kind(), "stt");
    EXPECT_NE(small.digest(), original.digest());
    EXPECT_EQ(small.manifest().source["compressed_from"], original.digest());
    EXPECT_NE(inspect(small).find(nn::name_of(storage)), std::string::npos);
    for (const char* name : {"encoder", "decoder"}) {
      const Stage& a = original.stage(name);
      const Stage& b = small.stage(name);
      EXPECT_EQ(a.config(), b.config());
      for (const std::string& tensor : a.weights().names()) {
        const nn::Shape& shape = a.weights().shape(tensor);
        if (shape.rank() == 1 || tensor == "embed_positions.weight") {
          EXPECT_TRUE(std::ranges::equal(a.weights().bytes(tensor), b.weights().bytes(tensor)));
        } else {
          const double error = relative_error(values_of(a.matrix(tensor, shape)),
                                              values_of(b.matrix(tensor, shape)));
          EXPECT_LT(error, shape.rank() == 3 ? 1e-9 : 0.15) << tensor;
        }
      }
    }
    EXPECT_EQ(storage_in(small.stage("encoder"), "layers.0.fc1.weight"), storage);
    EXPECT_EQ(storage_in(small.stage("encoder"), "conv2.weight"), Storage::kFloat);
  }
}

TEST_F(Compress, CompressedModelsCompressAgain) {
  compress(source(), path("int8"), {.weights = {Storage::kInt8}});
  compress(Model::open(path("int8")), path("wide"), {.weights = {}});
  const Model wide = Model::open(path("wide"));
  wide.verify();
  EXPECT_TRUE(wide.stage("decoder").manifest().compression.empty());
  EXPECT_EQ(wide.stage("decoder").weights().dtype("layers.0.fc1.weight"), "F16");
  EXPECT_EQ(wide.stage("decoder").weights().names().size(),
            source().stage("decoder").weights().names().size());
}

TEST_F(Compress, KeepRulesDecideInOrder) {
  const Model small = compressed({.weights = {Storage::kInt4Block},
                                  .keep = {{"decoder.*fc[12]", {}},
                                           {"fc1|conv2", {Storage::kInt8}},
                                           {"embed_tokens", {Storage::kFloat, nn::DType::kF32}}}});
  EXPECT_EQ(storage_in(small.stage("decoder"), "layers.0.fc1.weight"), Storage::kFloat);
  EXPECT_EQ(storage_in(small.stage("encoder"), "layers.0.fc1.weight"), Storage::kInt8);
  EXPECT_EQ(storage_in(small.stage("encoder"), "conv2.weight"), Storage::kInt8);
  EXPECT_EQ(storage_in(small.stage("encoder"), "layers.0.fc2.weight"), Storage::kInt4Block);
  EXPECT_EQ(small.stage("decoder").weights().dtype("embed_tokens.weight"), "F32");
}

TEST_F(Compress, RefusesRulesThatCannotBeFollowed) {
  const auto with = [&](const std::string& pattern, TensorStorage storage) {
    return test::error_of([&] { compressed({.keep = {{pattern, storage}}}); });
  };
  EXPECT_NE(with("no_such_layer", {}).find("names no matrix"), std::string::npos);
  EXPECT_NE(with("fc1(", {}).find("regular expression"), std::string::npos);
  EXPECT_NE(with("embed_positions", {Storage::kInt8}).find("cannot be stored"), std::string::npos);
  EXPECT_THROW(tensor_storage_named("int3"), Error);
  EXPECT_FALSE(fs::exists(path("small")));
}

TEST_F(Compress, InterruptedLeavesNothing) {
  int tensors = 0;
  const CompressOptions options{.progress = [&](const ConvertProgress& progress) {
    EXPECT_LE(progress.done_bytes, progress.total_bytes);
    if (++tensors == 30) throw Stopped();
  }};
  EXPECT_THROW(compress(source(), path("small"), options), Stopped);
  EXPECT_EQ(std::distance(fs::directory_iterator(path("")), {}), 1);  // only the source
}

TEST_F(Compress, DamagedSourcesAreRefused) {
  const fs::path weights = path("source") / "decoder/weights.safetensors";
  std::fstream file(weights, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-1, std::ios::end);
  file.put('\x55');
  file.close();
  EXPECT_NE(test::error_of([&] { compressed({}); }).find("digest"), std::string::npos);
}

TEST_F(Compress, LiesAboutStorageAreRefusedByName) {
  const auto lie = [&](const std::function<void(nlohmann::json&)>& change) {
    compress(source(), path("small"), {.weights = {Storage::kPalette4}});
    edit("small/decoder/stage.json", [&](nlohmann::json& json) { change(json["compression"]); });
    return test::error_of([&] {
      Model::open(path("small")).stage("decoder").matrix("layers.0.fc1.weight", {64, 16});
    });
  };
  const char* const name = "layers.0.fc1.weight";
  EXPECT_EQ(lie([](nlohmann::json&) {}), "");
  for (const char* storage : {"int8", "int4", "int4_block32", "palette6", "palette8"}) {
    const std::string message = lie([&](nlohmann::json& all) { all[name]["storage"] = storage; });
    EXPECT_NE(message.find(name), std::string::npos) << storage << ": " << message;
  }
  EXPECT_NE(lie([&](nlohmann::json& all) { all[name]["storage"] = "int2"; }).find("int2"),
            std::string::npos);
  EXPECT_NE(lie([&](nlohmann::json& all) {
              all[name]["shape"] = {64, 64};
            }).find("shape"),
            std::string::npos);
  EXPECT_NE(lie([&](nlohmann::json& all) { all[name]["shape"] = {64}; }).find("shape"),
            std::string::npos);
  EXPECT_NE(lie([&](nlohmann::json& all) {
              all[name]["shape"] = {1LL << 40, 1LL << 40};
            }).find("large"),
            std::string::npos);
  EXPECT_NE(lie([&](nlohmann::json& all) { all.erase(name); }).find(name), std::string::npos);
  EXPECT_NE(lie([&](nlohmann::json& all) {
              all["layers.0.fc1.bias"] = all[name];
              all["layers.0.fc1.weight"]["storage"] = "int8_block32";
            }).find("fc1"),
            std::string::npos);
}

}  // namespace
}  // namespace parley::stage
