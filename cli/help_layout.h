#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <utility>

namespace parley::cli {

// CLI11's layout without empty lines between groups and without negated flags, so that the help
// fits on a screen.
class HelpLayout : public CLI::Formatter {
 public:
  std::string make_help(const CLI::App* app, std::string name,
                        CLI::AppFormatMode mode) const override {
    std::string text = CLI::Formatter::make_help(app, std::move(name), mode);
    for (size_t at; (at = text.find("\n\n")) != std::string::npos;) text.erase(at, 1);
    return text;
  }
  std::string make_option_name(const CLI::Option* option, bool positional) const override {
    const std::string name = CLI::Formatter::make_option_name(option, positional);
    return name.substr(0, name.find(",--no-"));
  }
};

}  // namespace parley::cli
