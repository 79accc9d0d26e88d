// model.json and stage.json from outside: what is accepted is written and read back as the same, or
// refused with Error.
#include <cstdint>
#include <string_view>

#include "parley/core/base/error.h"
#include "parley/core/model/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto check = [&](const auto& parse) {
    nlohmann::json written;
    try {
      written = to_json(parse(text, "fuzz"));
    } catch (const parley::Error&) {
      return;
    }
    if (to_json(parse(written.dump(), "written")) != written) __builtin_trap();
  };
  check(parley::stage::parse_model_manifest);
  check(parley::stage::parse_stage_manifest);
  return 0;
}
