// From a checkpoint's tensors to the files of a model folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "parley/convert/checkpoint.h"
#include "parley/convert/convert.h"
#include "parley/core/model/manifest.h"
#include "parley/core/model/named_shape.h"
#include "parley/core/model/safetensors.h"

namespace parley::stage {

// Takes a checkpoint's tensors stage by stage and counts what is done.
class WeightsWriter {
 public:
  // Both must outlive the writer.
  WeightsWriter(const Checkpoint& checkpoint, const ConvertOptions& options)
      : checkpoint_(checkpoint), options_(options) {}

  // The tensors of one stage ("encoder") with the types that they will be stored as: vectors and
  // position embeddings as f32, others as the options say. Throws Error when one is missing or of
  // another shape.
  std::vector<TensorInfo> plan(const std::string& stage, const std::vector<NamedShape>& expected);
  // Throws Error when the checkpoint has tensors that no stage took, or fewer bytes than they need.
  void check_all_taken() const;
  // Writes what plan() said to folder/weights.safetensors.
  FileDigest write(const std::string& stage, const std::vector<TensorInfo>& tensors,
                   const std::filesystem::path& folder);

 private:
  const SourceTensor& source(const std::string& stage, const std::string& name) const;

  const Checkpoint& checkpoint_;
  const ConvertOptions& options_;
  std::set<std::string> taken_;
  ConvertProgress progress_;
};

inline constexpr const char* kWeightsFile = "weights.safetensors";

// f32 values as `dtype` (f32, f16, bf16), in place; returns their bytes. Throws Error named by
// `where` for infinities, NaN, and what f16 cannot hold.
std::span<const std::byte> narrow(std::span<float> values, nn::DType dtype,
                                  const std::string& where);

FileDigest write_text(const std::filesystem::path& folder, const std::string& name,
                      const std::string& text);
void write_json(const std::filesystem::path& folder, const std::string& name,
                const nlohmann::json& json);

// The field `source` of model.json.
nlohmann::json source_facts(const Checkpoint& checkpoint, const std::filesystem::path& source);

// The digest of a source: its file's, or for several that of the lines "<file name> <sha256>".
std::string digest_of(const std::vector<std::filesystem::path>& files);

// "openai_whisper-tiny.en.pt" -> "openai_whisper-tiny.en": a name that a manifest accepts.
std::string default_model_name(const std::filesystem::path& source);

}  // namespace parley::stage
