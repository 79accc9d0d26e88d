// The one error type that the library throws.
#pragma once

#include <stdexcept>
#include <string>

namespace parley {

// Says where (a path, a tensor, a stage; may be empty), what went wrong, and what the user can do
// about it. what() reads "where: problem (advice)".
class Error : public std::runtime_error {
 public:
  Error(const std::string& where, const std::string& problem, const std::string& advice = "");
};

// The work was stopped through the caller's stop token. Everything finished before it remains
// valid.
class Stopped : public Error {
 public:
  Stopped() : Error("", "stopped") {}
};

}  // namespace parley
