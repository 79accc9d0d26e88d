// Unbuffered output: what a call has written is out, and what it cannot write is an error.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace parley::cli {

// Whoever read our output has enough (head, a pager that was left): no reason to complain.
class ClosedPipe : public std::runtime_error {
 public:
  ClosedPipe() : std::runtime_error("the reader of the output has closed it") {}
};

// Throws ClosedPipe when nobody reads any more (SIGPIPE must be ignored), else Error naming
// `where`.
void write_all(int descriptor, std::string_view bytes, const std::string& where);

// For the user who names a file to write: a regular file is replaced atomically; pipes and devices
// are written to as they are; "-" is standard output.
void write_named(const std::string& file, std::string_view bytes);

}  // namespace parley::cli
