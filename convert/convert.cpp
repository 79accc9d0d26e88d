#include "parley/convert/convert.h"

#include <algorithm>

#include "parley/convert/foreign_source.h"
#include "parley/convert/hifigan_convert.h"
#include "parley/convert/silero_convert.h"
#include "parley/convert/speecht5_convert.h"
#include "parley/convert/voices_convert.h"
#include "parley/convert/weights_writer.h"
#include "parley/convert/whisper_convert.h"
#include "parley/core/base/error.h"
#include "parley/core/model/folder_writer.h"
#include "parley/core/model/hifigan.h"
#include "parley/core/model/json.h"
#include "parley/core/model/mel_contract.h"
#include "parley/core/model/model.h"
#include "parley/core/model/voices.h"

namespace parley::stage {

namespace {

namespace fs = std::filesystem;

constexpr const char* kVocoder = "vocoder";
constexpr const char* kVoices = "voices";
constexpr const char* kMelDecoder = "mel_decoder";

bool has_stage(const ModelManifest& model, const std::string& name) {
  return std::find(model.stages.begin(), model.stages.end(), name) != model.stages.end();
}

// model_type of a folder's config.json; empty when the source is a file, or does not say.
std::string architecture(const fs::path& source) {
  const fs::path path = source / "config.json";
  if (!fs::is_regular_file(path)) return "";
  const nlohmann::json config = read_json(path);
  const Fields fields(config, path.string());
  return fields.has("model_type") ? fields.string("model_type") : "";
}

void copy_stage(const Model& model, const std::string& name, const FolderWriter& folder) {
  const Stage& stage = model.stage(name);
  const fs::path target = folder.subfolder(name);
  fs::copy_file(model.path() / name / "stage.json", target / "stage.json");
  if (const auto& weights = stage.manifest().weights)
    fs::copy_file(model.path() / name / weights->file, target / weights->file);
}

// A text-to-speech model but for the stages that will come from elsewhere.
ModelManifest copy_model(const fs::path& source, const FolderWriter& folder,
                         const ConvertOptions& options) {
  const Model model = Model::open(source);
  if (model.kind() != "tts" || (options.vocoder.empty() && options.voices.empty())) {
    throw Error(source.string(), "is a model folder already",
                model.kind() == "tts" ? "name what to exchange: --vocoder, --voices" : "");
  }
  ModelManifest manifest = model.manifest();
  std::erase_if(manifest.stages, [&](const std::string& name) {
    return (name == kVocoder && !options.vocoder.empty()) ||
           (name == kVoices && !options.voices.empty());
  });
  for (const std::string& name : manifest.stages) copy_stage(model, name, folder);
  for (const FileDigest& file : manifest.files) {
    fs::create_directories((folder.path() / file.file).parent_path());
    fs::copy_file(source / file.file, folder.path() / file.file);
  }
  return manifest;
}

// The stages of one checkpoint.
ModelManifest convert_into(const fs::path& source, const FolderWriter& folder,
                           const ConvertOptions& options) {
  if (const auto silero = find_silero(source)) return convert_silero(*silero, folder, options);
  if (is_hifigan(source)) return convert_hifigan(source, folder, options);
  refuse_foreign_source(source);
  const std::string type = architecture(source);
  if (type == "speecht5") return convert_speecht5(source, folder, options);
  if (type.empty() || type == "whisper") return convert_whisper(source, folder, options);
  throw Error((source / "config.json").string(),
              "field 'model_type' is '" + type + "'; known: whisper, speecht5, hifigan");
}

void add_vocoder(ModelManifest& model, const FolderWriter& folder, const ConvertOptions& options) {
  if (fs::exists(options.vocoder / "model.json")) {
    const Model source = Model::open(options.vocoder);
    mel_contract(source.stage(kVocoder));  // refused under the name that its owner knows
    copy_stage(source, kVocoder, folder);
  } else if (is_hifigan(options.vocoder)) {
    convert_hifigan(options.vocoder, folder, options);
  } else {
    throw Error(options.vocoder.string(), "is not a vocoder that is known");
  }
  model.stages.emplace_back(kVocoder);
}

void add_voices(ModelManifest& model, const FolderWriter& folder, const ConvertOptions& options) {
  const fs::path path = folder.path() / kMelDecoder / "stage.json";
  const nlohmann::json decoder = read_json(path);
  const Fields config = Fields(decoder, path.string()).object("config");
  write_voices(folder,
               read_voices(options.voices, config.integer("speaker_embedding_dim", 1, 1 << 14)));
  model.stages.emplace_back(kVoices);
}

void check_parts(const fs::path& folder, const fs::path& vocoder) {
  const Model model = Model::open(folder);
  if (!model.has_stage(kVocoder) || !model.has_stage(kMelDecoder)) return;
  require_same_mel(model.stage(kMelDecoder), model.stage(kVocoder), vocoder.string());
}

}  // namespace

void convert(const fs::path& source, const fs::path& destination, const ConvertOptions& options) {
  FolderWriter folder(destination, "model.json");
  const bool exchange = fs::exists(source / "model.json");
  ModelManifest model =
      exchange ? copy_model(source, folder, options) : convert_into(source, folder, options);
  if (!has_stage(model, kMelDecoder) && !(options.vocoder.empty() && options.voices.empty())) {
    throw Error(source.string(), "takes neither vocoder nor voices: it is no text-to-speech model");
  }
  if (!options.vocoder.empty()) add_vocoder(model, folder, options);
  if (!options.voices.empty()) add_voices(model, folder, options);
  if (!options.name.empty()) model.name = options.name;
  if (model.name.empty()) model.name = default_model_name(source);
  if (model.licence.empty()) model.licence = options.licence;
  if (!options.url.empty()) model.source["url"] = options.url;
  const std::string manifest = to_json(model).dump(2) + "\n";
  parse_model_manifest(manifest,
                       options.name.empty() ? destination.string() : "--name " + options.name);
  write_text(folder.path(), "model.json", manifest);
  if (model.kind == "tts") check_parts(folder.path(), options.vocoder);
  folder.commit();
}

}  // namespace parley::stage
