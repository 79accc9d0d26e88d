#include "parley/store/transfer.h"

#include <strings.h>

#include <algorithm>
#include <cstdlib>
#include <new>

#include "parley/core/base/parse_number.h"
#include "parley/core/model/inspect.h"
#include "parley/core/model/manifest.h"

namespace parley::store {

namespace {

constexpr long kConnectSeconds = 30;
constexpr long kSilentSeconds = 60;  // without a byte a connection counts as broken
constexpr long kMaxRedirects = 8;
constexpr uint64_t kMaxUnwanted = uint64_t{1} << 20;
constexpr uint64_t kSpaceCheck = uint64_t{64} << 20;
constexpr int64_t kMaxRetryAfter = 60;

CURL* new_handle() {
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  CURL* curl = ready == CURLE_OK ? curl_easy_init() : nullptr;
  if (curl == nullptr) throw std::bad_alloc();
  return curl;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

// The value of a header line if it has this name.
std::optional<std::string_view> value_of(std::string_view line, std::string_view name) {
  if (line.size() <= name.size() || line[name.size()] != ':') return std::nullopt;
  if (::strncasecmp(line.data(), name.data(), name.size()) != 0) return std::nullopt;
  return trimmed(line.substr(name.size() + 1));
}

// What If-Range can ask for. A weak ETag does not promise the same bytes.
const std::string& validator(const std::string& etag, const std::string& modified) {
  return etag.empty() || etag.starts_with("W/") ? modified : etag;
}

bool may_go_better(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_PARTIAL_FILE:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
      return true;
    default:
      return false;
  }
}

}  // namespace

std::string shown_url(const std::string& url) {
  const size_t scheme = url.find("://");
  if (scheme == std::string::npos) return url;
  const size_t host = scheme + 3;
  const size_t at = url.substr(0, url.find('/', host)).rfind('@');
  return at == std::string::npos || at < host ? url : url.substr(0, host) + url.substr(at + 1);
}

Transfer::Transfer(const std::string& url, PartialFile& part, const DownloadOptions& options)
    : url_(url),
      part_(part),
      options_(options),
      curl_(new_handle(), curl_easy_cleanup),
      headers_(nullptr, curl_slist_free_all) {
  set_options();
}

void Transfer::set_options() {
  const auto set = [&](CURLoption option, auto value) {
    if (curl_easy_setopt(curl_.get(), option, value) != CURLE_OK)
      refuse("libcurl lacks an option that is needed: " + std::to_string(option));
  };
  const bool https = url_.starts_with("https:");
  set(CURLOPT_URL, url_.c_str());
  set(CURLOPT_PROTOCOLS_STR, https ? "https" : url_.starts_with("file:") ? "file" : "http");
  set(CURLOPT_FOLLOWLOCATION, 1L);
  set(CURLOPT_REDIR_PROTOCOLS_STR, https ? "https" : "http,https");
  set(CURLOPT_MAXREDIRS, kMaxRedirects);
  set(CURLOPT_SSL_VERIFYPEER, 1L);
  set(CURLOPT_SSL_VERIFYHOST, 2L);
  // As the curl program: for mirrors and proxies whose certificates are a company's own.
  if (const char* bundle = std::getenv("CURL_CA_BUNDLE")) set(CURLOPT_CAINFO, bundle);
  set(CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  set(CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(CURLOPT_LOW_SPEED_TIME, kSilentSeconds);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_ERRORBUFFER, message_.data());
  const std::string agent = "parley/" + std::string(stage::runtime_version());
  set(CURLOPT_USERAGENT, agent.c_str());  // libcurl copies it
  set(CURLOPT_HEADERFUNCTION, &Transfer::take_header);
  set(CURLOPT_HEADERDATA, this);
  set(CURLOPT_WRITEFUNCTION, &Transfer::take_body);
  set(CURLOPT_WRITEDATA, this);
  set(CURLOPT_NOPROGRESS, 0L);
  set(CURLOPT_XFERINFOFUNCTION, &Transfer::watch);
  set(CURLOPT_XFERINFODATA, this);
}

// Not CURLOPT_RESUME_FROM: it takes a server that sends the whole file for broken.
void Transfer::ask_for_the_rest() {
  if (part_.bytes() == 0) return;
  const std::string range = std::to_string(part_.bytes()) + "-";
  curl_easy_setopt(curl_.get(), CURLOPT_RANGE, range.c_str());
  if (part_.validator().empty()) return;
  headers_.reset(curl_slist_append(nullptr, ("If-Range: " + part_.validator()).c_str()));
  if (!headers_) throw std::bad_alloc();
  curl_easy_setopt(curl_.get(), CURLOPT_HTTPHEADER, headers_.get());
}

TransferResult Transfer::run() {
  // A file can be read again from its beginning at no cost.
  if (url_.starts_with("file:") && part_.bytes() > 0) part_.restart("");
  ask_for_the_rest();
  const CURLcode code = curl_easy_perform(curl_.get());
  if (code == CURLE_OK && !begun_) guarded([&] { begin_body(); });  // an empty one
  if (error_) std::rethrow_exception(error_);
  return judge(code);
}

std::chrono::seconds Transfer::retry_after() const {
  curl_off_t seconds = 0;
  curl_easy_getinfo(curl_.get(), CURLINFO_RETRY_AFTER, &seconds);
  return std::chrono::seconds(std::clamp<int64_t>(seconds, 0, kMaxRetryAfter));
}

long Transfer::status() const {
  long status = 0;
  curl_easy_getinfo(curl_.get(), CURLINFO_RESPONSE_CODE, &status);
  return status;
}

template <typename Work>
bool Transfer::guarded(const Work& work) {
  try {
    work();
    return true;
  } catch (...) {
    error_ = std::current_exception();
    return false;
  }
}

size_t Transfer::take_header(char* data, size_t size, size_t count, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  const size_t bytes = size * count;
  return transfer.guarded([&] { transfer.header({data, bytes}); }) ? bytes : 0;
}

size_t Transfer::take_body(char* data, size_t size, size_t count, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  const size_t bytes = size * count;
  const auto take = [&] { transfer.body(std::as_bytes(std::span(data, bytes))); };
  return transfer.guarded(take) ? bytes : 0;
}

int Transfer::watch(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  auto& transfer = *static_cast<Transfer*>(self);
  const DownloadOptions& options = transfer.options_;
  const bool going = transfer.guarded([&] {
    if (options.stopped && options.stopped()) throw Stopped();
  });
  return going ? 0 : 1;
}

void Transfer::header(std::string_view line) {
  if (line.starts_with("HTTP/")) response_ = {};  // a redirect's headers say nothing
  if (const auto length = value_of(line, "Content-Length"))
    response_.length = parse_number<uint64_t>(*length);
  if (const auto etag = value_of(line, "ETag")) response_.etag = *etag;
  if (const auto modified = value_of(line, "Last-Modified")) response_.modified = *modified;
  const auto range = value_of(line, "Content-Range");  // "bytes FIRST-LAST/TOTAL", "bytes */TOTAL"
  if (!range || !range->starts_with("bytes ")) return;
  const size_t slash = range->find('/');
  if (slash == std::string_view::npos) return;
  const std::string_view place = range->substr(6, slash - 6);
  response_.range_first = parse_number<uint64_t>(place.substr(0, place.find('-')));
  response_.range_total = parse_number<uint64_t>(range->substr(slash + 1));
}

void Transfer::begin_body() {
  begun_ = true;
  const long code = status();
  const bool whole = code == 200 || code == 0;  // 0: no HTTP
  const uint64_t have = part_.bytes();
  const auto total = whole ? response_.length : response_.range_total;
  wanted_ = whole || (code == 206 && response_.range_first == have && total.value_or(have) >= have);
  if (!wanted_) return;
  if (total && options_.bytes && *total != *options_.bytes) {
    throw WrongContents(shown_url(url_), "has " + std::to_string(*total) + " bytes, expected " +
                                             std::to_string(*options_.bytes));
  }
  total_ = total ? *total : options_.bytes.value_or(0);
  if (total_ > options_.max_bytes) {
    refuse("has " + stage::human_bytes(total_) + ", more than the " +
           stage::human_bytes(options_.max_bytes) + " allowed for a file");
  }
  if (whole) part_.restart(validator(response_.etag, response_.modified));
  check_space();
}

void Transfer::body(std::span<const std::byte> data) {
  if (!begun_) begin_body();
  if (!wanted_) {
    unwanted_ += data.size();
    if (unwanted_ > kMaxUnwanted) refuse("answers with a page without end");
    return;
  }
  const uint64_t limit = total_ != 0 ? total_ : options_.max_bytes;
  if (data.size() > limit - std::min(limit, part_.bytes()))
    refuse("sends more than the " + std::to_string(limit) + " bytes that it may have");
  part_.append(data);
  if (part_.bytes() >= next_check_) check_space();
  if (options_.progress) options_.progress(part_.bytes(), total_);
}

void Transfer::check_space() {
  next_check_ = part_.bytes() + kSpaceCheck;
  if (total_ == 0) return;
  const uint64_t needed = total_ - part_.bytes() + (options_.twice_the_space ? total_ : 0);
  const uint64_t free = options_.free_bytes();
  if (free >= needed) return;
  refuse("needs " + stage::human_bytes(needed) + " of disk space, and " + stage::human_bytes(free) +
             " are free",
         "free some and run again: what has come is kept");
}

void Transfer::refuse(const std::string& problem, const std::string& advice) const {
  throw Error(shown_url(url_), problem, advice);
}

TransferResult Transfer::judge(CURLcode code) {
  const std::string message = message_[0] != '\0' ? message_.data() : curl_easy_strerror(code);
  if (code == CURLE_FILE_COULDNT_READ_FILE)
    throw NotFound(shown_url(url_), "there is no such file");
  if (code != CURLE_OK && may_go_better(code)) {
    problem_ = message;
    return TransferResult::kBroken;
  }
  if (code == CURLE_TOO_MANY_REDIRECTS) refuse("redirects without end");
  if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE)
    refuse("its certificate cannot be trusted: " + message,
           "is the clock right, and ca-certificates installed?");
  if (code != CURLE_OK) refuse(message);
  return judge_status(status());
}

TransferResult Transfer::judge_status(long code) {
  const std::string answer = "the server answers " + std::to_string(code);
  problem_ = answer;
  if (code == 404 || code == 410) throw NotFound(shown_url(url_), answer + ": no such file");
  if (code == 408 || code == 429 || code >= 500) return TransferResult::kBroken;
  if (code == 416) {
    const bool all_there = part_.bytes() > 0 && response_.range_total == part_.bytes();
    return all_there ? TransferResult::kComplete : TransferResult::kNoSuchRange;
  }
  if (code == 206 && !wanted_) return TransferResult::kNoSuchRange;
  if (!wanted_) refuse(answer, code == 401 || code == 403 ? "it may want to be logged in to" : "");
  if (total_ != 0 && part_.bytes() < total_) {
    problem_ = "the server sent " + std::to_string(part_.bytes()) + " of " +
               std::to_string(total_) + " bytes";
    return TransferResult::kBroken;
  }
  return TransferResult::kComplete;
}

}  // namespace parley::store
