// parley: models converted, inspected, validated, and the machine examined.
#include "parley/cli/parley/parley_commands.h"
#include "parley/cli/program.h"

namespace parley::cli {

namespace {

void check_command(CLI::App& app, int argc, char** argv) {
  const std::string command = argc < 2 ? "" : argv[1];
  if (command.empty() || command[0] == '-') return;
  const auto named = [&](CLI::App* known) { return known->get_name() == command; };
  if (app.get_subcommands(named).empty()) throw UsageError("there is no command '" + command + "'");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Converts models, says what is in them, and examines this machine.", "parley");
  app.set_version_flag("--version", "parley " + version());
  app.require_subcommand(1);
  app.get_formatter()->column_width(32);
  ConvertArguments convert_arguments;
  CompressArguments compress_arguments;
  InspectArguments inspect_arguments;
  ValidateArguments validate_arguments;
  ProfileArguments profile_arguments;
  CLI::App* convert = add_convert(app, convert_arguments);
  CLI::App* compress = add_compress(app, compress_arguments);
  CLI::App* inspect = add_inspect(app, inspect_arguments);
  ModelsArguments models_arguments;
  CLI::App* models = add_models(app, models_arguments);
  CLI::App* validate = add_validate(app, validate_arguments);
  CLI::App* profile = add_profile(app, profile_arguments);
  CLI::App* doctor = add_doctor(app);
  try {
    check_command(app, argc, argv);
  } catch (const UsageError& error) {
    print_error("parley", std::string(error.what()) + " (see parley --help)");
    return kWrongUsage;
  }
  return run_program(app, argc, argv, [&] {
    if (convert->parsed()) return run_convert(convert_arguments);
    if (compress->parsed()) return run_compress(compress_arguments);
    if (inspect->parsed()) return run_inspect(inspect_arguments);
    if (models->parsed()) return run_models(*models, models_arguments);
    if (validate->parsed()) return run_validate(validate_arguments);
    if (profile->parsed()) return run_profile(profile_arguments);
    if (doctor->parsed()) return run_doctor();
    return static_cast<int>(kWrongUsage);
  });
}

}  // namespace parley::cli

int main(int argc, char** argv) { return parley::cli::main(argc, argv); }
