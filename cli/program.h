// What all programs share: exit codes, error messages, the version.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <stdexcept>
#include <string>

namespace parley::cli {

enum ExitCode : int {
  kAllGood = 0,
  kSomeFailed = 1,  // some inputs could not be processed
  kWrongUsage = 2,  // unknown options, impossible combinations
  kCannotLoadModel = 3,
  kInterrupted = 130,  // stopped by a signal; finished outputs are complete
};

// Wrong usage that CLI11 cannot see: unknown values, options that exclude each other.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// "parley: tiny.en: model.json: field 'name' is missing" on standard error.
void print_error(const std::string& program, const std::string& message);

// "0.1.0"
std::string version();

// From now on SIGINT and SIGTERM only set interrupted(), once; the second one ends the program as
// usual.
void watch_interrupts();
bool interrupted();

// Parses the command line, then runs `body`, which returns the exit code. Help and the version go
// to standard output with code 0. Errors are printed, and become codes: wrong usage 2,
// parley::Stopped 130, every other exception `failure`.
int run_program(CLI::App& app, int argc, char** argv, const std::function<int()>& body,
                ExitCode failure = kSomeFailed);

// Thrown by load_model(); run_program() makes exit code 3 of it.
class ModelError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Runs `load` and passes its result on; when it throws, the program ends with kCannotLoadModel.
template <typename Load>
auto load_model(const Load& load) {
  try {
    return load();
  } catch (const std::exception& error) {
    throw ModelError(error.what());
  }
}

}  // namespace parley::cli
