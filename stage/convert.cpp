#include "stage/convert.h"

#include "base/error.h"
#include "stage/folder_writer.h"
#include "stage/hifigan.h"
#include "stage/json.h"
#include "stage/weights_writer.h"
#include "stage/whisper_convert.h"

namespace parley::stage {

namespace {

namespace fs = std::filesystem;

// model_type of a folder's config.json; empty when the source is a file, or does not say.
std::string architecture(const fs::path& source) {
  const fs::path path = source / "config.json";
  if (!fs::is_regular_file(path)) return "";
  const nlohmann::json config = read_json(path);
  const Fields fields(config, path.string());
  return fields.has("model_type") ? fields.string("model_type") : "";
}

ModelManifest convert_into(const fs::path& source, const FolderWriter& folder,
                           const ConvertOptions& options) {
  if (is_hifigan(source)) return convert_hifigan(source, folder, options);
  const std::string type = architecture(source);
  if (type.empty() || type == "whisper") return convert_whisper(source, folder, options);
  throw Error((source / "config.json").string(),
              "field 'model_type' is '" + type + "'; known: whisper, hifigan");
}

}  // namespace

void convert(const fs::path& source, const fs::path& destination, const ConvertOptions& options) {
  if (fs::exists(source / "model.json")) throw Error(source.string(), "is a model folder already");
  FolderWriter folder(destination, "model.json");
  ModelManifest model = convert_into(source, folder, options);
  model.name = options.name.empty() ? default_model_name(source) : options.name;
  const std::string manifest = to_json(model).dump(2) + "\n";
  parse_model_manifest(manifest,
                       options.name.empty() ? destination.string() : "--name " + options.name);
  write_text(folder.path(), "model.json", manifest);
  folder.commit();
}

}  // namespace parley::stage
