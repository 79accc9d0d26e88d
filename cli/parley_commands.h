// The commands of the parley program: each adds itself to the command line and runs, returning the
// exit code.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>
#include <vector>

namespace parley::cli {

struct ConvertArguments {
  std::filesystem::path source;
  std::filesystem::path output;
  std::string name;
  std::string weights = "f16";
  std::filesystem::path tokenizer;
  std::filesystem::path vocoder;
  std::filesystem::path voices;
  bool quiet = false;
};
CLI::App* add_convert(CLI::App& app, ConvertArguments& arguments);
int run_convert(const ConvertArguments& arguments);

struct InspectArguments {
  std::filesystem::path model;
};
CLI::App* add_inspect(CLI::App& app, InspectArguments& arguments);
int run_inspect(const InspectArguments& arguments);

struct CompressArguments {
  std::filesystem::path model;
  std::filesystem::path output;
  std::string weights;
  std::string granularity;  // empty: what suits the weights
  std::vector<std::string> keep;
  int threads = 0;
  bool quiet = false;
};
CLI::App* add_compress(CLI::App& app, CompressArguments& arguments);
int run_compress(const CompressArguments& arguments);

struct ModelsArguments {
  std::string name;
  std::string max_size;
  bool accept_changed = false;
  bool quiet = false;
};
CLI::App* add_models(CLI::App& app, ModelsArguments& arguments);
int run_models(const CLI::App& models, const ModelsArguments& arguments);

CLI::App* add_doctor(CLI::App& app);
int run_doctor();

}  // namespace parley::cli
