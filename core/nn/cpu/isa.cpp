#include "parley/core/nn/cpu/isa.h"

#include <hwy/highway.h>

#include <cstdlib>
#include <fstream>
#include <thread>

#include "parley/core/base/error.h"
#include "parley/core/nn/cpu/onednn.h"

namespace parley::nn {

namespace {

Isa requested_limit() {
  const char* text = std::getenv("PARLEY_MAX_ISA");
  if (text == nullptr || *text == '\0') return Isa::kAmx;
  for (const Isa isa : {Isa::kGeneric, Isa::kAvx2, Isa::kAvx512, Isa::kVnni, Isa::kAmx}) {
    if (name_of(isa) == text) return isa;
  }
  throw Error("PARLEY_MAX_ISA", std::string("unknown instruction set '") + text + "'",
              "use generic, avx2, avx512, vnni or amx");
}

// Highway's targets above `isa` are switched off.
void limit_highway(Isa isa) {
  int64_t disabled = 0;
  if (isa < Isa::kAvx512) disabled |= HWY_AVX3 | HWY_AVX3_DL;
  if (isa < Isa::kAvx2) disabled |= HWY_AVX2;
  if (disabled != 0) hwy::DisableTargets(disabled);
}

Isa choose() {
  const Isa limit = requested_limit();
  const Isa chosen = std::min(onednn::limit_isa(limit), limit);
  limit_highway(chosen);
  return chosen;
}

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) == 0 && line.find(": ") != std::string::npos)
      return line.substr(line.find(": ") + 2);
  }
  return "unknown processor";
}

}  // namespace

Isa isa() {
  static const Isa chosen = choose();
  return chosen;
}

std::string_view name_of(Isa isa) {
  switch (isa) {
    case Isa::kGeneric:
      return "generic";
    case Isa::kAvx2:
      return "avx2";
    case Isa::kAvx512:
      return "avx512";
    case Isa::kVnni:
      return "vnni";
    case Isa::kAmx:
      return "amx";
  }
  return "?";
}

std::string describe_cpu() {
  return cpu_model() + ", " + std::to_string(std::thread::hardware_concurrency()) +
         " processors, instruction set " + std::string(name_of(isa()));
}

std::string describe_libraries() {
  return "oneDNN " + onednn::version() + ", Highway " + std::to_string(HWY_MAJOR) + "." +
         std::to_string(HWY_MINOR) + "." + std::to_string(HWY_PATCH);
}

}  // namespace parley::nn
