// The commands of the parley program: each adds itself to the command line and runs, returning the
// exit code.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "parley/core/nn/weight.h"

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
struct ValidateArguments {
  std::string model;
  std::filesystem::path against;  // golden tensors
  std::string reference;          // another model
  std::filesystem::path input;    // a recording for the stages
  std::filesystem::path manifest;
  size_t limit = 0;  // rows of the manifest; 0: all
  std::string listener;
  std::string language = "en";
  int beam = 5;
  bool layers = false;
  std::optional<double> max_error;
  std::optional<double> max_wer_delta;  // points of a hundred
  std::optional<double> max_mcd;
  std::optional<double> min_snr;
  std::string json;
  nn::Precision precision = nn::Precision::kAuto;
  int threads = 0;
  bool quiet = false;
};
CLI::App* add_validate(CLI::App& app, ValidateArguments& arguments);
int run_validate(const ValidateArguments& arguments);

struct ProfileArguments {
  std::string model;
  std::filesystem::path input;
  int top = 20;
  int beam = 5;
  std::string json;
  nn::Precision precision = nn::Precision::kAuto;
  int threads = 0;
};
CLI::App* add_profile(CLI::App& app, ProfileArguments& arguments);
int run_profile(const ProfileArguments& arguments);

CLI::App* add_doctor(CLI::App& app);
int run_doctor();

}  // namespace parley::cli
