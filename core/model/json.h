// JSON from outside: bounded while it is read, and refused by naming the file and the field.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace parley::stage {

struct JsonLimits {
  size_t bytes = size_t{4} << 20;
  size_t values = size_t{1} << 20;  // numbers, strings, objects... in the whole document
  int depth = 16;
};

// Parses `text`, which must be an object. `where` (a path) begins every error message.
nlohmann::json parse_json(std::string_view text, const std::string& where,
                          const JsonLimits& limits = {});
nlohmann::json read_json(const std::filesystem::path& path, const JsonLimits& limits = {});

// A typed view of one JSON object. Every getter throws Error naming `where` and the field when it
// is missing, has another type, or is out of range. The object must outlive the view.
class Fields {
 public:
  Fields(const nlohmann::json& object, std::string where);

  bool has(const std::string& key) const;  // present and not null
  const nlohmann::json& at(const std::string& key) const;
  int64_t integer(const std::string& key, int64_t min = 0,
                  int64_t max = std::numeric_limits<int64_t>::max()) const;
  double number(const std::string& key, double min, double max) const;
  bool boolean(const std::string& key) const;
  std::string string(const std::string& key) const;
  // A list of integers in [min, max].
  std::vector<int64_t> integers(const std::string& key, int64_t min, int64_t max) const;
  const nlohmann::json& array(const std::string& key, size_t max_size) const;
  Fields object(const std::string& key) const;

  const nlohmann::json& json() const { return *object_; }
  const std::string& where() const { return where_; }
  [[noreturn]] void refuse(const std::string& key, const std::string& problem) const;

 private:
  const nlohmann::json* object_;
  std::string where_;
};

// True and the value when `value` is an integer that int64_t can hold.
bool to_integer(const nlohmann::json& value, int64_t& out);

}  // namespace parley::stage
