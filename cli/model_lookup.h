// Where the programs find a model that the user names, or does not name.
#pragma once

#include <filesystem>
#include <string>

namespace parley::cli {

// $XDG_DATA_HOME/parley/models, else ~/.local/share/parley/models; empty when neither is known.
std::filesystem::path installed_models_folder();

// The folder of a model of `kind` ("stt"). name_or_folder: a folder that exists, or the name of an
// installed model. Empty: of the installed models that can be opened the one with most bytes of
// weights, else the one embedded with the programs, data/models/<embedded> in the source tree or
// share/parley/models/<embedded> of the installation. Throws Error saying what to do when there is
// none.
std::filesystem::path find_model(const std::string& name_or_folder, const std::string& kind,
                                 const std::string& embedded);

// Whether `folder` is the one embedded with the programs: small, and good enough to begin with.
bool is_embedded_model(const std::filesystem::path& folder, const std::string& embedded);

}  // namespace parley::cli
