#include "parley/core/model/packed_cache.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <fstream>
#include <random>
#include <thread>

#include "parley/convert/compress.h"
#include "parley/core/base/file.h"
#include "parley/core/nn/cpu/isa.h"
#include "parley/pipeline/stt/speech_model.h"
#include "parley/tests/golden/golden_model.h"

namespace parley::stage {
namespace {

namespace fs = std::filesystem;
using nn::Precision;
using pipeline::SpeechModel;

constexpr uint64_t kSmall = 0;  // min_bytes: these models are smaller than what is worth a file

class PackedCacheTest : public testing::Test {
 protected:
  PackedCacheTest() : golden_("multilingual-80") {}

  PackedCache cache(uint64_t max_bytes = PackedCache::kMaxBytes) const {
    return PackedCache(folder_.path() / "cache", max_bytes, kSmall);
  }
  std::shared_ptr<const SpeechModel> load(Precision precision,
                                          const std::optional<PackedCache>& cache) const {
    return SpeechModel::load(golden_.model.path(), precision, 2, cache);
  }
  std::vector<fs::path> files() const {
    std::vector<fs::path> found;
    if (!fs::exists(cache().folder())) return found;
    for (const auto& entry : fs::directory_iterator(cache().folder())) found.push_back(entry);
    std::sort(found.begin(), found.end());
    return found;
  }
  // The bits of the features of a clip and of the logits after a few tokens.
  std::vector<float> outputs(const SpeechModel& model) const {
    nn::Context ctx({.threads = 2});
    std::vector<float> mel = golden_.mel("vowels");
    const nn::Tensor features = ctx.allocate({model.encoder.positions(), model.encoder.d_model()});
    model.encoder.run(
        ctx,
        nn::Tensor(mel.data(), {model.encoder.frames(), model.encoder.n_mels()}, nn::DType::kF32),
        features);
    std::vector<float> out(features.f32(), features.f32() + features.shape.elements());
    decoder::KvState state(model.decoder.cache_shape(), 1);
    state.reset(0, model.decoder.listen(ctx, features));
    const std::vector<decoder::Row> rows{{0, 50}, {0, 7}, {0, 120}};
    const nn::Tensor logits = model.decoder.step(ctx, state, rows);
    out.insert(out.end(), logits.f32(), logits.f32() + logits.shape.elements());
    return out;
  }
  static bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
  }
  static std::string read(const fs::path& path) { return read_file(path, size_t{1} << 30); }
  static void write(const fs::path& path, const std::string& bytes) {
    fs::remove(path);
    std::ofstream(path, std::ios::binary) << bytes;
    fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
  }

  test::GoldenModel golden_;
  test::TemporaryFolder folder_;
};

TEST_F(PackedCacheTest, ComputesTheSameBitsFromWhatWasKept) {
  for (const Precision precision :
       {Precision::kAuto, Precision::kF32, Precision::kInt8, Precision::kBF16}) {
    if (precision == Precision::kBF16 && nn::isa() < nn::Isa::kAvx512) continue;
    const std::vector<float> expected = outputs(*load(precision, std::nullopt));
    const size_t before = files().size();
    EXPECT_TRUE(same_bits(outputs(*load(precision, cache())), expected)) << name_of(precision);
    EXPECT_EQ(files().size(), before + 2) << name_of(precision);
    EXPECT_TRUE(same_bits(outputs(*load(precision, cache())), expected)) << name_of(precision);
    EXPECT_EQ(files().size(), before + 2) << name_of(precision);
  }
}

TEST_F(PackedCacheTest, KeepsCompressedWeightsAsTheyAreComputed) {
  for (const nn::Storage storage : nn::kStorages) {
    if (storage == nn::Storage::kFloat) continue;
    const fs::path small = folder_.path() / std::string(nn::name_of(storage));
    compress(golden_.model, small, {.weights = {storage}});
    const auto load_small = [&](const std::optional<PackedCache>& cache) {
      return outputs(*SpeechModel::load(small, Precision::kAuto, 2, cache));
    };
    const std::vector<float> expected = load_small(std::nullopt);
    load_small(cache());
    EXPECT_TRUE(same_bits(load_small(cache()), expected)) << nn::name_of(storage);
  }
}

// A second start takes all from the file: it would differ if what the file holds differed.
TEST_F(PackedCacheTest, IsReallyRead) {
  const std::vector<float> expected = outputs(*load(Precision::kF32, cache()));
  for (const fs::path& file : files()) {
    std::string bytes = read(file);
    for (size_t i = bytes.size() / 2; i < bytes.size(); ++i) bytes[i] = 0;
    write(file, bytes);
  }
  EXPECT_FALSE(same_bits(outputs(*load(Precision::kF32, cache())), expected));
}

TEST_F(PackedCacheTest, PacksAnewWhatIsCutOrAltered) {
  const std::vector<float> expected = outputs(*load(Precision::kF32, cache()));
  const std::vector<fs::path> good = files();
  ASSERT_EQ(good.size(), 2u);
  std::mt19937 random(1);
  for (const fs::path& file : good) {
    const std::string bytes = read(file);
    uint64_t header = 0;
    std::memcpy(&header, bytes.data(), sizeof header);
    for (int i = 0; i < 24; ++i) {
      std::string bad = bytes;
      if (i % 2 == 0) {
        bad.resize(i == 0 ? 0 : random() % bytes.size());
      } else {
        char& byte = bad[random() % (sizeof header + header)];
        byte = static_cast<char>(byte ^ (1 << random() % 8));
      }
      write(file, bad);
      ASSERT_TRUE(same_bits(outputs(*load(Precision::kF32, cache())), expected)) << i;
      load(Precision::kF32, cache());  // one that did not fit was removed: now it is made anew
      ASSERT_EQ(files(), good);
    }
    ASSERT_EQ(read(file).size(), bytes.size());
  }
}

TEST_F(PackedCacheTest, ForgetsWeightsThatChanged) {
  load(Precision::kF32, cache());
  const fs::path weights = golden_.model.path() / "encoder/weights.safetensors";
  const std::string before = packed_identity(golden_.model.stage("encoder"), Precision::kF32);
  fs::last_write_time(weights, fs::last_write_time(weights) + std::chrono::seconds(5));
  EXPECT_NE(packed_identity(golden_.model.stage("encoder"), Precision::kF32), before);
  load(Precision::kF32, cache());
  EXPECT_EQ(files().size(), 3u);
}

TEST_F(PackedCacheTest, ManyMayBeginAtOnce) {
  const std::vector<float> expected = outputs(*load(Precision::kAuto, std::nullopt));
  std::vector<std::thread> threads;
  std::vector<int> same(4);
  for (int& result : same) {
    threads.emplace_back([&] {
      for (int i = 0; i < 3; ++i)
        result += same_bits(outputs(*load(Precision::kAuto, cache())), expected) ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(same, (std::vector<int>{3, 3, 3, 3}));
  EXPECT_EQ(files().size(), 2u);
}

TEST_F(PackedCacheTest, WritesNothingWhereItMayNot) {
  const PackedCache nowhere(golden_.model.path() / "model.json", PackedCache::kMaxBytes, kSmall);
  EXPECT_NE(load(Precision::kF32, nowhere), nullptr);
  const fs::path open = folder_.path() / "open";
  fs::create_directory(open);
  ASSERT_EQ(::chmod(open.c_str(), 0777), 0);
  const PackedCache refused(open, PackedCache::kMaxBytes, kSmall);
  EXPECT_NE(load(Precision::kF32, refused), nullptr);
  EXPECT_TRUE(fs::is_empty(open));
  EXPECT_NE(refused.refusal(), "");
}

TEST_F(PackedCacheTest, UsesNoFileThatOthersMayWrite) {
  const std::vector<float> expected = outputs(*load(Precision::kF32, cache()));
  for (const fs::path& file : files()) {
    std::string bytes = read(file);
    for (size_t i = bytes.size() / 2; i < bytes.size(); ++i) bytes[i] = 0;
    write(file, bytes);
    ASSERT_EQ(::chmod(file.c_str(), 0666), 0);
  }
  EXPECT_TRUE(same_bits(outputs(*load(Precision::kF32, cache())), expected));
}

TEST_F(PackedCacheTest, LeastRecentlyUsedFilesMakeRoom) {
  load(Precision::kF32, cache());
  const std::vector<fs::path> old = files();
  const uint64_t bytes = cache().bytes();
  for (const fs::path& file : old)
    fs::last_write_time(file, fs::last_write_time(file) - std::chrono::hours(1));
  load(Precision::kInt8, cache(bytes));
  EXPECT_LE(cache().bytes(), bytes);
  EXPECT_FALSE(fs::exists(old[0]) && fs::exists(old[1]));
  load(Precision::kF32, cache(1));  // no file is smaller
  EXPECT_LE(cache().bytes(), bytes);
}

TEST_F(PackedCacheTest, SmallStagesAreNotKept) {
  load(Precision::kF32, PackedCache(cache().folder()));
  EXPECT_TRUE(files().empty());
}

}  // namespace
}  // namespace parley::stage
