// A small HTTP server on 127.0.0.1 that does what a test wants, lies and broken connections too;
// which is why it is no library's.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace parley::test {

struct HttpRequest {
  std::string target;                          // "/host/file"
  std::map<std::string, std::string> headers;  // names in lower case
  bool has(const std::string& name) const { return headers.contains(name); }
};

// The bytes of a whole answer: status line, headers, body. Then the connection is closed.
using HttpHandler = std::function<std::string(const HttpRequest&)>;

class HttpServer {
 public:
  explicit HttpServer(HttpHandler handler);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::string url() const;                    // "http://127.0.0.1:PORT"
  std::vector<HttpRequest> requests() const;  // so far

 private:
  void serve();
  void answer(int connection);

  HttpHandler handler_;
  int socket_ = -1;
  int port_ = 0;
  std::atomic<bool> ending_ = false;
  mutable std::mutex mutex_;
  std::vector<HttpRequest> requests_;
  std::vector<std::jthread> connections_;
  std::jthread thread_;
};

// "HTTP/1.1 200 OK" with Content-Length, these header lines ("Name: value\r\n"...) and the body.
std::string http_answer(const std::string& status, const std::string& body,
                        const std::string& headers = "");
// What a good server answers: the rest that was asked for if `etag` is what If-Range says, or all.
std::string http_file(const HttpRequest& request, const std::string& content,
                      const std::string& etag = "\"1\"");

}  // namespace parley::test
