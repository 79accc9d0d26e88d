#include "parley/cli/recommend.h"

#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "parley/cli/program.h"
#include "parley/core/model/packed_cache.h"

namespace parley::cli {

namespace {

namespace fs = std::filesystem;

// Whether this is not the first time within a day; from now on it is not.
bool told_today(const std::string& program) {
  const fs::path folder = stage::user_cache_folder();
  if (folder.empty()) return false;
  const fs::path stamp = folder / (program + "-advice");
  std::error_code error;
  const auto told = fs::last_write_time(stamp, error);
  const auto now = fs::file_time_type::clock::now();
  if (!error && told <= now && now - told < std::chrono::hours(24)) return true;
  fs::create_directories(folder, error);
  std::ofstream file(stamp, std::ios::trunc);
  return false;
}

}  // namespace

void recommend(const std::string& program, const std::string& advice) {
  if (::isatty(STDERR_FILENO) == 0 || told_today(program)) return;
  print_error(program, advice);
}

}  // namespace parley::cli
