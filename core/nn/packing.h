// What packing weights needs beside the weights.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "parley/core/nn/tensor.h"
#include "parley/core/nn/thread_team.h"

namespace parley::nn {

// Packed parts that an earlier process kept, or that are kept for a later one
// (core/model/packed_cache.h).
class KeptParts {
 public:
  virtual ~KeptParts() = default;
  // The parts kept under `key`; none unless all are there and have these sizes in bytes.
  virtual std::vector<Buffer> take(const std::string& key, std::span<const size_t> sizes) = 0;
  // They were just packed, and are not written to any more.
  virtual void keep(const std::string& key, std::vector<Buffer> parts) = 0;
};

struct Packing {
  // NOLINTNEXTLINE(google-explicit-constructor): a team alone is enough
  Packing(ThreadTeam& threads, KeptParts* parts = nullptr) : team(threads), kept(parts) {}

  ThreadTeam& team;  // shares the work
  KeptParts* kept;   // or null
};

}  // namespace parley::nn
