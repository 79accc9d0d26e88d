// Options with values, as all programs read and refuse them.
#pragma once

#include <CLI/CLI.hpp>
#include <array>
#include <charconv>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "parley/cli/program.h"
#include "parley/core/base/parse_number.h"
#include "parley/core/nn/weight.h"

namespace parley::cli {

// As short as it can be read back.
template <typename Number>
std::string shown(Number value) {
  std::array<char, 64> text;
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
}

// --name N: a number from min to max. The default is shown unless `show_default` is false.
template <typename Number>
CLI::Option* add_number(CLI::App& app, const std::string& name, Number& target, Number min,
                        Number max, const std::string& description, bool show_default = true) {
  const auto read = [&target, name, min, max](const std::string& text) {
    const auto value = parse_number<Number>(text);
    if (!value || !(*value >= min && *value <= max)) {
      throw UsageError(name + ": '" + text + "' is not a number from " + shown(min) + " to " +
                       shown(max));
    }
    target = *value;
  };
  const std::string preset = show_default ? "  [" + shown(target) + "]" : "";
  return app.add_option_function<std::string>(name, read, description + preset)
      ->type_name(std::is_integral_v<Number> ? "N" : "X");
}

// --name a|b|c
template <typename Value>
CLI::Option* add_choice(CLI::App& app, const std::string& name, Value& target,
                        std::vector<std::pair<std::string, Value>> choices,
                        const std::string& description) {
  std::string names;
  std::string preset;
  for (const auto& [choice, value] : choices) {
    if (!names.empty()) names += '|';
    names += choice;
    if (value == target) preset = choice;
  }
  const auto read = [&target, name, names, choices](const std::string& text) {
    for (const auto& [choice, value] : choices) {
      if (choice == text) return void(target = value);
    }
    throw UsageError(name + ": '" + text + "' is not one of " + names);
  };
  if (!preset.empty()) preset = "  [" + preset + "]";
  return app.add_option_function<std::string>(name, read, description + preset)->type_name(names);
}

// --precision and --threads, as all computing programs have them. computed: what is.
inline void add_machine(CLI::App& app, nn::Precision& precision, int& threads,
                        const std::string& computed = "Arithmetic to compute in",
                        bool int8 = true) {
  std::vector<std::pair<std::string, nn::Precision>> choices = {
      {"auto", nn::Precision::kAuto}, {"f32", nn::Precision::kF32}, {"bf16", nn::Precision::kBF16}};
  if (int8) choices.emplace_back("int8", nn::Precision::kInt8);
  add_choice(app, "--precision", precision, std::move(choices), computed);
  add_number(app, "--threads", threads, 1, 1024, "Threads to compute with  [all processors]",
             false);
}

template <typename Read>
CLI::Option* add_text(CLI::App& app, const std::string& name, const std::string& type,
                      const Read& read, const std::string& description) {
  return app.add_option_function<std::string>(name, read, description)->type_name(type);
}

}  // namespace parley::cli
