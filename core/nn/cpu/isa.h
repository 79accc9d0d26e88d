// The instruction set, chosen once per process.
#pragma once

#include <string>
#include <string_view>

namespace parley::nn {

// Each level includes those before it. kGeneric is any x86-64 (SSE4 where the CPU has it). kAvx512
// has F, BW, DQ, VL; kVnni adds VNNI (8-bit dot products); kAmx adds BF16 and the AMX tiles for
// bf16 and int8.
enum class Isa { kGeneric, kAvx2, kAvx512, kVnni, kAmx };

// The best level that the CPU, the operating system, the environment variable PARLEY_MAX_ISA
// (generic | avx2 | avx512 | vnni | amx) and oneDNN's own limit (ONEDNN_MAX_CPU_ISA) allow. oneDNN
// and Highway are held to the same level. Throws Error when PARLEY_MAX_ISA has another value.
Isa isa();

// "generic", "avx2", "avx512", "vnni", "amx".
std::string_view name_of(Isa isa);

// One line for people: the CPU's name, its cores, the chosen level, and the libraries' versions.
std::string describe_cpu();
std::string describe_libraries();

}  // namespace parley::nn
