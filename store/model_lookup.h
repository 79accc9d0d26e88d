// Where the programs find a model that the user names, or does not name.
#pragma once

#include <filesystem>
#include <string>

#include "parley/store/model_store.h"
#include "parley/store/registry.h"

namespace parley::store {

// The speech model that comes with the programs.
inline constexpr const char* kEmbeddedSpeechModel = "parley-mini-en";

// The user's models (ModelStore::default_folder()). Throws Error when it is not known where.
ModelStore model_store();

// $PARLEY_REGISTRY, else data/models/registry.json of the source tree or of the installation.
// Throws Error when there is none.
Registry model_registry();

// Models that come with the programs; not to be changed.
ModelStore embedded_models();

// What to do about a model that is not there: "install it: parley models pull whisper-tiny.en".
std::string install_advice(const std::string& name);

// The folder of the model of `kind` ("stt") that is used when none is named: of the installed
// models that can be opened the one with most bytes of weights, which is marked as used, else the
// one embedded with the programs, data/models/<embedded> in the source tree or
// share/parley/models/<embedded> of the installation. Empty when there is none.
std::filesystem::path default_model(const std::string& kind, const std::string& embedded);

// The folder of a model. name_or_folder: a folder that exists, or the name of an installed model,
// which is marked as used. Empty: default_model(kind, embedded). Throws Error saying what to do
// when there is none.
std::filesystem::path find_model(const std::string& name_or_folder, const std::string& kind,
                                 const std::string& embedded);

// Whether `folder` is the one embedded with the programs: small, and good enough to begin with.
bool is_embedded_model(const std::filesystem::path& folder, const std::string& embedded);

}  // namespace parley::store
