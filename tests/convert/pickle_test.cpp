#include "parley/convert/pickle.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include "parley/tests/support.h"

namespace parley::stage {
namespace {

using namespace std::string_literals;

// The program must outlive the result.
Pickle load(const std::string& program) { return {std::as_bytes(std::span(program)), "test"}; }

std::string refusal(const std::string& program) {
  return test::error_of([&] { load(program); });
}

std::string text(const std::string& value) {
  return "\x8c"s + static_cast<char>(value.size()) + value;
}
std::string number(int value) {
  return "J"s + std::string(reinterpret_cast<const char*>(&value), sizeof value);
}
std::string global(const std::string& module, const std::string& name) {
  return "c"s + module + "\n" + name + "\n";
}

std::string storage(int elements) {
  return "("s + text("storage") + global("torch", "HalfStorage") + text("0") + text("cpu") +
         number(elements) + "tQ";
}

// A [2, 3] tensor over `elements` elements with this offset and these strides.
std::string tensor(int elements, int offset, int stride0, int stride1) {
  return global("torch._utils", "_rebuild_tensor_v2") + "(" + storage(elements) + number(offset) +
         number(2) + number(3) + "\x86" + number(stride0) + number(stride1) + "\x86\x89" +
         global("collections", "OrderedDict") + ")RtR";
}

// pickle.dumps({"a": [1, -2, 2**40, 1.5, None, True], "b": ("x", "x")}, protocol=2), made by
// CPython.
const std::string kPython2 =
    "\x80\x02}q\x00(X\x01\x00\x00\x00\x61q\x01]q\x02("
    "K\x01J\xfe\xff\xff\xff\x8a\x06\x00\x00\x00\x00\x00\x01G?\xf8\x00\x00"
    "\x00\x00\x00\x00N\x88\x65X\x01\x00\x00\x00\x62q\x03X\x01\x00\x00\x00xq\x04h\x04\x86q\x05u."s;

TEST(Pickle, ReadsWhatPythonWrites) {
  const Pickle pickle = load(kPython2);
  const auto* list = std::get_if<Pickle::List>(pickle.find(pickle.root(), "a"));
  ASSERT_NE(list, nullptr);
  ASSERT_EQ(list->items.size(), 6u);
  EXPECT_EQ(std::get<int64_t>(pickle[list->items[0]]), 1);
  EXPECT_EQ(std::get<int64_t>(pickle[list->items[1]]), -2);
  EXPECT_EQ(std::get<int64_t>(pickle[list->items[2]]), int64_t{1} << 40);
  EXPECT_EQ(std::get<double>(pickle[list->items[3]]), 1.5);
  EXPECT_TRUE(std::holds_alternative<Pickle::None>(pickle[list->items[4]]));
  EXPECT_TRUE(std::get<bool>(pickle[list->items[5]]));
  const auto* pair = std::get_if<Pickle::Tuple>(pickle.find(pickle.root(), "b"));
  ASSERT_NE(pair, nullptr);
  EXPECT_EQ(pair->items[0], pair->items[1]);  // shared, through the memo
  EXPECT_EQ(pickle.find(pickle.root(), "c"), nullptr);
}

TEST(Pickle, EveryTruncationIsRefused) {
  for (size_t length = 0; length < kPython2.size(); ++length) {
    EXPECT_NE(refusal(kPython2.substr(0, length)), "") << length;
  }
}

// What pickle.loads() would run: os.system("touch <file>").
TEST(Pickle, NamesOutsideTheListAreRefusedAndNothingRuns) {
  const std::string mark = testing::TempDir() + "parley_pickle_ran";
  std::remove(mark.c_str());
  for (const auto& [module, name] : {std::pair("os", "system"),
                                     {"posix", "system"},
                                     {"builtins", "eval"},
                                     {"torch", "load"},
                                     {"torch.nn", "FloatStorage"},
                                     {"collections", "deque"}}) {
    const std::string call = text("touch " + mark) + "\x85R.";
    const std::string message = refusal(global(module, name) + call);
    EXPECT_NE(message.find(std::string("names '") + module + "." + name + "'"), std::string::npos)
        << message;
    EXPECT_NE(refusal(text(module) + text(name) + "\x93" + call), "");
  }
  EXPECT_FALSE(std::ifstream(mark).good());
}

TEST(Pickle, InstructionsThatImportOrCallAreUnknown) {
  EXPECT_NE(refusal("\x80\x02(S'x'\nios\nsystem\n."s), "");       // INST
  EXPECT_NE(refusal("(cos\nsystem\nX\x01\x00\x00\x00xo."s), "");  // OBJ
  EXPECT_NE(refusal(")\x81."), "");                               // NEWOBJ
  EXPECT_NE(refusal("\x82\x01."), "");                            // EXT1
}

TEST(Pickle, TensorsInsideTheirStorage) {
  const std::string program = tensor(6, 0, 3, 1) + ".";  // strings are views of it
  const Pickle pickle = load(program);
  const auto& read = std::get<Pickle::Tensor>(pickle.root());
  EXPECT_EQ(read.shape, nn::Shape({2, 3}));
  EXPECT_EQ(read.storage.dtype, nn::DType::kF16);
  EXPECT_EQ(read.storage.key, "0");
  EXPECT_EQ(refusal(tensor(6, 0, 1, 2) + "."), "");  // transposed
  EXPECT_EQ(refusal(tensor(8, 2, 3, 1) + "."), "");
  EXPECT_NE(refusal(tensor(7, 2, 3, 1) + "."), "");  // one element beyond
  EXPECT_NE(refusal(tensor(6, 0, 4, 1) + "."), "");
  EXPECT_NE(refusal(tensor(6, -1, 3, 1) + "."), "");
  EXPECT_NE(refusal(tensor(6, 0, -3, 1) + "."), "");
  EXPECT_NE(refusal(tensor(-6, 0, 3, 1) + "."), "");
  EXPECT_NE(refusal(tensor(5, 0, 0, 1) + "."), "");  // more elements than the storage
  EXPECT_NE(refusal(tensor(6, 0, 2147483647, 2147483647) + "."), "");
}

TEST(Pickle, MisusedStacksMarksAndMemosAreRefused) {
  const std::vector<std::string> programs = {"."s,
                                             "0."s,
                                             "t."s,
                                             "N\x86."s,
                                             "h\x00."s,
                                             "(N0"
                                             "0."s,
                                             "Nq\x00s."s,
                                             "]N}s."s,
                                             "Na."s,
                                             "(N1.",
                                             "N)R.",
                                             "}(Nu.",
                                             ")b.",
                                             "NQ.",
                                             "e.",
                                             "\x80\x09N.",
                                             "\x8a\x09"s + "123456789."};
  for (const std::string& program : programs) {
    EXPECT_NE(refusal(program), "") << testing::PrintToString(program);
  }
}

TEST(Pickle, DepthAndSizeAreBounded) {
  EXPECT_NE(refusal(std::string(100'000, '(') + "."), "");
  EXPECT_NE(refusal(std::string(2'000'000, 'N') + "."), "");
  // A list that holds itself, and nesting: no recursion, so no stack to overflow.
  EXPECT_EQ(refusal("]q\x00h\x00"
                    "a."s),
            "");
  std::string nested = ")";
  for (int i = 0; i < 100'000; ++i) nested += "\x85";
  EXPECT_EQ(refusal(nested + "."), "");
}

}  // namespace
}  // namespace parley::stage
