#include "parley/pipeline/evaluation/profiler.h"

#include <algorithm>

namespace parley::pipeline {

void Profiler::layer(const std::string&, const nn::Tensor&) {}

void Profiler::operation(const nn::Operation& operation, double seconds) {
  if (!operation.name.empty()) part_ = operation.name.substr(0, operation.name.rfind('.'));
  const std::string& layer = operation.name.empty() ? part_ : operation.name;
  ProfileRow& row = rows_[{layer, operation.kind, operation.kernel}];
  if (row.calls++ == 0) {
    row.layer = layer;
    row.operation = operation.kind;
    row.kernel = operation.kernel;
    row.isa = operation.isa;
  }
  row.seconds += seconds;
  row.flops += operation.flops;
  row.bytes += operation.bytes;
}

std::vector<ProfileRow> Profiler::rows() const {
  std::vector<ProfileRow> rows;
  for (const auto& [key, row] : rows_) rows.push_back(row);
  std::stable_sort(rows.begin(), rows.end(),
                   [](const ProfileRow& a, const ProfileRow& b) { return a.seconds > b.seconds; });
  return rows;
}

double Profiler::seconds() const {
  double total = 0;
  for (const auto& [key, row] : rows_) total += row.seconds;
  return total;
}

}  // namespace parley::pipeline
