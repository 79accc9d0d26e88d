// The registry of public checkpoints: the one that comes with the sources, and what is refused.
#include "parley/store/registry.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "parley/core/base/error.h"
#include "parley/core/base/file.h"
#include "parley/tests/support.h"

namespace parley::store {
namespace {

constexpr const char* kDigest = "65147644a518d12f04e32d6f3b26facc3f8dd46e5390956a9424a650c0ce22b9";

nlohmann::json file(const std::string& name) {
  return {
      {"file", name}, {"url", "https://example.org/" + name}, {"bytes", 3}, {"sha256", kDigest}};
}

nlohmann::json model() {
  return {{"name", "tiny"},
          {"kind", "stt"},
          {"licence", "MIT"},
          {"about", "small"},
          {"page", "https://example.org"},
          {"source", "a/tiny.pt"},
          {"tokenizer", "a"},
          {"files", {file("a/tiny.pt"), file("a/b.tiktoken")}}};
}

Registry parse(const nlohmann::json& model) {
  return parse_registry(nlohmann::json{{"models", {model}}}.dump(), "registry.json");
}

std::string refusal(const nlohmann::json& model) {
  try {
    parse(model);
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Registry, ThatOfTheSourcesNamesThePublicCheckpoints) {
  const Registry registry = read_registry(test::source_path("data/models/registry.json"));
  for (const char* name :
       {"whisper-tiny", "whisper-tiny.en", "whisper-base", "whisper-base.en", "whisper-small",
        "whisper-small.en", "whisper-medium", "whisper-medium.en", "whisper-large-v1",
        "whisper-large-v2", "whisper-large-v3", "whisper-turbo", "distil-small.en",
        "distil-medium.en", "distil-large-v2", "distil-large-v3", "speecht5", "silero-vad"}) {
    EXPECT_NE(find_registered(registry, name), nullptr) << name;
  }
  for (const RegisteredModel& model : registry) {
    EXPECT_FALSE(model.licence.empty()) << model.name;
    for (const SourceFile& file : model.files) {
      EXPECT_TRUE(file.url.starts_with("https://")) << file.url;
      // A digest comes from somewhere: openai's are in the URLs, others of files in a fixed commit.
      const bool openai = file.url.find("openaipublic") != std::string::npos;
      EXPECT_EQ(openai, !file.sha256.empty() && file.url.find(file.sha256) != std::string::npos);
      const bool hub = file.url.find("huggingface.co") != std::string::npos;
      EXPECT_EQ(hub, file.sha256.empty()) << file.url;
      EXPECT_EQ(file.bytes.has_value(), !hub && !openai) << file.url;
    }
  }
}

TEST(Registry, ReadsWhatAModelIsMadeOf) {
  const Registry registry = parse(model());
  ASSERT_EQ(registry.size(), 1u);
  const RegisteredModel& tiny = registry[0];
  EXPECT_EQ(tiny.name, "tiny");
  EXPECT_EQ(tiny.source, "a/tiny.pt");
  EXPECT_EQ(tiny.tokenizer, "a");
  EXPECT_EQ(tiny.vocoder, "");
  ASSERT_EQ(tiny.files.size(), 2u);
  EXPECT_EQ(tiny.files[0].bytes, 3u);
  EXPECT_EQ(tiny.files[0].sha256, kDigest);
  nlohmann::json unknown = model();
  unknown["files"][0]["bytes"] = nullptr;
  unknown["files"][0]["sha256"] = nullptr;
  unknown["files"][0]["optional"] = true;
  const SourceFile first = parse(unknown)[0].files[0];
  EXPECT_FALSE(first.bytes.has_value());
  EXPECT_EQ(first.sha256, "");
  EXPECT_TRUE(first.optional);
}

TEST(Registry, RefusesByNameWhatIsWrong) {
  const auto with = [](const char* key, const nlohmann::json& value) {
    nlohmann::json changed = model();
    changed[key] = value;
    return changed;
  };
  const auto with_file = [](const char* key, const nlohmann::json& value) {
    nlohmann::json changed = model();
    changed["files"][0][key] = value;
    return changed;
  };
  const auto expect = [](const nlohmann::json& changed, const std::string& part) {
    EXPECT_NE(refusal(changed).find(part), std::string::npos) << refusal(changed);
  };
  for (const char* name : {"", "..", ".hidden", "a/b", "a b"}) expect(with("name", name), "'name'");
  expect(with("kind", "ocr"), "'kind'");
  expect(with("about", "two\nlines"), "'about'");
  expect(with("source", nullptr), "'source'");
  expect(with("source", "other.pt"), "names none of the files: 'other.pt'");
  expect(with("voices", "../a"), "'voices'");
  expect(with("files", {file("x"), file("x")}), "two named 'x'");
  for (const char* path : {"../x", "/etc/passwd", "a/../../x", ""})
    expect(with_file("file", path), "'file'");
  for (const char* url : {"ftp://a/b", "a/b", "https://a/ b", "file://relative", "https://a/\n"})
    expect(with_file("url", url), "'url'");
  expect(with_file("url", "https://a/" + std::string(3000, 'x')), "'url'");
  expect(with_file("sha256", "abc"), "'sha256'");
  expect(with_file("bytes", -1), "'bytes'");
  expect(with_file("bytes", uint64_t{1} << 50), "'bytes'");
  nlohmann::json plain = with_file("url", "http://a/b");
  EXPECT_EQ(refusal(plain), "accepted");
  plain["files"][0]["sha256"] = nullptr;
  expect(plain, "must be https");
  EXPECT_THROW(parse_registry(nlohmann::json{{"models", {model(), model()}}}.dump(), ""), Error);
}

TEST(Registry, KnowsWhatWasMeant) {
  const Registry registry = read_registry(test::source_path("data/models/registry.json"));
  EXPECT_EQ(similar_name(registry, "tiny.en"), "whisper-tiny.en");
  EXPECT_EQ(similar_name(registry, "openai/whisper-base"), "whisper-base");
  EXPECT_EQ(similar_name(registry, "turbo"), "whisper-turbo");
  EXPECT_EQ(similar_name(registry, "llama"), "");
}

}  // namespace
}  // namespace parley::store
