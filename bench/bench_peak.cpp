// What this processor can do at most: multiplications and additions a second by every instruction
// set and arithmetic that the kernels use, in loops that stay in the registers, and what it reads
// from memory. Two operations are one product added. All processors at once, the best of several
// tries. Prints one JSON object:
// {"gflops": {"avx2": {"f32": 140.2, "int8": 410.3}, ...}, "memory_gbytes": 18.6, "threads": 2}
#include <immintrin.h>
#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <vector>

#include "parley/bench/measure.h"
#include "parley/core/nn/cpu/isa.h"

namespace {

using parley::nn::Isa;

constexpr int kTries = 7;
constexpr int64_t kRounds = 1'000'000;
constexpr int kSums = 10;  // two a cycle of four or five cycles each, and 16 registers hold them

// A function that adds `operation` of x to each of kSums vectors, kRounds times, and returns how
// many operations that were; each of them does `count`. Empty assembly keeps it all in
// registers and in the loop.
#define PARLEY_LOOP(name, set, Vector, operation, count)                        \
  [[gnu::target(set)]] double name() {                                          \
    Vector sums[kSums] = {};                                                    \
    Vector x = {};                                                              \
    for (int64_t round = 0; round < kRounds; ++round) {                         \
      _Pragma("GCC unroll 10") for (Vector & sum : sums) {                      \
        asm volatile("" : "+v"(x)); /* nothing is known of x, each time anew */ \
        sum = operation;                                                        \
        asm volatile("" : "+v"(sum));                                           \
      }                                                                         \
    }                                                                           \
    return double{count} * kSums * kRounds;                                     \
  }

PARLEY_LOOP(f32_generic, "sse4.1", __m128, _mm_add_ps(sum, _mm_mul_ps(x, x)), 2 * 4)
PARLEY_LOOP(f32_avx2, "avx2,fma", __m256, _mm256_fmadd_ps(x, x, sum), 2 * 8)
PARLEY_LOOP(f32_avx512, "avx512f", __m512, _mm512_fmadd_ps(x, x, sum), 2 * 16)
PARLEY_LOOP(int8_avx2, "avx2", __m256i,
            _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(x, x), x)), 2 * 32)
PARLEY_LOOP(int8_avx512, "avx512bw", __m512i,
            _mm512_add_epi32(sum, _mm512_madd_epi16(_mm512_maddubs_epi16(x, x), x)), 2 * 64)
PARLEY_LOOP(int8_vnni, "avx512vnni", __m512i, _mm512_dpbusd_epi32(sum, x, x), 2 * 64)
#undef PARLEY_LOOP

// Tiles of 16 rows of 64 bytes: four of sums, two of each operand.
struct alignas(64) TileShapes {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

#define PARLEY_TILES(name, set, operation, depth)            \
  [[gnu::target(set)]] double name() {                       \
    const TileShapes shapes;                                 \
    _tile_loadconfig(&shapes);                               \
    for (int64_t round = 0; round < kRounds / 16; ++round) { \
      operation(0, 4, 6);                                    \
      operation(1, 4, 7);                                    \
      operation(2, 5, 6);                                    \
      operation(3, 5, 7);                                    \
    }                                                        \
    _tile_release();                                         \
    return 4. * 2 * 16 * 16 * depth * (kRounds / 16);        \
  }

PARLEY_TILES(int8_amx, "amx-tile,amx-int8", _tile_dpbusd, 64)
PARLEY_TILES(bf16_amx, "amx-tile,amx-bf16", _tile_dpbf16ps, 32)
#undef PARLEY_TILES

// What all processors do a second of `loop`, which returns how many operations it did; best of
// kTries.
double best_rate(const std::function<double(int thread)>& loop) {
  double best = 0;
  for (int i = 0; i < kTries; ++i) {
    double operations = 0;
    const parley::bench::Clock clock;
#pragma omp parallel reduction(+ : operations)
    operations += loop(omp_get_thread_num());
    best = std::max(best, operations / clock.seconds());
  }
  return best;
}

double memory_rate() {
  constexpr size_t kWords = size_t{128} << 17;  // 128 MB a thread: no cache holds them
  std::vector<std::vector<uint64_t>> words(static_cast<size_t>(omp_get_max_threads()));
#pragma omp parallel
  words[static_cast<size_t>(omp_get_thread_num())].assign(kWords, 1);
  return best_rate([&](int thread) {
    const auto& own = words[static_cast<size_t>(thread)];
    const uint64_t sum = std::reduce(own.begin(), own.end());
    return sum == kWords ? double{sizeof(uint64_t)} * kWords : 0.;
  });
}

}  // namespace

int main() try {
  struct Loop {
    Isa isa;
    const char* arithmetic;
    double (*run)();
  };
  constexpr Loop kLoops[] = {
      {Isa::kGeneric, "f32", f32_generic}, {Isa::kAvx2, "f32", f32_avx2},
      {Isa::kAvx2, "int8", int8_avx2},     {Isa::kAvx512, "f32", f32_avx512},
      {Isa::kAvx512, "int8", int8_avx512}, {Isa::kVnni, "int8", int8_vnni},
      {Isa::kAmx, "int8", int8_amx},       {Isa::kAmx, "bf16", bf16_amx},
  };
  nlohmann::ordered_json result;
  for (const Loop& loop : kLoops) {
    if (loop.isa > parley::nn::isa()) continue;
    const double rate = best_rate([&](int) { return loop.run(); });
    result["gflops"][std::string(parley::nn::name_of(loop.isa))][loop.arithmetic] = rate * 1e-9;
  }
  result["memory_gbytes"] = memory_rate() * 1e-9;
  result["threads"] = omp_get_max_threads();
  std::cout << result.dump() << "\n";
} catch (const std::exception& error) {
  std::cerr << "bench_peak: " << error.what() << "\n";
  return 1;
}
