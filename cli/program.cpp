#include "parley/cli/program.h"

#include <csignal>
#include <cstdio>

#include "parley/core/base/error.h"
#include "parley/core/model/manifest.h"

namespace parley::cli {

namespace {

volatile std::sig_atomic_t interrupts = 0;  // a signal handler can reach nothing else

void count_interrupt(int) { interrupts = 1; }

}  // namespace

void watch_interrupts() {
  struct sigaction action = {};
  action.sa_handler = count_interrupt;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() { return interrupts != 0; }

void print_error(const std::string& program, const std::string& message) {
  std::fflush(stdout);  // results that are already there come first
  std::fprintf(stderr, "%s: %s\n", program.c_str(), message.c_str());
}

std::string version() { return std::string(stage::runtime_version()); }

int run_program(CLI::App& app, int argc, char** argv, const std::function<int()>& body,
                ExitCode failure) {
  const std::string program = app.get_name();
  try {
    app.parse(argc, argv);
    const int code = body();
    if (std::fflush(stdout) == 0) return code;
    print_error(program, "cannot write to standard output");
    return kSomeFailed;
  } catch (const CLI::Success& help) {  // --help, --version
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    print_error(program, std::string(error.what()) + " (see " + program + " --help)");
    return kWrongUsage;
  } catch (const UsageError& error) {
    print_error(program, std::string(error.what()) + " (see " + program + " --help)");
    return kWrongUsage;
  } catch (const ModelError& error) {
    print_error(program, error.what());
    return kCannotLoadModel;
  } catch (const Stopped&) {
    return kInterrupted;
  } catch (const std::exception& error) {
    print_error(program, error.what());
    return failure;
  }
}

}  // namespace parley::cli
