// model.bin of CTranslate2 from outside: what parses can be read; what does not throws Error.
#include <cstdint>
#include <span>
#include <string>

#include "parley/convert/ctranslate2.h"
#include "parley/convert/ctranslate2_file.h"
#include "parley/core/base/error.h"
#include "parley/tests/fuzz/checkpoint.h"

namespace {

constexpr uint32_t kMaxRead = 1 << 16;  // elements of one variable; a Whisper whole is rare here

void read_variables(std::span<const std::byte> file) {
  std::vector<float> values;
  for (const auto& [name, variable] : parley::stage::read_ct2_variables(file, "fuzz")) {
    const int64_t elements = variable.shape.elements();
    if (elements == 0) continue;
    if (variable.shape.rank() == 0) {
      try {
        parley::stage::ct2_integer(variable, "fuzz");
      } catch (const parley::Error&) {
      }
      continue;
    }
    if (variable.type == parley::stage::Ct2Type::kI32 || elements > kMaxRead) continue;
    const int64_t rows = variable.shape[0];
    const auto tensor = parley::stage::ct2_rows(variable, {}, rows / 2, rows - rows / 2);
    values.resize(static_cast<size_t>(tensor->shape().elements()));
    tensor->read(0, values);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto file = std::as_bytes(std::span(data, size));
  try {
    read_variables(file);
    parley::fuzz::read_all(parley::stage::parse_ctranslate2(file, "fuzz"));
  } catch (const parley::Error&) {
  }
  return 0;
}
