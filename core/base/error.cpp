#include "parley/core/base/error.h"

namespace parley {

namespace {

std::string join(const std::string& where, const std::string& problem, const std::string& advice) {
  std::string text = where.empty() ? problem : where + ": " + problem;
  if (!advice.empty()) text += " (" + advice + ")";
  return text;
}

}  // namespace

Error::Error(const std::string& where, const std::string& problem, const std::string& advice)
    : std::runtime_error(join(where, problem, advice)) {}

}  // namespace parley
