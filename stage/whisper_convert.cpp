#include "stage/whisper_convert.h"

#include <cstring>
#include <string_view>
#include <unordered_map>

#include "base/error.h"
#include "base/file.h"
#include "stage/ggml.h"
#include "stage/gguf.h"
#include "stage/openai.h"
#include "stage/weights_writer.h"
#include "stage/whisper_folder.h"
#include "stage/whisper_stages.h"
#include "text/tokenizer.h"

namespace parley::stage {

namespace {

namespace fs = std::filesystem;

WhisperCheckpoint open_checkpoint(const fs::path& source) {
  if (fs::is_directory(source)) return open_whisper_folder(source);
  const MappedFile file(source);
  const auto starts_with = [&](std::string_view magic) {
    return file.bytes().size() >= magic.size() &&
           std::memcmp(file.bytes().data(), magic.data(), magic.size()) == 0;
  };
  if (starts_with("lmgg")) return open_ggml(source);
  if (starts_with("GGUF")) return open_gguf(source);
  if (starts_with("PK") || starts_with("\x80\x02")) return open_openai(source);
  const bool safetensors = source.extension() == ".safetensors";
  throw Error(source.string(), "is not a checkpoint that can be converted",
              safetensors ? "give the folder that holds it and its config.json"
                          : "known are Hugging Face folders, .pt files of openai/whisper, "
                            "ggml-*.bin files of whisper.cpp, and GGUF files");
}

// How many tokens stand for the same bytes as another: some writers of ggml files put U+FFFD where
// a token's bytes are no whole characters.
size_t count_lost(const std::vector<std::string>& vocabulary) {
  std::unordered_map<std::string_view, size_t> counts;
  for (const std::string& token : vocabulary) ++counts[token];
  size_t lost = 0;
  for (const auto& [token, count] : counts) lost += count > 1 ? count : 0;
  return lost;
}

text::Tokenizer open_tokenizer(const fs::path& source, const WhisperCheckpoint& checkpoint,
                               const ConvertOptions& options) {
  const fs::path& option = options.tokenizer;
  const auto vocab_size = static_cast<int>(checkpoint.dims.vocab_size);
  text::Tokenizer tokenizer = [&] {
    if (!option.empty()) return text::Tokenizer::from_path(option, vocab_size);
    if (!checkpoint.vocabulary.empty()) {
      const size_t lost = count_lost(checkpoint.vocabulary);
      if (lost > 0 && options.notice) {
        options.notice(checkpoint.where + ": the bytes of " + std::to_string(lost) +
                       " tokens are lost; for text beyond ASCII name the model's tokenizer.json, "
                       ".tiktoken file or folder with --tokenizer");
      }
      return text::Tokenizer::from_ranks(checkpoint.vocabulary, vocab_size, checkpoint.where);
    }
    if (fs::is_directory(source)) return text::Tokenizer::from_folder(source, vocab_size);
    throw Error(checkpoint.where, "holds no tokenizer",
                "name its tokenizer.json, .tiktoken file or folder with --tokenizer");
  }();
  if (tokenizer.size() > vocab_size) {
    throw Error(option.empty() ? checkpoint.where : option.string(),
                "the tokenizer has " + std::to_string(tokenizer.size()) +
                    " tokens, the model only " + std::to_string(vocab_size));
  }
  return tokenizer;
}

}  // namespace

ModelManifest convert_whisper(const fs::path& source, const FolderWriter& folder,
                              const ConvertOptions& options) {
  const WhisperCheckpoint checkpoint = open_checkpoint(source);
  const WhisperDims& dims = checkpoint.dims;
  WeightsWriter weights(checkpoint, options);
  const auto encoder_tensors = weights.plan("encoder", whisper_encoder_tensors(dims));
  const auto decoder_tensors = weights.plan("decoder", whisper_decoder_tensors(dims));
  weights.check_all_taken();
  const text::Tokenizer tokenizer = open_tokenizer(source, checkpoint, options);
  const nlohmann::json facts = generation_facts(checkpoint.generation, dims, tokenizer,
                                                digest_of(checkpoint.files), checkpoint.where);

  StageManifest encoder = encoder_manifest(dims);
  encoder.weights = weights.write("encoder", encoder_tensors, folder.subfolder("encoder"));
  StageManifest decoder = decoder_manifest(dims, facts);
  decoder.weights = weights.write("decoder", decoder_tensors, folder.subfolder("decoder"));
  write_json(folder.subfolder("frontend"), "stage.json", to_json(frontend_manifest(dims)));
  write_json(folder.subfolder("encoder"), "stage.json", to_json(encoder));
  write_json(folder.subfolder("decoder"), "stage.json", to_json(decoder));

  ModelManifest model;
  model.kind = "stt";
  model.stages = {"frontend", "encoder", "decoder"};
  model.files = {write_text(folder.path(), "tokenizer.json", tokenizer.to_tokenizer_json())};
  model.licence = checkpoint.licence;
  model.source = source_facts(checkpoint, source);
  return model;
}

}  // namespace parley::stage
