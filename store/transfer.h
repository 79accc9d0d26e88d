// One request for what a file still lacks, by libcurl.
#pragma once

#include <curl/curl.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "parley/store/download.h"
#include "parley/store/partial_file.h"

namespace parley::store {

enum class TransferResult {
  kComplete,     // as far as the server says
  kBroken,       // may go better another time
  kNoSuchRange,  // what is there is no beginning of what the server has
};

class Transfer {
 public:
  // All must outlive it.
  Transfer(const std::string& url, PartialFile& part, const DownloadOptions& options);

  // Asks for what the file lacks and appends it. Throws NotFound, Stopped, and Error for what no
  // other attempt can mend.
  TransferResult run();
  const std::string& problem() const { return problem_; }  // why it broke
  std::chrono::seconds retry_after() const;                // what the server asks for; often 0

 private:
  struct Response {
    std::optional<uint64_t> length;
    std::optional<uint64_t> range_first;
    std::optional<uint64_t> range_total;
    std::string etag;
    std::string modified;
  };

  template <typename Work>
  bool guarded(const Work& work);
  static size_t take_header(char* data, size_t size, size_t count, void* self);
  static size_t take_body(char* data, size_t size, size_t count, void* self);
  static int watch(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t);

  void set_options();
  void ask_for_the_rest();
  long status() const;
  void header(std::string_view line);
  void begin_body();
  void body(std::span<const std::byte> data);
  void check_space();
  TransferResult judge(CURLcode code);
  TransferResult judge_status(long status);
  [[noreturn]] void refuse(const std::string& problem, const std::string& advice = "") const;

  const std::string& url_;
  PartialFile& part_;
  const DownloadOptions& options_;
  std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl_;
  std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> headers_;
  std::array<char, CURL_ERROR_SIZE> message_{};
  Response response_;
  bool begun_ = false;     // the body
  bool wanted_ = false;    // it is what was asked for
  uint64_t total_ = 0;     // of the whole file; 0: not known
  uint64_t unwanted_ = 0;  // bytes of an error's page
  uint64_t next_check_ = 0;
  std::string problem_;
  std::exception_ptr error_;  // may not pass through libcurl
};

// A URL as it may be shown: without user and password.
std::string shown_url(const std::string& url);

}  // namespace parley::store
