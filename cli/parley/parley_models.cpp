#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <optional>

#include "parley/cli/option_values.h"
#include "parley/cli/parley/parley_commands.h"
#include "parley/cli/program.h"
#include "parley/cli/progress_bar.h"
#include "parley/core/base/error.h"
#include "parley/core/model/inspect.h"
#include "parley/core/model/model.h"
#include "parley/store/model_lookup.h"
#include "parley/store/pull.h"

namespace parley::cli {

namespace {

// "4GB", "500 MB", "1.5GiB", "0"
uint64_t parse_size(const std::string& text) {
  constexpr std::array<std::pair<std::string_view, double>, 9> kUnits = {{{"B", 1},
                                                                          {"kB", 1e3},
                                                                          {"MB", 1e6},
                                                                          {"GB", 1e9},
                                                                          {"TB", 1e12},
                                                                          {"KiB", 1024.},
                                                                          {"MiB", 1048576.},
                                                                          {"GiB", 1073741824.},
                                                                          {"", 1}}};
  const size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  const auto number = parse_number<double>(std::string_view(text).substr(0, digits));
  const std::string unit = text.substr(std::min(text.find_first_not_of(' ', digits), text.size()));
  for (const auto& [name, factor] : kUnits) {
    if (number && unit == name && *number * factor < 1e18)
      return static_cast<uint64_t>(*number * factor);
  }
  throw UsageError("--max-size: '" + text + "' is not a size like 4GB or 500MB");
}

bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0' && std::string_view(value) != "0";
}

std::string text_of(const char* variable) {
  const char* value = std::getenv(variable);
  return value == nullptr ? "" : value;
}

std::string day(std::chrono::system_clock::time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm local{};
  std::array<char, 16> text{};
  ::localtime_r(&seconds, &local);
  std::strftime(text.data(), text.size(), "%Y-%m-%d", &local);
  return text.data();
}

void print_row(const std::string& name, const std::string& kind, const std::string& bytes,
               const std::string& licence, const std::string& more) {
  std::printf("%-19s %-4s %9s  %-11s %s\n", name.c_str(), kind.c_str(), bytes.c_str(),
              licence.empty() ? "-" : licence.c_str(), more.c_str());
}

void print_model(const store::InstalledModel& installed, const std::string& more) {
  const std::string bytes = stage::human_bytes(installed.bytes);
  try {
    const stage::Model model = stage::Model::open(installed.path);
    print_row(installed.name, model.kind(), bytes, model.manifest().licence, more);
  } catch (const Error&) {
    print_row(installed.name, "?", bytes, "", "damaged: parley models verify " + installed.name);
  }
}

int list() {
  const store::ModelStore store = store::model_store();
  std::printf("installed in %s:\n", store.folder().c_str());
  for (const store::InstalledModel& model : store.list())
    print_model(model, "used " + day(model.last_used));
  std::printf("\ncome with Parley:\n");
  for (const store::InstalledModel& model : store::embedded_models().list()) print_model(model, "");
  std::printf("\nparley models pull NAME installs:\n");
  for (const store::RegisteredModel& model : store::model_registry()) {
    if (!store.contains(model.name))
      print_row(model.name, model.kind, "", model.licence, model.about);
  }
  return kAllGood;
}

const store::RegisteredModel& registered(const store::Registry& registry, const std::string& name) {
  if (const store::RegisteredModel* model = find_registered(registry, name)) return *model;
  const std::string similar = similar_name(registry, name);
  throw Error(name, "is not in the registry",
              similar.empty() ? "parley models list shows what is; parley convert takes any "
                                "checkpoint that you have"
                              : "is it " + similar + "?");
}

int pull_model(const ModelsArguments& arguments) {
  const store::Registry registry = store::model_registry();
  const store::RegisteredModel& model = registered(registry, arguments.name);
  const store::ModelStore store = store::model_store();
  watch_interrupts();
  std::optional<ProgressBar> bar;
  const auto show = [&](uint64_t done, uint64_t total, const std::string& what) {
    if (!bar) bar.emplace(arguments.quiet);
    bar->show(done, total, what);
  };
  const auto say = [&](const std::string& text) {
    bar.reset();  // takes it away
    std::fprintf(stderr, "parley: %s\n", text.c_str());
  };
  store::PullOptions options{.mirror = text_of("PARLEY_MIRROR"),
                             .offline = is_set("PARLEY_OFFLINE"),
                             .accept_changed = arguments.accept_changed};
  options.download.stopped = interrupted;
  options.download.notice = say;
  options.downloading = [&](const store::SourceFile& file, uint64_t done, uint64_t total) {
    if (total != 0) show(done, total, file.file + ", " + stage::human_bytes(total));
  };
  options.converting = [&](const stage::ConvertProgress& progress) {
    show(progress.done_bytes, progress.total_bytes, "converting " + progress.tensor);
  };
  const store::PullResult result = store::pull(model, store, options);
  bar.reset();
  if (!arguments.quiet) {
    say(model.name +
        (result == store::PullResult::kInstalled ? ": installed in " : ": is installed in ") +
        store.path(model.name).string());
  }
  return kAllGood;
}

void require_installed(const store::ModelStore& store, const std::string& name) {
  if (store.contains(name)) return;
  throw ModelError(
      Error(name, "is not installed in " + store.folder().string(), store::install_advice(name))
          .what());
}

int remove_model(const std::string& name) {
  const store::ModelStore store = store::model_store();
  const bool downloads = store.has_work(name);
  if (!downloads) require_installed(store, name);  // without making a lock for it
  watch_interrupts();
  const auto waiting = [&] { print_error("parley", name + ": is being installed; waiting"); };
  const store::StoreLock lock = store.lock(name, waiting, interrupted);
  store.remove(name);
  return kAllGood;
}

int verify(const std::string& name) {
  const store::ModelStore store = store::model_store();
  if (!name.empty()) require_installed(store, name);
  int code = kAllGood;
  for (const std::string& each : name.empty() ? store.names() : std::vector{name}) {
    try {
      stage::Model::open(store.path(each)).verify();
      std::printf("%s: all digests are right\n", each.c_str());
    } catch (const Error& error) {
      print_error("parley", each + ": " + error.what());
      code = kSomeFailed;
    }
  }
  return code;
}

int path_of(const std::string& name) {
  const store::ModelStore store = store::model_store();
  require_installed(store, name);
  std::printf("%s\n", store.path(name).c_str());
  return kAllGood;
}

// Pulled, and the registry still says from where: another pull gives the same.
bool can_be_pulled(const store::Registry& registry, const store::InstalledModel& installed) {
  const store::RegisteredModel* known = find_registered(registry, installed.name);
  if (known == nullptr || known->files.empty()) return false;
  try {
    const stage::Model model = stage::Model::open(installed.path);
    const nlohmann::json& source = model.manifest().source;
    return source.contains("url") && source["url"] == known->files.front().url;
  } catch (const Error&) {
    return false;
  }
}

int prune_store(const std::string& max_size) {
  const uint64_t max_bytes = parse_size(max_size);
  const store::Registry registry = store::model_registry();
  const store::PruneResult result =
      store::prune(store::model_store(), max_bytes,
                   [&](const auto& model) { return can_be_pulled(registry, model); });
  for (const store::InstalledModel& model : result.removed)
    std::printf("%s: removed, %s\n", model.name.c_str(), stage::human_bytes(model.bytes).c_str());
  std::printf("%s remain\n", stage::human_bytes(result.bytes).c_str());
  if (result.bytes <= max_bytes) return kAllGood;
  std::string kept;
  for (const std::string& name : result.kept) {
    if (!kept.empty()) kept += ", ";
    kept += name;
  }
  print_error("parley", "kept, because parley models pull would not bring them back: " + kept);
  return kSomeFailed;
}

}  // namespace

CLI::App* add_models(CLI::App& app, ModelsArguments& arguments) {
  CLI::App* models = app.add_subcommand("models", "Install, list, check and remove models");
  models->require_subcommand(1);
  models->add_subcommand("list", "What is installed, and what can be");
  CLI::App* pull = models->add_subcommand("pull", "Download a public checkpoint and convert it");
  pull->add_flag("--accept-changed", arguments.accept_changed,
                 "Files may differ from those of the first download");
  pull->add_flag("--quiet", arguments.quiet, "No progress bar");
  CLI::App* remove = models->add_subcommand("remove", "Remove a model and its downloads");
  CLI::App* verify = models->add_subcommand("verify", "Compare all files with their digests");
  CLI::App* path = models->add_subcommand("path", "Show where a model is");
  for (CLI::App* command : {pull, remove, path})
    command->add_option("NAME", arguments.name, "Of a model (parley models list)")->required();
  verify->add_option("NAME", arguments.name, "Of a model  [all]");
  models->add_subcommand("prune", "Remove the models not used for longest, and downloads")
      ->add_option("--max-size", arguments.max_size, "What may remain: 4GB, 500MB, ...")
      ->required();
  models->footer(
      "Models lie in $XDG_DATA_HOME/parley/models, else ~/.local/share/parley/models.\n"
      "PARLEY_MIRROR=URL   files come from URL/HOST/PATH instead; also file:///FOLDER\n"
      "PARLEY_OFFLINE=1    nothing comes from the network\n"
      "PARLEY_REGISTRY=FILE  another list of models (docs/formats.md)\n"
      "http_proxy, https_proxy, no_proxy, CURL_CA_BUNDLE   as curl has them");
  return models;
}

int run_models(const CLI::App& models, const ModelsArguments& arguments) {
  const std::string command = models.get_subcommands().front()->get_name();
  if (command == "list") return list();
  if (command == "pull") return pull_model(arguments);
  if (command == "remove") return remove_model(arguments.name);
  if (command == "verify") return verify(arguments.name);
  if (command == "path") return path_of(arguments.name);
  return prune_store(arguments.max_size);
}

}  // namespace parley::cli
