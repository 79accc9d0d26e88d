#include "parley/core/model/json.h"

#include "parley/core/base/error.h"
#include "parley/core/base/file.h"

namespace parley::stage {

nlohmann::json parse_json(std::string_view text, const std::string& where,
                          const JsonLimits& limits) {
  if (text.size() > limits.bytes) {
    throw Error(where, "is larger than " + std::to_string(limits.bytes) + " bytes of JSON");
  }
  size_t values = 0;
  const auto within_limits = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    if (depth > limits.depth) throw Error(where, "JSON is nested too deeply");
    if (++values > limits.values) throw Error(where, "JSON has too many values");
    return true;
  };
  nlohmann::json json;
  try {
    json = nlohmann::json::parse(text, within_limits);
  } catch (const nlohmann::json::exception& error) {
    throw Error(where, std::string("is not valid JSON: ") + error.what());
  }
  if (!json.is_object()) throw Error(where, "must hold a JSON object");
  return json;
}

nlohmann::json read_json(const std::filesystem::path& path, const JsonLimits& limits) {
  return parse_json(read_file(path, limits.bytes), path.string(), limits);
}

bool to_integer(const nlohmann::json& value, int64_t& out) {
  if (value.is_number_unsigned()) {
    const auto number = value.get<uint64_t>();
    if (number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return false;
    out = static_cast<int64_t>(number);
    return true;
  }
  if (!value.is_number_integer()) return false;
  out = value.get<int64_t>();
  return true;
}

Fields::Fields(const nlohmann::json& object, std::string where)
    : object_(&object), where_(std::move(where)) {
  if (!object.is_object()) throw Error(where_, "must be a JSON object");
}

void Fields::refuse(const std::string& key, const std::string& problem) const {
  throw Error(where_, "field '" + key + "' " + problem);
}

bool Fields::has(const std::string& key) const {
  const auto found = object_->find(key);
  return found != object_->end() && !found->is_null();
}

const nlohmann::json& Fields::at(const std::string& key) const {
  const auto found = object_->find(key);
  if (found == object_->end()) refuse(key, "is missing");
  return *found;
}

int64_t Fields::integer(const std::string& key, int64_t min, int64_t max) const {
  int64_t value = 0;
  if (!to_integer(at(key), value)) refuse(key, "must be an integer");
  if (value < min || value > max) {
    refuse(key, "is " + std::to_string(value) + ", not between " + std::to_string(min) + " and " +
                    std::to_string(max));
  }
  return value;
}

double Fields::number(const std::string& key, double min, double max) const {
  const nlohmann::json& value = at(key);
  if (!value.is_number()) refuse(key, "must be a number");
  const auto number = value.get<double>();
  if (!(number >= min && number <= max)) {
    refuse(key, "is " + value.dump() + ", not between " + std::to_string(min) + " and " +
                    std::to_string(max));
  }
  return number;
}

bool Fields::boolean(const std::string& key) const {
  const nlohmann::json& value = at(key);
  if (!value.is_boolean()) refuse(key, "must be true or false");
  return value.get<bool>();
}

std::string Fields::string(const std::string& key) const {
  const nlohmann::json& value = at(key);
  if (!value.is_string()) refuse(key, "must be a string");
  return value.get<std::string>();
}

std::vector<int64_t> Fields::integers(const std::string& key, int64_t min, int64_t max) const {
  std::vector<int64_t> values;
  for (const nlohmann::json& element : array(key, size_t{1} << 20)) {
    int64_t value = 0;
    if (!to_integer(element, value) || value < min || value > max) {
      refuse(key,
             "must hold integers between " + std::to_string(min) + " and " + std::to_string(max));
    }
    values.push_back(value);
  }
  return values;
}

const nlohmann::json& Fields::array(const std::string& key, size_t max_size) const {
  const nlohmann::json& value = at(key);
  if (!value.is_array()) refuse(key, "must be a list");
  if (value.size() > max_size) {
    refuse(key, "has more than " + std::to_string(max_size) + " elements");
  }
  return value;
}

Fields Fields::object(const std::string& key) const {
  const nlohmann::json& value = at(key);
  if (!value.is_object()) refuse(key, "must be an object");
  return {value, where_ + ": " + key};
}

}  // namespace parley::stage
