#include <openssl/crypto.h>
#include <zip.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/model_lookup.h"
#include "cli/parley_commands.h"
#include "cli/program.h"
#include "nn/isa.h"
#include "stage/inspect.h"

namespace parley::cli {

CLI::App* add_doctor(CLI::App& app) {
  return app.add_subcommand("doctor", "Show CPU features, chosen kernels, libraries, models");
}

int run_doctor() {
  const auto line = [](const char* what, const std::string& text) {
    std::printf("%-10s %s\n", what, text.c_str());
  };
  line("parley", version());
  line("cpu", nn::describe_cpu());
  line("kernels", std::string(nn::name_of(nn::isa())));
  line("libraries", nn::describe_libraries());
  line("", std::string("libzip ") + zip_libzip_version() + ", " + OpenSSL_version(OPENSSL_VERSION));
  const stage::ModelStore store = model_store();
  line("models", "in " + store.folder().string());
  for (const stage::InstalledModel& model : store.list())
    line("", model.name + ", " + stage::human_bytes(model.bytes));
  for (const std::string& name : embedded_models().names()) line("", name + ", comes with Parley");
  return kAllGood;
}

}  // namespace parley::cli
