#include "parley/core/model/inspect.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>

namespace parley::stage {

namespace {

std::string shape_of(const Port& port) {
  std::string text = "[";
  for (const Dimension& dimension : port.shape) {
    if (text.size() > 1) text += ", ";
    text += dimension.str();
  }
  return text + "]";
}

void add_ports(std::string& text, const char* kind, const std::vector<Port>& ports) {
  for (const Port& port : ports) {
    std::array<char, 256> line;
    std::snprintf(line.data(), line.size(), "  %-8s %-14s %-28s %s\n", kind, port.name.c_str(),
                  shape_of(port).c_str(), std::string(nn::name_of(port.dtype)).c_str());
    text += line.data();
  }
}

struct Storage {
  size_t tensors = 0;
  int64_t elements = 0;
  uint64_t bytes = 0;

  void add(const Storage& other) {
    tensors += other.tensors;
    elements += other.elements;
    bytes += other.bytes;
  }
};

std::string describe(const Storage& storage) {
  std::array<char, 128> line;
  std::snprintf(line.data(), line.size(), "%5zu tensors %14lld elements  %s", storage.tensors,
                static_cast<long long>(storage.elements), human_bytes(storage.bytes).c_str());
  return line.data();
}

// Tensors by how they are stored: what the manifest says of compressed ones, else their dtype.
std::map<std::string, Storage> by_storage(const Stage& stage) {
  std::map<std::string, const StoredTensor*> compressed;
  for (const StoredTensor& tensor : stage.manifest().compression) compressed[tensor.name] = &tensor;
  std::map<std::string, Storage> result;
  const Safetensors& weights = stage.weights();
  for (const std::string& name : weights.names()) {
    const auto packed = compressed.find(name);
    const bool plain = packed == compressed.end();
    const nn::Shape& shape = plain ? weights.shape(name) : packed->second->shape;
    result[plain ? weights.dtype(name) : std::string(nn::name_of(packed->second->storage))].add(
        {1, shape.elements(), weights.bytes(name).size()});
  }
  return result;
}

}  // namespace

std::string human_bytes(uint64_t bytes) {
  constexpr std::array kUnits = {"B", "kB", "MB", "GB", "TB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1000 && unit + 1 < kUnits.size(); ++unit) value /= 1000;
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text.data();
}

std::string inspect(const Model& model) {
  const ModelManifest& manifest = model.manifest();
  std::string text = model.name() + " " + manifest.version + ", " + model.kind() + "\n";
  if (!manifest.licence.empty()) text += "licence  " + manifest.licence + "\n";
  text += "digest   " + model.digest() + "\n";
  Storage total;
  for (const Stage& stage : model.stages()) {
    text += "\n" + stage.name() + " (" + stage.kind() + " " + stage.manifest().version + ")\n";
    add_ports(text, "input", stage.manifest().inputs);
    add_ports(text, "output", stage.manifest().outputs);
    add_ports(text, "state", stage.manifest().states);
    if (!stage.has_weights()) continue;
    for (const auto& [name, storage] : by_storage(stage)) {
      text += "  stored   " + name + std::string(name.size() < 14 ? 14 - name.size() : 0, ' ') +
              describe(storage) + "\n";
      total.add(storage);
    }
  }
  return text + "\ntotal                  " + describe(total) + "\n";
}

}  // namespace parley::stage
