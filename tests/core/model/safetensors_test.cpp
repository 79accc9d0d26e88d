#include "parley/core/model/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <numeric>

#include "parley/core/base/error.h"
#include "parley/tests/support.h"

namespace parley::stage {
namespace {

std::string file_bytes(const std::filesystem::path& path) { return read_file(path, 1 << 20); }

// A file with this header text and so many bytes of data, all 0, 1, 2...
std::string make_file(const std::string& header, size_t data_bytes) {
  const uint64_t length = header.size();
  std::string file(reinterpret_cast<const char*>(&length), sizeof length);
  file += header;
  for (size_t i = 0; i < data_bytes; ++i) file += static_cast<char>(i);
  return file;
}

Safetensors open(const std::string& file) {
  return Safetensors::from_bytes(std::as_bytes(std::span(file)), "test");
}

// The message with which `file` is refused; empty when it is accepted.
std::string refusal(const std::string& file) {
  return test::error_of([&] { open(file); });
}

TEST(Safetensors, WrittenFilesReadBack) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "weights.safetensors";
  const std::vector<uint16_t> halves = {1, 2, 3, 4, 5, 6};
  const std::vector<float> floats = {0.5f, -1.5f};
  SafetensorsWriter writer(path,
                           {{"half", nn::DType::kF16, {2, 3}},
                            {"empty", nn::DType::kI8, {0, 4}},
                            {"float", nn::DType::kF32, {2}},
                            {"scalar", nn::DType::kI64, {}}},
                           {{"format", "pt"}});
  ASSERT_EQ(writer.order()[0].name, "scalar");  // widest first
  ASSERT_EQ(writer.order()[1].name, "float");
  const int64_t scalar = 42;
  writer.write("scalar", std::as_bytes(std::span(&scalar, 1)));
  for (const float& value : floats) writer.write("float", std::as_bytes(std::span(&value, 1)));
  writer.write("half", std::as_bytes(std::span(halves)));
  writer.commit();

  const Safetensors file(path);
  EXPECT_EQ(file.names().size(), 4u);
  EXPECT_EQ(file.metadata().at("format"), "pt");
  EXPECT_EQ(file.tensor("scalar", {}).as<int64_t>()[0], 42);
  const nn::Tensor half = file.tensor("half", {2, 3});
  EXPECT_EQ(half.dtype, nn::DType::kF16);
  EXPECT_EQ(0, std::memcmp(half.data, halves.data(), 12));
  EXPECT_EQ(file.tensor("float").f32()[1], -1.5f);
  EXPECT_TRUE(file.contains("empty"));
  EXPECT_EQ(file.tensor("empty").shape.elements(), 0);
  // The data begin on a cache line, so that mapped weights do too.
  EXPECT_EQ(reinterpret_cast<uintptr_t>(file.tensor("scalar").data) % 64, 0u);
  file.release(half);
  EXPECT_EQ(half.as<uint16_t>()[5], 6);  // read again from disk
}

TEST(Safetensors, SameTensorsMakeTheSameFile) {
  const test::TemporaryFolder folder;
  for (const char* name : {"a", "b"}) {
    SafetensorsWriter writer(folder.path() / name, {{"x", nn::DType::kU8, {3}}}, {{"k", "v"}});
    writer.write("x", std::as_bytes(std::span("abc", 3)));
    writer.commit();
  }
  EXPECT_EQ(file_bytes(folder.path() / "a"), file_bytes(folder.path() / "b"));
}

TEST(Safetensors, UnfinishedOrDisorderedWritesLeaveNothing) {
  const test::TemporaryFolder folder;
  {
    SafetensorsWriter writer(folder.path() / "a",
                             {{"x", nn::DType::kU8, {3}}, {"y", nn::DType::kU8, {1}}});
    EXPECT_THROW(writer.write("y", std::as_bytes(std::span("a", 1))), Error);
    EXPECT_THROW(writer.write("x", std::as_bytes(std::span("abcd", 4))), Error);
    writer.write("x", std::as_bytes(std::span("abc", 3)));
    EXPECT_THROW(writer.commit(), Error);
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  EXPECT_THROW(SafetensorsWriter(folder.path() / "b",
                                 {{"x", nn::DType::kU8, {3}}, {"x", nn::DType::kU8, {3}}}),
               Error);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Safetensors, MisalignedDataAreCopiedToAlignedMemory) {
  // Three bytes before the floats, and headers of every length modulo 8.
  for (size_t pad = 0; pad < 8; ++pad) {
    const std::string header = R"({"bytes":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},)"
                               R"("floats":{"dtype":"F32","shape":[2],"data_offsets":[3,11]}})" +
                               std::string(pad, ' ');
    const std::string text = make_file(header, 11);
    const Safetensors file = open(text);
    const nn::Tensor floats = file.tensor("floats", {2});
    EXPECT_EQ(reinterpret_cast<uintptr_t>(floats.data) % 4, 0u);
    EXPECT_EQ(0, std::memcmp(floats.data, text.data() + 8 + header.size() + 3, 8));
    EXPECT_EQ(file.tensor("floats").data, floats.data) << "copied once";
  }
}

TEST(Safetensors, TensorsSurviveAMove) {
  const std::string header = R"({"u":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                             R"("f":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}})";
  const std::string text = make_file(header, 5);
  Safetensors first = open(text);
  const nn::Tensor before = first.tensor("f");
  const Safetensors second = std::move(first);
  EXPECT_EQ(second.tensor("f").data, before.data);
}

TEST(Safetensors, MissingTensorsAndWrongShapesAreNamed) {
  const std::string text = make_file(R"({"x":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},)"
                                     R"("y":{"dtype":"I8","shape":[2,2],"data_offsets":[8,12]}})",
                                     12);
  const Safetensors file = open(text);
  EXPECT_EQ(test::error_of([&] { file.tensor("z"); }), "test: has no tensor 'z'");
  EXPECT_EQ(test::error_of([&] { file.tensor("y", {4}); }),
            "test: tensor 'y' has shape [2, 2], expected [4]");
  EXPECT_EQ(test::error_of([&] { file.tensor("x"); }),
            "test: tensor 'x' is stored as F64, which is not supported");
}

TEST(Safetensors, LiesAreRefused) {
  const auto header = [](const std::string& dtype, const std::string& shape,
                         const std::string& offsets) {
    return make_file("{\"x\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape +
                         ",\"data_offsets\":" + offsets + "}}",
                     8);
  };
  EXPECT_EQ(refusal(header("F32", "[2]", "[0,8]")), "");  // the honest one
  const std::vector<std::string> lies = {
      "",
      "1234567",
      make_file("", 0),
      make_file("[]", 0),
      make_file("null", 0),
      make_file("{", 0),
      make_file("{}", 1),                           // bytes of no tensor
      header("F32", "[2]", "[0,8]").substr(0, 40),  // header cut short
      header("F32", "[2]", "[0,8]").substr(0, 66),  // data cut short
      header("F33", "[2]", "[0,8]"),                // unknown dtype
      header("F32", "[3]", "[0,8]"),                // size differs
      header("F16", "[2]", "[0,8]"),
      header("F32", "[2]", "[0,12]"),  // beyond the file
      header("F32", "[2]", "[8,0]"),
      header("F32", "[2]", "[-8,0]"),
      header("F32", "[2]", "[0]"),
      header("F32", "[2]", "[0,8,8]"),
      header("F32", "[2]", "[0,8.0]"),
      header("F32", "[2]", "[0,18446744073709551615]"),
      header("F32", "[-2]", "[0,8]"),
      header("F32", "[2,1,1,1,1]", "[0,8]"),
      header("F32", "2", "[0,8]"),
      header("F32", "[9223372036854775807]", "[0,8]"),
      header("F32", "[4611686018427387906]", "[0,8]"),  // times 4 wraps round to 8
      header("F32", "[4294967296,4294967296]", "[0,0]"),
      header("F32", "[1]", "[4,8]"),  // a hole
      make_file(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                R"("y":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                4),  // overlap
      make_file(R"({"x":{"dtype":"F32","data_offsets":[0,4]}})", 4),
      make_file(R"({"x":{"shape":[1],"data_offsets":[0,4]}})", 4),
      make_file(R"({"x":{"dtype":"F32","shape":[1]}})", 4),
      make_file(R"({"x":[1]})", 4),
      make_file(R"({"__metadata__":{"a":1}})", 0),
      make_file(R"({"x":)" + std::string(100, '[') + std::string(100, ']') + "}", 0),
  };
  for (const std::string& lie : lies) {
    EXPECT_EQ(refusal(lie).substr(0, 5), "test:") << lie;
  }
  std::string huge = header("F32", "[2]", "[0,8]");
  std::memset(huge.data(), 0xff, 8);  // header length 2^64 - 1
  EXPECT_NE(refusal(huge), "");
}

}  // namespace
}  // namespace parley::stage
