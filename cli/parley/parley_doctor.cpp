#include <openssl/crypto.h>
#include <zip.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "parley/cli/parley/parley_commands.h"
#include "parley/cli/program.h"
#include "parley/core/model/inspect.h"
#include "parley/core/model/packed_cache.h"
#include "parley/core/nn/attention.h"
#include "parley/core/nn/cpu/isa.h"
#include "parley/core/nn/weight.h"
#include "parley/store/model_lookup.h"

namespace parley::cli {

CLI::App* add_doctor(CLI::App& app) {
  return app.add_subcommand("doctor", "Show CPU features, chosen kernels, libraries, models");
}

namespace {

void line(const char* what, const std::string& text) {
  std::printf("%-10s %s\n", what, text.c_str());
}

// Of a published Whisper model with --precision auto.
void print_kernels() {
  constexpr int64_t kHeadDim = 64;
  constexpr int64_t kPositions = 1500;
  const auto kernel = [](const char* what, const char* part, std::string_view name, nn::Isa isa) {
    line(what, std::string(part) + ": " + std::string(name) + ", " + std::string(nn::name_of(isa)));
  };
  const nn::Compute many = nn::compute_for(nn::Precision::kAuto, nn::Rows::kMany);
  const nn::Compute few = nn::compute_for(nn::Precision::kAuto, nn::Rows::kFew);
  const nn::AttentionKernel attention = nn::self_attention_kernel(many, kHeadDim, kPositions);
  kernel("kernels", "encoder's products", nn::name_of(many), nn::isa_of(many));
  kernel("", "encoder's attention", attention.name, attention.isa);
  kernel("", "decoder's rows and vocabulary", nn::name_of(few), nn::isa_of(few));
}

std::string describe_cache() {
  const auto cache = stage::PackedCache::for_user();
  if (!cache) return "off: weights are packed at every start";
  const std::string refusal = cache->refusal();
  const std::string where = cache->folder().string();
  if (!refusal.empty()) return where + ", not used: it " + refusal;
  return stage::human_bytes(cache->bytes()) + " of packed weights in " + where;
}

}  // namespace

int run_doctor() {
  line("parley", version());
  line("cpu", nn::describe_cpu());
  print_kernels();
  line("libraries", nn::describe_libraries());
  line("", std::string("libzip ") + zip_libzip_version() + ", " + OpenSSL_version(OPENSSL_VERSION));
  const store::ModelStore store = store::model_store();
  line("models", "in " + store.folder().string());
  for (const store::InstalledModel& model : store.list())
    line("", model.name + ", " + stage::human_bytes(model.bytes));
  for (const std::string& name : store::embedded_models().names())
    line("", name + ", comes with Parley");
  line("cache", describe_cache());
  return kAllGood;
}

}  // namespace parley::cli
