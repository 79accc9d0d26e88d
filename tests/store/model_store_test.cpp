// The store of installed models: locks, use marks, replacing, removing.
#include "parley/store/model_store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "parley/core/base/error.h"
#include "parley/tests/support.h"

namespace parley::store {
namespace {

namespace fs = std::filesystem;

void write(const fs::path& path, size_t bytes) {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << std::string(bytes, 'x');
}

struct ModelStoreTest : testing::Test {
  test::TemporaryFolder folder;
  ModelStore store{folder.path() / "models"};

  // 100 bytes of model.json and the weights; used on that day of 2026.
  void add(const std::string& name, size_t weights, int day) {
    write(store.path(name) / "model.json", 100);
    write(store.path(name) / "encoder/weights.safetensors", weights);
    store.mark_used(name);
    const timespec times[2] = {{1767225600 + day * 86400, 0}, {1767225600 + day * 86400, 0}};
    ::utimensat(AT_FDCWD, (store.folder() / ".parley" / name / "used").c_str(), times, 0);
  }
  std::vector<std::string> names() const { return store.names(); }
};

using Names = std::vector<std::string>;

TEST_F(ModelStoreTest, ListsModelsAndNothingElse) {
  EXPECT_EQ(names(), Names());
  add("b", 10, 1);
  add("a", 20, 2);
  write(store.folder() / "registry.json", 1);
  write(store.folder() / "no-model/readme", 1);
  store.work_folder("c");
  EXPECT_EQ(names(), (Names{"a", "b"}));
  const auto list = store.list();
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].bytes, 120u);
  EXPECT_GT(list[0].last_used, list[1].last_used);
  EXPECT_TRUE(store.contains("a"));
  for (const char* name : {"c", "", "..", "a/encoder", "/etc"}) EXPECT_FALSE(store.contains(name));
  EXPECT_THROW(store.path("../a"), Error);
}

TEST_F(ModelStoreTest, InstallsAndReplacesInOneStep) {
  const auto lock = store.lock("a");
  const fs::path made = store.work_folder("a") / "model";
  write(made / "model.json", 1);
  store.install("a", made);
  EXPECT_EQ(fs::file_size(store.path("a") / "model.json"), 1u);
  EXPECT_FALSE(fs::exists(made));
  write(made / "model.json", 2);
  store.install("a", made);
  EXPECT_EQ(fs::file_size(store.path("a") / "model.json"), 2u);
  EXPECT_EQ(names(), Names{"a"});
  write(store.path("b") / "letters.txt", 1);  // somebody's own
  write(made / "model.json", 3);
  EXPECT_THROW(store.install("b", made), Error);
  EXPECT_TRUE(fs::exists(store.path("b") / "letters.txt"));
}

TEST_F(ModelStoreTest, RemovesAModelAndItsDownloads) {
  add("a", 10, 1);
  write(store.work_folder("a") / "checkpoint/a.part", 5);
  write(store.digests_file("a"), 2);
  store.remove("a");
  EXPECT_EQ(names(), Names());
  EXPECT_FALSE(store.has_work("a"));
  EXPECT_TRUE(fs::exists(store.digests_file("a")));  // what a file must be outlives it
}

TEST_F(ModelStoreTest, OneWriterAtATime) {
  auto lock = std::make_unique<StoreLock>(store.lock("a"));
  EXPECT_TRUE(*lock);
  EXPECT_FALSE(store.try_lock("a"));
  EXPECT_TRUE(store.try_lock("b"));
  bool waited = false;
  std::jthread other;
  const auto second = [&] {
    return store.lock("a", [&] {
      waited = true;
      other = std::jthread([&] { lock.reset(); });
    });
  };
  EXPECT_TRUE(second());
  EXPECT_TRUE(waited);
}

TEST_F(ModelStoreTest, PruneRemovesTheLongestUnused) {
  add("new", 900, 9);
  add("old", 900, 1);
  add("middle", 900, 5);
  const auto all = [](const InstalledModel&) { return true; };
  EXPECT_TRUE(prune(store, 3000, all).removed.empty());
  const PruneResult result = prune(store, 2500, all);
  ASSERT_EQ(result.removed.size(), 1u);
  EXPECT_EQ(result.removed[0].name, "old");
  EXPECT_EQ(result.bytes, 2000u);
  store.mark_used("middle");  // now
  EXPECT_EQ(prune(store, 1000, all).removed[0].name, "new");
  EXPECT_EQ(names(), Names{"middle"});
  EXPECT_EQ(prune(store, 0, all).bytes, 0u);
}

TEST_F(ModelStoreTest, PruneSparesOnlyCopiesAndWhatIsBeingChanged) {
  add("own", 900, 1);
  add("busy", 900, 2);
  add("pulled", 900, 3);
  write(store.work_folder("busy") / "x.part", 5);
  write(store.work_folder("killed") / "x.part", 5);
  const StoreLock lock = store.lock("busy");
  const PruneResult result =
      prune(store, 0, [](const InstalledModel& model) { return model.name != "own"; });
  EXPECT_EQ(result.kept, (Names{"own", "busy"}));
  EXPECT_EQ(result.bytes, 2000u);
  EXPECT_EQ(names(), (Names{"busy", "own"}));
  EXPECT_EQ(store.names_with_work(), Names{"busy"});
}

TEST_F(ModelStoreTest, AReadOnlyStoreIsUsedButNotChanged) {
  add("a", 10, 1);
  fs::remove_all(store.folder() / ".parley");
  ::chmod(store.folder().c_str(), 0555);
  if (::access(store.folder().c_str(), W_OK) == 0) GTEST_SKIP() << "root writes everywhere";
  store.mark_used("a");
  EXPECT_EQ(names(), Names{"a"});
  EXPECT_THROW(store.lock("a"), Error);
  ::chmod(store.folder().c_str(), 0755);
}

// The same for root: a file where the folder should be.
TEST_F(ModelStoreTest, AMarkThatCannotBeMadeIsNoError) {
  add("a", 10, 1);
  fs::remove_all(store.folder() / ".parley");
  write(store.folder() / ".parley", 1);
  store.mark_used("a");
  EXPECT_EQ(store.list().size(), 1u);
  EXPECT_THROW(store.lock("a"), Error);
}

}  // namespace
}  // namespace parley::store
