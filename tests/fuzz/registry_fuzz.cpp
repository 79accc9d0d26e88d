// A registry from outside: what is accepted names only files inside the checkpoint's folder and
// URLs of known schemes; the rest is refused with Error.
#include <cstdint>
#include <filesystem>
#include <string_view>

#include "parley/core/base/error.h"
#include "parley/core/model/manifest.h"
#include "parley/store/registry.h"

namespace {

void require(bool holds) {
  if (!holds) __builtin_trap();
}

void check(const parley::store::RegisteredModel& model) {
  require(parley::stage::is_model_name(model.name));
  for (const parley::store::SourceFile& file : model.files) {
    const auto path = (std::filesystem::path("/a") / file.file).lexically_normal();
    require(path.string().starts_with("/a/"));
    require(file.url.starts_with("https://") || file.url.starts_with("file:///") ||
            (file.url.starts_with("http://") && !file.sha256.empty()));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto registry =
        parley::store::parse_registry({reinterpret_cast<const char*>(data), size}, "fuzz");
    for (const parley::store::RegisteredModel& model : registry) check(model);
  } catch (const parley::Error&) {
  }
  return 0;
}
