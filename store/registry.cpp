#include "parley/store/registry.h"

#include <algorithm>
#include <set>

#include "parley/core/base/error.h"
#include "parley/core/base/file.h"
#include "parley/core/model/json.h"
#include "parley/core/model/manifest.h"

namespace parley::store {

namespace {

constexpr size_t kMaxModels = 4096;
constexpr size_t kMaxFiles = 256;
constexpr size_t kMaxUrl = 2048;
constexpr size_t kMaxText = 256;
constexpr int64_t kMaxBytes = int64_t{1} << 40;

std::string line(const stage::Fields& fields, const std::string& key) {
  std::string text = fields.string(key);
  const bool shown =
      std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  if (text.size() > kMaxText || !shown) fields.refuse(key, "must be one short line");
  return text;
}

std::string parse_url(const stage::Fields& fields, bool digest_known) {
  std::string url = fields.string("url");
  const bool plain =
      std::all_of(url.begin(), url.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (url.size() > kMaxUrl || !plain) fields.refuse("url", "is not a URL");
  if (url.starts_with("http://") && !digest_known)
    fields.refuse("url", "must be https: as long as the file's sha256 is not known");
  if (!url.starts_with("https://") && !url.starts_with("http://") && !url.starts_with("file:///"))
    fields.refuse("url", "must begin with https://, http:// or file:///");
  return url;
}

SourceFile parse_file(const stage::Fields& fields) {
  SourceFile file;
  file.file = fields.string("file");
  stage::check_inside(file.file, fields.where() + ": field 'file'");
  if (fields.has("bytes"))
    file.bytes = static_cast<uint64_t>(fields.integer("bytes", 0, kMaxBytes));
  if (fields.has("sha256")) {
    file.sha256 = fields.string("sha256");
    if (!stage::is_sha256(file.sha256)) fields.refuse("sha256", "must be 64 hexadecimal digits");
  }
  file.url = parse_url(fields, !file.sha256.empty());
  if (fields.has("optional")) file.optional = fields.boolean("optional");
  return file;
}

// A file of the model, or a folder that has one; empty when the field is not there.
std::string parse_part(const stage::Fields& fields, const std::string& key,
                       const std::vector<SourceFile>& files) {
  if (!fields.has(key)) return "";
  std::string part = fields.string(key);
  const bool known = part == "." || std::any_of(files.begin(), files.end(), [&](const auto& file) {
                       return file.file == part || file.file.starts_with(part + "/");
                     });
  if (part.empty() || !known) fields.refuse(key, "names none of the files: '" + part + "'");
  return part;
}

RegisteredModel parse_model(const stage::Fields& fields) {
  RegisteredModel model;
  model.name = fields.string("name");
  if (!stage::is_model_name(model.name))
    fields.refuse("name", "must be a name of letters, digits, '.', '_' and '-'");
  const stage::Fields named(fields.json(), fields.where() + ": " + model.name);
  model.kind = named.string("kind");
  if (model.kind != "stt" && model.kind != "tts" && model.kind != "vad")
    named.refuse("kind", "must be stt, tts or vad");
  model.licence = line(named, "licence");
  model.about = line(named, "about");
  model.page = line(named, "page");
  std::set<std::string> names;
  for (const nlohmann::json& file : named.array("files", kMaxFiles)) {
    model.files.push_back(parse_file(stage::Fields(file, named.where() + ": files")));
    if (!names.insert(model.files.back().file).second)
      named.refuse("files", "has two named '" + model.files.back().file + "'");
  }
  named.string("source");  // required, unlike the others
  model.source = parse_part(named, "source", model.files);
  model.tokenizer = parse_part(named, "tokenizer", model.files);
  model.vocoder = parse_part(named, "vocoder", model.files);
  model.voices = parse_part(named, "voices", model.files);
  return model;
}

}  // namespace

Registry parse_registry(std::string_view text, const std::string& where) {
  const nlohmann::json json = stage::parse_json(text, where);
  const stage::Fields fields(json, where);
  Registry registry;
  std::set<std::string> names;
  for (const nlohmann::json& model : fields.array("models", kMaxModels)) {
    registry.push_back(parse_model(stage::Fields(model, where)));
    if (!names.insert(registry.back().name).second)
      fields.refuse("models", "has two named '" + registry.back().name + "'");
  }
  return registry;
}

Registry read_registry(const std::filesystem::path& path) {
  return parse_registry(read_file(path, stage::JsonLimits{}.bytes), path.string());
}

const RegisteredModel* find_registered(const Registry& registry, std::string_view name) {
  const auto found = std::find_if(registry.begin(), registry.end(),
                                  [&](const auto& model) { return model.name == name; });
  return found == registry.end() ? nullptr : &*found;
}

std::string similar_name(const Registry& registry, std::string_view name) {
  std::string best;
  for (const RegisteredModel& model : registry) {
    const bool similar = model.name.ends_with(name) || name.ends_with(model.name);
    if (similar && (best.empty() || model.name.size() < best.size())) best = model.name;
  }
  return best;
}

}  // namespace parley::store
