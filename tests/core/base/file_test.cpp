#include "parley/core/base/file.h"

#include <gtest/gtest.h>

#include <fstream>

#include "parley/core/base/error.h"
#include "parley/tests/support.h"

namespace parley {
namespace {

TEST(AtomicFile, AppearsOnlyAfterCommit) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "result.txt";
  {
    AtomicFile file(path);
    file.write("half");
    EXPECT_FALSE(std::filesystem::exists(path));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()))
      << "an abandoned file leaves nothing behind";
  AtomicFile file(path);
  file.write("whole");
  file.commit();
  EXPECT_EQ(read_file(path, 100), "whole");
}

TEST(AtomicFile, ReportsADiskThatIsFull) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "needs /dev/full";
  const test::TemporaryFolder folder;
  EXPECT_THROW(AtomicFile(folder.path() / "missing" / "result.txt"), Error);
}

TEST(MappedFile, RefusesFoldersAndMissingFiles) {
  const test::TemporaryFolder folder;
  EXPECT_THROW(MappedFile(folder.path()), Error);
  EXPECT_THROW(MappedFile(folder.path() / "missing"), Error);
}

TEST(MappedFile, ReleasedPagesStayReadable) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "pages";
  std::ofstream(path) << std::string(20000, 'x');
  const MappedFile file(path);
  file.release(file.bytes().subspan(100, 15000));
  for (const std::byte value : file.bytes()) ASSERT_EQ(value, std::byte('x'));
}

TEST(ReadFile, RefusesMoreThanTheLimit) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "long";
  std::ofstream(path) << "12345";
  EXPECT_THROW(read_file(path, 4), Error);
  EXPECT_EQ(read_file(path, 5), "12345");
}

}  // namespace
}  // namespace parley
