#include "parley/tests/cli/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cctype>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace parley::test {

namespace {

HttpRequest parse_request(const std::string& head) {
  std::istringstream lines(head);
  HttpRequest request;
  std::string method;
  lines >> method >> request.target;
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line) && line != "\r") {
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    std::string name = line.substr(0, colon);
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    const size_t value = line.find_first_not_of(' ', colon + 1);
    request.headers[name] = line.substr(value, line.find('\r') - value);
  }
  return request;
}

}  // namespace

HttpServer::HttpServer(HttpHandler handler)
    : handler_(std::move(handler)), socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* name = reinterpret_cast<sockaddr*>(&address);
  if (socket_ < 0 || ::bind(socket_, name, size) != 0 || ::listen(socket_, 16) != 0 ||
      ::getsockname(socket_, name, &size) != 0)
    throw std::runtime_error("no server socket");
  port_ = ntohs(address.sin_port);
  thread_ = std::jthread([this] { serve(); });
}

HttpServer::~HttpServer() {
  ending_ = true;
  ::shutdown(socket_, SHUT_RDWR);  // ends accept()
  thread_.join();
  connections_.clear();
  ::close(socket_);
}

std::string HttpServer::url() const { return "http://127.0.0.1:" + std::to_string(port_); }

std::vector<HttpRequest> HttpServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

void HttpServer::serve() {
  while (!ending_) {
    const int connection = ::accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection >= 0) connections_.emplace_back([this, connection] { answer(connection); });
  }
}

void HttpServer::answer(int connection) {
  std::string head;
  char buffer[4096];
  while (head.find("\r\n\r\n") == std::string::npos) {
    const ssize_t got = ::recv(connection, buffer, sizeof buffer, 0);
    if (got <= 0) break;
    head.append(buffer, static_cast<size_t>(got));
  }
  const HttpRequest request = parse_request(head);
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back(request);
  }
  const std::string bytes = handler_(request);
  for (size_t sent = 0; sent < bytes.size();) {
    const ssize_t put = ::send(connection, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (put <= 0) break;
    sent += static_cast<size_t>(put);
  }
  ::shutdown(connection, SHUT_WR);
  while (::recv(connection, buffer, sizeof buffer, 0) > 0) continue;  // until they have all of it
  ::close(connection);
}

std::string http_answer(const std::string& status, const std::string& body,
                        const std::string& headers) {
  return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
         headers + "Connection: close\r\n\r\n" + body;
}

std::string http_file(const HttpRequest& request, const std::string& content,
                      const std::string& etag) {
  const std::string version = "ETag: " + etag + "\r\n";
  const auto range = request.headers.find("range");
  const auto condition = request.headers.find("if-range");
  const bool same = condition == request.headers.end() || condition->second == etag;
  if (range == request.headers.end() || !same) return http_answer("200 OK", content, version);
  const size_t first = std::stoul(range->second.substr(6));  // "bytes=FIRST-"
  const std::string total = std::string("/").append(std::to_string(content.size())) + "\r\n";
  if (first >= content.size())
    return http_answer("416 Range Not Satisfiable", "", "Content-Range: bytes *" + total);
  return http_answer("206 Partial Content", content.substr(first),
                     version + "Content-Range: bytes " + std::to_string(first) + "-" +
                         std::to_string(content.size() - 1) + total);
}

}  // namespace parley::test
