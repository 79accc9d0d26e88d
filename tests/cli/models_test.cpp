// parley models, with a server on this machine in the place of the world.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <future>
#include <map>
#include <nlohmann/json.hpp>

#include "parley/core/model/digest.h"
#include "parley/core/model/model.h"
#include "parley/tests/cli/http_server.h"
#include "parley/tests/cli/process.h"
#include "parley/tests/dsp/signals.h"

namespace parley::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kGolden = "tests/golden/whisper/multilingual-80";

class Models : public testing::Test {
 protected:
  // A registered model whose source is a folder of the tests; weights and configuration first.
  void add(const std::string& name, const std::string& source = kGolden) {
    nlohmann::json list = nlohmann::json::array();
    for (const char* file :
         {"model.safetensors", "config.json", "generation_config.json", "preprocessor_config.json",
          "vocab.json", "merges.txt", "added_tokens.json", "special_tokens_map.json",
          "tokenizer_config.json"}) {
      const std::string target = "/example.org/" + name + "/" + file;
      files_[target] = read_bytes(source_path(source) / file);
      list.push_back({{"file", file}, {"url", "https:/" + target}});
    }
    registry_["models"].push_back({{"name", name},
                                   {"kind", "stt"},
                                   {"licence", "MIT"},
                                   {"about", "random"},
                                   {"page", "https://example.org"},
                                   {"source", "."},
                                   {"files", list}});
  }
  nlohmann::json& file_of(const std::string& model, size_t file) {
    for (nlohmann::json& each : registry_["models"]) {
      if (each["name"] == model) return each["files"][file];
    }
    throw std::runtime_error("no such model");
  }
  std::string& content(const std::string& model, const std::string& file) {
    return files_.at("/example.org/" + model + "/" + file);
  }

  std::string answer(const HttpRequest& request) {
    const std::string fault = fault_ ? fault_(request) : "";
    if (!fault.empty()) return fault;
    const auto found = files_.find(request.target);
    return found == files_.end() ? http_answer("404 Not Found", "page")
                                 : http_file(request, found->second);
  }

  std::vector<std::string> environment() {
    write_file(folder_.path() / "registry.json", registry_.dump());
    return {"XDG_DATA_HOME=" + (folder_.path() / "data").string(), "PARLEY_MIRROR=" + server_.url(),
            "PARLEY_REGISTRY=" + (folder_.path() / "registry.json").string()};
  }
  static std::vector<std::string> command(const std::vector<std::string>& arguments) {
    std::vector<std::string> command = {PARLEY_PROGRAM, "models"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return command;
  }
  Outcome run(const std::vector<std::string>& arguments,
              const std::vector<std::string>& settings = {}) {
    std::vector<std::string> all = environment();
    all.insert(all.end(), settings.begin(), settings.end());
    return run_to_end(command(arguments), "", all);
  }

  fs::path store() const { return folder_.path() / "data/parley/models"; }
  fs::path work(const std::string& name) const { return store() / ".parley" / name / "work"; }
  void expect_good(const std::string& name) {
    const Outcome outcome = run({"verify", name});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(outcome.out, name + ": all digests are right\n");
    EXPECT_FALSE(fs::exists(work(name)));
  }
  void expect_nothing_half_made(const std::string& name) const {
    EXPECT_FALSE(fs::exists(store() / name));
    if (!fs::exists(store())) return;
    for (const auto& entry : fs::directory_iterator(store()))
      EXPECT_EQ(entry.path().filename(), ".parley");
  }

  TemporaryFolder folder_;
  nlohmann::json registry_ = {{"models", nlohmann::json::array()}};
  std::map<std::string, std::string> files_;  // by the server's paths
  HttpHandler fault_;                         // asked first; empty: the file as it is
  HttpServer server_{[this](const HttpRequest& request) { return answer(request); }};
};

#define EXPECT_HAS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

TEST_F(Models, PullInstallsAModelThatWorks) {
  add("tiny");
  const Outcome pulled = run({"pull", "tiny"});
  ASSERT_EQ(pulled.code, 0) << pulled.err;
  EXPECT_HAS(pulled.err, "tiny: installed in " + (store() / "tiny").string());
  expect_good("tiny");
  EXPECT_EQ(run({"path", "tiny"}).out, (store() / "tiny").string() + "\n");
  EXPECT_HAS(run({"list"}).out, "tiny                stt");
  EXPECT_HAS(run_to_end({PARLEY_PROGRAM, "doctor"}, "", environment()).out, "tiny, ");
  const stage::Model model = stage::Model::open(store() / "tiny");
  EXPECT_EQ(model.name(), "tiny");
  EXPECT_EQ(model.manifest().licence, "MIT");
  EXPECT_EQ(model.manifest().source["url"], "https://example.org/tiny/model.safetensors");
  const Outcome text = transcribe({"-m", "tiny", "--beam", "1", "--temperature", "0",
                                   source_path("tests/golden/whisper/clips.wav").string()},
                                  "", environment());
  EXPECT_EQ(text.code, 0) << text.err;
  const size_t requests = server_.requests().size();
  const Outcome again = run({"pull", "tiny"});
  EXPECT_EQ(again.code, 0);
  EXPECT_HAS(again.err, "is installed in");
  EXPECT_EQ(server_.requests().size(), requests);
}

TEST_F(Models, PullJoinsTheParts) {
  nlohmann::json list = nlohmann::json::array();
  for (const char* file :
       {"model.safetensors", "config.json", "spm_char.model", "preprocessor_config.json"}) {
    files_[std::string("/a/") + file] =
        read_bytes(source_path("tests/golden/speecht5/small") / file);
    list.push_back(
        {{"file", std::string("tts/") + file}, {"url", std::string("https://a/") + file}});
  }
  for (const char* file : {"model.safetensors", "config.json"}) {
    files_[std::string("/b/") + file] =
        read_bytes(source_path("tests/golden/hifigan/speecht5") / file);
    list.push_back(
        {{"file", std::string("hifigan/") + file}, {"url", std::string("https://b/") + file}});
  }
  files_["/c/anna.npy"] = read_bytes(source_path("tests/golden/speecht5/small/voices/anna.npy"));
  list.push_back({{"file", "voices/anna.npy"}, {"url", "https://c/anna.npy"}});
  list.push_back(
      {{"file", "tts/generation_config.json"}, {"url", "https://a/none"}, {"optional", true}});
  registry_["models"].push_back({{"name", "voice"},
                                 {"kind", "tts"},
                                 {"licence", "MIT"},
                                 {"about", ""},
                                 {"page", ""},
                                 {"source", "tts"},
                                 {"vocoder", "hifigan"},
                                 {"voices", "voices"},
                                 {"files", list}});
  const Outcome pulled = run({"pull", "voice"});
  ASSERT_EQ(pulled.code, 0) << pulled.err;
  const stage::Model model = stage::Model::open(store() / "voice");
  EXPECT_TRUE(model.has_stage("vocoder"));
  EXPECT_TRUE(model.stage("voices").weights().contains("anna"));
}

TEST_F(Models, UnknownDigestsAreRecordedAndHeldAgainstLaterDownloads) {
  add("tiny");
  EXPECT_HAS(run({"pull", "tiny"}).err, "no public source states the SHA-256 of 9 of its files");
  EXPECT_EQ(run({"remove", "tiny"}).code, 0);
  expect_nothing_half_made("tiny");
  std::string& weights = content("tiny", "model.safetensors");
  weights[weights.size() - 3] ^= 1;
  const Outcome changed = run({"pull", "tiny"});
  EXPECT_EQ(changed.code, 1);
  EXPECT_HAS(changed.err, "has the SHA-256");
  EXPECT_HAS(changed.err, "--accept-changed");
  expect_nothing_half_made("tiny");
  const Outcome accepted = run({"pull", "tiny", "--accept-changed"});
  EXPECT_EQ(accepted.code, 0) << accepted.err;
  expect_good("tiny");
  run({"remove", "tiny"});
  EXPECT_EQ(run({"pull", "tiny"}).code, 0);  // the new one is what is recorded now
}

TEST_F(Models, StatedDigestsDecide) {
  add("tiny");
  stage::Sha256 digest;
  digest.update(content("tiny", "model.safetensors"));
  file_of("tiny", 0)["sha256"] = digest.hex();
  std::string right = content("tiny", "model.safetensors");
  content("tiny", "model.safetensors")[1000] ^= 1;
  const Outcome wrong = run({"pull", "tiny", "--accept-changed"});  // not this one
  EXPECT_EQ(wrong.code, 1);
  EXPECT_HAS(wrong.err, "expected " + file_of("tiny", 0)["sha256"].get<std::string>());
  expect_nothing_half_made("tiny");
  content("tiny", "model.safetensors") = right;
  EXPECT_EQ(run({"pull", "tiny"}).code, 0);
  expect_good("tiny");
}

TEST_F(Models, APageInsteadOfAFileDoesNoLastingHarm) {
  add("tiny");
  fault_ = [](const HttpRequest&) { return http_answer("200 OK", "<html>Log in, please</html>"); };
  const Outcome portal = run({"pull", "tiny"});
  EXPECT_EQ(portal.code, 1);
  expect_nothing_half_made("tiny");
  fault_ = {};
  const Outcome outcome = run({"pull", "tiny"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  expect_good("tiny");
}

TEST_F(Models, AMissingFileKeepsTheOthers) {
  add("tiny");
  fault_ = [](const HttpRequest& request) {
    return request.target.ends_with("vocab.json") ? http_answer("404 Not Found", "") : "";
  };
  const Outcome outcome = run({"pull", "tiny"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_HAS(outcome.err, "404");
  expect_nothing_half_made("tiny");
  fault_ = {};
  const size_t before = server_.requests().size();
  EXPECT_EQ(run({"pull", "tiny"}).code, 0);
  EXPECT_EQ(server_.requests().size(), before + 5);  // from vocab.json on
  expect_good("tiny");
}

TEST_F(Models, KilledInADownloadGoesOnFromThere) {
  add("tiny");
  std::promise<void> half_way;
  std::promise<void> go_on;
  int requests = 0;
  fault_ = [&](const HttpRequest& request) -> std::string {
    ++requests;
    const std::string all = http_file(request, files_.at(request.target));
    if (requests == 1) return all.substr(0, 200'000);
    if (requests == 2) {
      half_way.set_value();
      go_on.get_future().wait();
    }
    return "";
  };
  {
    Process program(command({"pull", "tiny"}), {}, environment());
    half_way.get_future().wait();
    program.signal(SIGKILL);
    EXPECT_EQ(program.wait(), 128 + SIGKILL);
    go_on.set_value();
  }
  expect_nothing_half_made("tiny");
  EXPECT_EQ(run({"verify"}).code, 0);
  EXPECT_EQ(run({"path", "tiny"}).code, 3);
  const fs::path part = work("tiny") / "checkpoint/tiny/model.safetensors.part";
  const uint64_t there = fs::file_size(part);
  EXPECT_GT(there, 100'000u);
  EXPECT_EQ(run({"pull", "tiny"}).code, 0);
  EXPECT_EQ(server_.requests()[2].headers.at("range"), "bytes=" + std::to_string(there) + "-");
  expect_good("tiny");
}

TEST_F(Models, KilledWhileConvertingLeavesNothingHalfMade) {
  add("tiny");
  fault_ = [](const HttpRequest& request) {
    return request.target.ends_with("tokenizer_config.json") ? http_answer("404 No", "") : "";
  };
  EXPECT_EQ(run({"pull", "tiny"}).code, 1);
  fault_ = {};
  // Files of at most 32 kB: the kernel kills it in the middle of the weights.
  std::vector<std::string> limited = {"/bin/sh", "-c", "ulimit -c 0; ulimit -f 64; exec \"$@\"",
                                      "sh"};
  for (const std::string& word : command({"pull", "tiny"})) limited.push_back(word);
  EXPECT_EQ(run_to_end(limited, "", environment()).code, 128 + SIGXFSZ);
  bool half_made = false;
  for (const auto& entry : fs::directory_iterator(work("tiny")))
    half_made = half_made || entry.path().filename().string().starts_with("model.");
  EXPECT_TRUE(half_made);
  expect_nothing_half_made("tiny");
  EXPECT_EQ(run({"verify"}).code, 0);
  const size_t before = server_.requests().size();
  EXPECT_EQ(run({"pull", "tiny"}).code, 0);
  EXPECT_EQ(server_.requests().size(), before);  // all files had come
  expect_good("tiny");
}

TEST_F(Models, TwoProcessesMakeOneGoodCopy) {
  add("tiny");
  std::promise<void> asked;
  std::promise<void> go_on;
  std::atomic<int> requests = 0;
  fault_ = [&](const HttpRequest&) -> std::string {
    if (++requests == 1) {
      asked.set_value();
      go_on.get_future().wait();
    }
    return "";
  };
  const std::vector<std::string> settings = environment();
  Process first(command({"pull", "tiny"}), {}, settings);
  asked.get_future().wait();
  PipeEnds err;
  Process second(command({"pull", "tiny"}), {.err = err.write_end}, settings);
  err.close_write();
  EXPECT_HAS(read_line(err.read_end), "another process is installing it; waiting");
  go_on.set_value();
  EXPECT_EQ(first.wait(), 0);
  EXPECT_HAS(read_line(err.read_end), "is installed in");
  EXPECT_EQ(second.wait(), 0);
  EXPECT_EQ(requests, 9);
  expect_good("tiny");
}

TEST_F(Models, AnInterruptStopsAPull) {
  add("tiny");
  std::promise<void> asked;
  std::promise<void> go_on;
  // Held by the server's thread, which may get to it only after this test's end.
  fault_ = [&asked, released = go_on.get_future().share()](const HttpRequest&) -> std::string {
    asked.set_value();
    released.wait();
    return http_answer("404 Not Found", "");
  };
  Process program(command({"pull", "tiny"}), {}, environment());
  asked.get_future().wait();
  program.signal(SIGINT);
  EXPECT_EQ(program.wait(), 130);
  go_on.set_value();
  expect_nothing_half_made("tiny");
}

TEST_F(Models, OfflineAsksNobody) {
  add("tiny");
  const Outcome outcome = run({"pull", "tiny"}, {"PARLEY_OFFLINE=1"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_HAS(outcome.err, "PARLEY_OFFLINE is set");
  EXPECT_TRUE(server_.requests().empty());
  for (const auto& [target, bytes] : files_) {
    const fs::path path = folder_.path() / ("mirror" + target);
    fs::create_directories(path.parent_path());
    write_file(path, bytes);
  }
  std::vector<std::string> settings = environment();
  settings[1] = "PARLEY_MIRROR=file://" + (folder_.path() / "mirror").string();
  settings.emplace_back("PARLEY_OFFLINE=1");
  EXPECT_EQ(run_to_end(command({"pull", "tiny"}), "", settings).code, 0);
  expect_good("tiny");
}

TEST_F(Models, AProxyIsAsked) {
  add("tiny");
  for (nlohmann::json& file : registry_["models"][0]["files"]) {
    const std::string url = "http" + file["url"].get<std::string>().substr(5);
    stage::Sha256 digest;
    digest.update(files_.at(url.substr(6)));
    files_[url] = files_.at(url.substr(6));
    file["url"] = url;
    file["sha256"] = digest.hex();
  }
  std::vector<std::string> settings = environment();
  settings[1] = "http_proxy=" + server_.url();
  EXPECT_EQ(run_to_end(command({"pull", "tiny"}), "", settings).code, 0);
  EXPECT_EQ(server_.requests()[0].target, "http://example.org/tiny/model.safetensors");
  expect_good("tiny");
}

TEST_F(Models, VerifyFindsAFlippedBitAndPullMendsACutFile) {
  add("tiny");
  add("other");
  ASSERT_EQ(run({"pull", "tiny"}).code, 0);
  ASSERT_EQ(run({"pull", "other"}).code, 0);
  const fs::path weights = store() / "tiny/decoder/weights.safetensors";
  std::string bytes = read_bytes(weights);
  bytes[bytes.size() / 2] ^= 1;
  write_file(weights, bytes);
  const Outcome flipped = run({"verify"});
  EXPECT_EQ(flipped.code, 1);
  EXPECT_EQ(flipped.out, "other: all digests are right\n");
  EXPECT_HAS(flipped.err, "tiny: " + weights.string());
  fs::resize_file(weights, bytes.size() / 2);
  EXPECT_HAS(run({"list"}).out, "damaged: parley models verify tiny");
  const Outcome pulled = run({"pull", "tiny"});
  EXPECT_EQ(pulled.code, 0);
  EXPECT_HAS(pulled.err, "is damaged");
  expect_good("tiny");
}

TEST_F(Models, PruneKeepsWhatWasUsedLast) {
  add("a");
  add("b");
  add("own");
  for (const char* name : {"a", "b", "own"}) ASSERT_EQ(run({"pull", name}).code, 0);
  registry_["models"].erase(2);  // cannot be pulled again
  for (const char* name : {"a", "b", "own"}) {
    const timespec times[2] = {{1700000000, 0}, {1700000000, 0}};
    const fs::path mark = store() / ".parley" / name / "used";
    ASSERT_EQ(::utimensat(AT_FDCWD, mark.c_str(), times, 0), 0);
  }
  transcribe({"-m", "a", "--duration", "0.5", "--beam", "1",
              source_path("tests/golden/whisper/clips.wav").string()},
             "", environment());
  const uint64_t each = 800'000;  // somewhat more than one takes
  EXPECT_EQ(run({"prune", "--max-size", "1GB"}).code, 0);
  const Outcome pruned = run({"prune", "--max-size", std::to_string(2 * each) + "B"});
  EXPECT_EQ(pruned.code, 0) << pruned.err;
  EXPECT_HAS(pruned.out, "b: removed, ");
  EXPECT_TRUE(fs::exists(store() / "a"));
  EXPECT_FALSE(fs::exists(store() / "b"));
  const Outcome all = run({"prune", "--max-size", "0"});
  EXPECT_EQ(all.code, 1);
  EXPECT_HAS(all.err, "kept, because parley models pull would not bring them back: own");
  EXPECT_TRUE(fs::exists(store() / "own"));
}

TEST_F(Models, WhatIsNotThereIsNamedWithWhatHelps) {
  add("whisper-tiny.en");
  const std::string help = "parley models pull whisper-tiny.en";
  EXPECT_HAS(run({"path", "tiny.en"}).err, help);
  for (const char* command : {"path", "verify", "remove"})
    EXPECT_EQ(run({command, "whisper-tiny.en"}).code, 3) << command;
  const Outcome unknown = run({"pull", "tiny.en"});
  EXPECT_EQ(unknown.code, 1);
  EXPECT_HAS(unknown.err, "is it whisper-tiny.en?");
  const std::string wav = source_path("tests/golden/whisper/clips.wav").string();
  const Outcome missing = transcribe({"-m", "tiny.en", wav}, "", environment());
  EXPECT_EQ(missing.code, 3);
  EXPECT_HAS(missing.err, help);
  const Outcome mute =
      run_to_end({PARLEY_SPEAK, "-m", "none", "-o", "x.wav", "hello"}, "", environment());
  EXPECT_EQ(mute.code, 3);
  EXPECT_HAS(mute.err, "parley models");
  EXPECT_FALSE(fs::exists(store()));  // asking makes nothing
}

TEST_F(Models, WrongUsageIsRefused) {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{},
                                                    {"frob"},
                                                    {"pull"},
                                                    {"remove"},
                                                    {"path"},
                                                    {"prune"},
                                                    {"prune", "--max-size", "lots"},
                                                    {"prune", "--max-size", "-4GB"},
                                                    {"prune", "--max-size", "4 apples"},
                                                    {"prune", "--max-size", "1e30GB"},
                                                    {"list", "x"}}) {
    EXPECT_EQ(run(arguments).code, 2) << testing::PrintToString(arguments);
  }
  for (const char* size : {"0", "4GB", "1.5 GiB", "500MB"})
    EXPECT_EQ(run({"prune", "--max-size", size}).code, 0) << size;
  EXPECT_EQ(run({"pull", "../x"}).code, 1);
  EXPECT_EQ(run({"remove", "../x"}).code, 3);
}

TEST_F(Models, ADamagedRegistryIsRefusedByName) {
  registry_ = {{"models", 5}};
  const Outcome outcome = run({"list"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_HAS(outcome.err, "registry.json: field 'models'");
}

}  // namespace
}  // namespace parley::test
