// Downloads from a server that behaves as networks do.
#include "parley/store/download.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>

#include "parley/core/model/digest.h"
#include "parley/tests/cli/http_server.h"
#include "parley/tests/dsp/signals.h"
#include "parley/tests/support.h"

namespace parley::test {
namespace {

namespace fs = std::filesystem;
using store::DownloadOptions;

// 300 kB that differ everywhere.
std::string contents(char seed = 0) {
  std::string text(300'000, ' ');
  uint32_t state = 12345 + static_cast<unsigned char>(seed);
  for (char& c : text) {
    state = state * 1664525 + 1013904223;
    c = static_cast<char>(state >> 24);
  }
  return text;
}

std::string digest_of(const std::string& text) {
  stage::Sha256 digest;
  digest.update(text);
  return digest.hex();
}

// An answer that promises all and ends after `bytes` of its body.
std::string broken_after(const std::string& answer, size_t bytes) {
  return answer.substr(0, answer.find("\r\n\r\n") + 4 + bytes);
}

struct Download : testing::Test {
  TemporaryFolder folder;
  fs::path file = folder.path() / "model.pt";
  std::vector<std::string> notices;
  std::string all = contents();

  store::DownloadOptions options() {
    return {.attempts = 4,
            .first_delay = std::chrono::milliseconds(1),
            .notice = [this](const std::string& text) { notices.push_back(text); }};
  }
  store::DownloadOptions known() {
    store::DownloadOptions result = options();
    result.bytes = all.size();
    result.sha256 = digest_of(all);
    return result;
  }
  // What it throws.
  std::string failure(const HttpServer& server, const store::DownloadOptions& given) const {
    try {
      store::download(server.url() + "/model.pt", file, given);
    } catch (const Error& error) {
      EXPECT_FALSE(fs::exists(file)) << "half made";
      return error.what();
    }
    return "nothing";
  }
  void expect_whole(const HttpServer& server, const store::DownloadOptions& given) const {
    const store::Downloaded got = store::download(server.url() + "/model.pt", file, given);
    EXPECT_EQ(read_bytes(file), all);
    EXPECT_EQ(got.bytes, all.size());
    EXPECT_EQ(got.sha256, digest_of(all));
    EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 1) << "something is left";
  }
  std::string part() const { return file.string() + ".part"; }
};

#define EXPECT_HAS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

TEST_F(Download, GivesTheFileItsSizeAndDigest) {
  const HttpServer server([&](const HttpRequest& request) { return http_file(request, all); });
  uint64_t last = 0;
  store::DownloadOptions given = options();
  given.progress = [&](uint64_t done, uint64_t total) {
    EXPECT_GE(done, last);
    EXPECT_EQ(total, all.size());
    last = done;
  };
  expect_whole(server, given);
  EXPECT_EQ(last, all.size());
  EXPECT_EQ(server.requests().size(), 1u);
  EXPECT_TRUE(notices.empty());
}

TEST_F(Download, GoesOnWhereAConnectionBroke) {
  const HttpServer server([&](const HttpRequest& request) {
    const std::string answer = http_file(request, all);
    return request.has("range") && request.headers.at("range") == "bytes=200000-"
               ? answer
               : broken_after(answer, 100'000);
  });
  expect_whole(server, options());
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_FALSE(requests[0].has("range"));
  EXPECT_EQ(requests[1].headers.at("range"), "bytes=100000-");
  EXPECT_EQ(requests[1].headers.at("if-range"), "\"1\"");
  EXPECT_EQ(notices.size(), 2u);
}

TEST_F(Download, KeepsWhatHasComeForTheNextCall) {
  bool up = false;
  const HttpServer server([&](const HttpRequest& request) {
    const std::string answer = http_file(request, all);
    return up ? answer : request.has("range") ? "" : broken_after(answer, 70'000);
  });
  EXPECT_HAS(failure(server, options()), "run again to go on");
  EXPECT_EQ(fs::file_size(part()), 70'000u);
  up = true;
  expect_whole(server, options());
  EXPECT_EQ(server.requests().back().headers.at("range"), "bytes=70000-");
}

TEST_F(Download, NeverMixesTwoVersions) {
  const std::string old = contents(7);
  bool replaced = false;
  const HttpServer server([&](const HttpRequest& request) {
    if (replaced) return http_file(request, all, "\"2\"");
    replaced = true;
    return broken_after(http_file(request, old, "\"1\""), 100'000);
  });
  expect_whole(server, options());
}

TEST_F(Download, WithoutAValidatorOrDigestBeginsAnew) {
  const auto without_etag = [&](const HttpRequest& request) {
    std::string answer = http_file(request, all);
    return answer.erase(answer.find("ETag"), std::string_view("ETag: \"1\"\r\n").size());
  };
  int left = 1;
  const HttpServer server([&](const HttpRequest& request) {
    return left-- > 0 ? broken_after(without_etag(request), 100'000) : without_etag(request);
  });
  store::DownloadOptions once = options();
  once.attempts = 1;
  failure(server, once);
  ASSERT_EQ(fs::file_size(part()), 100'000u);
  expect_whole(server, options());
  EXPECT_FALSE(server.requests().back().has("range"));
  left = 1;
  fs::remove(file);
  once.sha256 = digest_of(all);
  failure(server, once);
  expect_whole(server, known());  // the digest decides whether the pieces fit together
  EXPECT_EQ(server.requests().back().headers.at("range"), "bytes=100000-");
}

TEST_F(Download, TakesTheWholeFileFromAServerThatIgnoresRanges) {
  int answers = 0;
  const HttpServer server([&](const HttpRequest&) {
    const std::string answer = http_answer("200 OK", all, "ETag: \"1\"\r\n");
    return ++answers == 1 ? broken_after(answer, 100'000) : answer;
  });
  expect_whole(server, options());
}

TEST_F(Download, MendsWhatAnotherProgramLeft) {
  write_file(part(), contents(9).substr(0, 50'000));  // of no version of this file
  write_file(part() + ".version", "\"1\"");
  const HttpServer server([&](const HttpRequest& request) { return http_file(request, all); });
  expect_whole(server, known());
  ASSERT_EQ(notices.size(), 1u);
  EXPECT_HAS(notices[0], "do not fit together");
  write_file(part(), all + "more than there is");
  expect_whole(server, known());
}

TEST_F(Download, FindsThatAllWasThere) {
  write_file(part(), all);
  write_file(part() + ".version", "\"1\"");
  const HttpServer server([&](const HttpRequest& request) { return http_file(request, all); });
  expect_whole(server, options());  // by status 416
  fs::rename(file, part());
  write_file(part(), all.substr(0, all.size() - 5) + "12345678901");
  write_file(part() + ".version", "\"1\"");
  expect_whole(server, options());  // longer than the server's: not its beginning
}

TEST_F(Download, TriesAgainWhenAServerIsInTrouble) {
  std::vector<std::string> answers = {http_answer("500 Oops", "page"),
                                      http_answer("503 Busy", "page", "Retry-After: 0\r\n"), "",
                                      http_answer("429 Slowly", "page")};
  size_t at = 0;
  const HttpServer server([&](const HttpRequest& request) {
    return at < answers.size() ? answers[at++] : http_file(request, all);
  });
  store::DownloadOptions given = options();
  given.attempts = 5;
  expect_whole(server, given);
  EXPECT_EQ(server.requests().size(), 5u);
  EXPECT_EQ(notices.size(), 4u);
  EXPECT_HAS(notices[0], "500");
}

TEST_F(Download, GivesUpAfterItsAttempts) {
  const HttpServer server([&](const HttpRequest&) { return http_answer("503 Busy", ""); });
  EXPECT_HAS(failure(server, options()), "503, again and again");
  EXPECT_EQ(server.requests().size(), 4u);
}

TEST_F(Download, DoesNotRepeatWhatCannotGoBetter) {
  std::string status = "404 Not Found";
  const HttpServer server([&](const HttpRequest&) { return http_answer(status, "page"); });
  EXPECT_THROW(store::download(server.url() + "/model.pt", file, options()), store::NotFound);
  for (const char* refusal : {"403 Forbidden", "400 Bad", "304 Not Modified", "204 Nothing"}) {
    status = refusal;
    EXPECT_HAS(failure(server, options()), status.substr(0, 3));
  }
  EXPECT_EQ(server.requests().size(), 5u);
}

TEST_F(Download, RefusesWrongBytes) {
  const HttpServer server(
      [&](const HttpRequest& request) { return http_file(request, contents(3)); });
  EXPECT_HAS(failure(server, known()), "has the SHA-256 " + digest_of(contents(3)));
  EXPECT_FALSE(fs::exists(part()));
  EXPECT_EQ(server.requests().size(), 1u);
}

TEST_F(Download, DoesNotBelieveALength) {
  std::string answer;
  const HttpServer server([&](const HttpRequest&) { return answer; });
  const std::string head = "HTTP/1.1 200 OK\r\nConnection: close\r\n";
  answer = head + "Content-Length: 300001\r\n\r\n" + all;  // never comes
  EXPECT_HAS(failure(server, options()), "again and again");
  EXPECT_HAS(failure(server, known()), "has 300001 bytes, expected 300000");
  answer = head + "Content-Length: 1000\r\n\r\n" + all;  // cuts it short
  EXPECT_HAS(failure(server, known()), "has 1000 bytes, expected 300000");
  answer = head + "\r\n" + all.substr(0, 1000);  // no length: until the connection ends
  EXPECT_HAS(failure(server, known()), "1000 of 300000 bytes");
  answer = head + "\r\n" + all + "more";
  EXPECT_HAS(failure(server, known()), "sends more than the 300000 bytes");
  answer = head + "Content-Length: 99999999999999\r\n\r\n" + all;
  EXPECT_HAS(failure(server, options()), "more than the");
  answer = head + "Content-Length: -5\r\n\r\n" + all;
  EXPECT_NE(failure(server, known()), "nothing");
  answer = head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";  // no last chunk
  EXPECT_HAS(failure(server, options()), "again and again");
}

TEST_F(Download, DoesNotBelieveARange) {
  // Each lies about where its bytes belong; without a range it is an honest server.
  for (const char* range : {"bytes 0-299999/300000", "bytes 100001-299999/300000", "bytes x-y/z",
                            "bytes 100000-100005/6", "cats 100000-299999/300000", ""}) {
    int broken = 1;
    const HttpServer server([&](const HttpRequest& request) {
      if (!request.has("range")) {
        const std::string answer = http_file(request, all);
        return broken-- > 0 ? broken_after(answer, 100'000) : answer;
      }
      return http_answer("206 Partial Content", all.substr(100'000),
                         std::string("Content-Range: ") + range + "\r\n");
    });
    expect_whole(server, options());
    fs::remove(file);
  }
}

TEST_F(Download, FollowsRedirectsButNotForEver) {
  const HttpServer server([&](const HttpRequest& request) {
    if (request.target == "/there") return http_file(request, all);
    return http_answer("302 Found", "elsewhere", "Location: /there\r\nETag: \"wrong\"\r\n");
  });
  expect_whole(server, options());
  const HttpServer endless([&](const HttpRequest& request) {
    return http_answer("302 Found", "", "Location: " + request.target + "x\r\n");
  });
  fs::remove(file);
  EXPECT_HAS(failure(endless, options()), "redirects without end");
  EXPECT_EQ(endless.requests().size(), 9u);
  const HttpServer outside([&](const HttpRequest&) {
    return http_answer("302 Found", "", "Location: file:///etc/passwd\r\n");
  });
  EXPECT_NE(failure(outside, options()), "nothing");
}

TEST_F(Download, ChecksTheDiskBeforeAndMeanwhile) {
  const HttpServer server([&](const HttpRequest& request) { return http_file(request, all); });
  store::DownloadOptions given = options();
  given.free_bytes = [&] { return all.size() - 1; };
  EXPECT_HAS(failure(server, given), "needs 300.0 kB of disk space");
  EXPECT_EQ(fs::file_size(part()), 0u);
  given.free_bytes = [&] { return all.size(); };
  given.twice_the_space = true;
  EXPECT_HAS(failure(server, given), "needs 600.0 kB of disk space");
  given.twice_the_space = false;
  expect_whole(server, given);
}

TEST_F(Download, DoesNotWriteThroughALink) {
  fs::create_symlink("/dev/full", part());
  const HttpServer server([&](const HttpRequest& request) { return http_file(request, all); });
  EXPECT_HAS(failure(server, options()), "cannot open");
}

TEST_F(Download, CanBeStopped) {
  const HttpServer server([&](const HttpRequest& request) { return http_file(request, all); });
  store::DownloadOptions given = options();
  given.stopped = [] { return true; };
  EXPECT_THROW(store::download(server.url() + "/model.pt", file, given), Stopped);
  EXPECT_FALSE(fs::exists(file));
}

TEST_F(Download, ReadsFilesAndRefusesOtherSchemes) {
  const fs::path source = folder.path() / "source.pt";
  write_file(source, all);
  EXPECT_EQ(store::download("file://" + source.string(), file, known()).bytes, all.size());
  EXPECT_EQ(read_bytes(file), all);
  EXPECT_THROW(store::download("file://" + source.string() + "x", file, options()),
               store::NotFound);
  EXPECT_THROW(store::download("ftp://127.0.0.1/x", file, options()), Error);
  EXPECT_THROW(store::download("gopher://127.0.0.1/x", file, options()), Error);
}

TEST_F(Download, AnEmptyFileIsAFile) {
  all.clear();
  const HttpServer server([&](const HttpRequest& request) { return http_file(request, all); });
  expect_whole(server, known());
}

TEST_F(Download, AMirrorHasHostsAsFolders) {
  EXPECT_EQ(store::mirrored_url("https://a.org/b/c.pt", ""), "https://a.org/b/c.pt");
  EXPECT_EQ(store::mirrored_url("https://a.org/b/c.pt", "https://m/x/"),
            "https://m/x/a.org/b/c.pt");
  EXPECT_EQ(store::mirrored_url("https://a.org/c.pt", "file:///mnt"), "file:///mnt/a.org/c.pt");
  EXPECT_EQ(store::mirrored_url("file:///b/c.pt", "https://m"), "file:///b/c.pt");
}

TEST_F(Download, PasswordsAreNotShown) {
  const HttpServer server([&](const HttpRequest&) { return http_answer("403 Forbidden", ""); });
  const std::string host = server.url().substr(std::string_view("http://").size());
  try {
    store::download("http://me:secret@" + host + "/x", file, options());
    FAIL();
  } catch (const Error& error) {
    const std::string what = error.what();
    EXPECT_EQ(what.find("secret"), std::string::npos) << what;
    EXPECT_HAS(what, "http://" + host + "/x");
  }
}

}  // namespace
}  // namespace parley::test
