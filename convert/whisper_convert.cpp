#include "parley/convert/whisper_convert.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <unordered_map>

#include "parley/convert/ctranslate2.h"
#include "parley/convert/ggml.h"
#include "parley/convert/gguf.h"
#include "parley/convert/openai.h"
#include "parley/convert/weights_writer.h"
#include "parley/convert/whisper_folder.h"
#include "parley/convert/whisper_generation.h"
#include "parley/core/base/error.h"
#include "parley/core/base/file.h"
#include "parley/core/model/json.h"
#include "parley/text/tokenizer/tokenizer.h"

namespace parley::stage {

namespace {

namespace fs = std::filesystem;

WhisperCheckpoint open_checkpoint(const fs::path& source) {
  if (fs::is_directory(source)) {
    return is_ctranslate2(source / "model.bin") ? open_ctranslate2(source)
                                                : open_whisper_folder(source);
  }
  const MappedFile file(source);
  const auto starts_with = [&](std::string_view magic) {
    return file.bytes().size() >= magic.size() &&
           std::memcmp(file.bytes().data(), magic.data(), magic.size()) == 0;
  };
  if (starts_with("lmgg")) return open_ggml(source);
  if (starts_with("GGUF")) return open_gguf(source);
  if (starts_with("PK") || starts_with("\x80\x02")) return open_openai(source);
  throw Error(source.string(), "is not a checkpoint that can be converted",
              "known are Hugging Face and CTranslate2 folders, .pt files of openai/whisper, "
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

// Trainers save the tokenizer beside the steps of a training rather than with each of them.
[[noreturn]] text::Tokenizer refuse_without_tokenizer(const fs::path& folder) {
  const fs::path above = fs::weakly_canonical(folder).parent_path();
  const bool there = fs::exists(above / "tokenizer.json") || fs::exists(above / "vocab.json");
  throw Error(folder.string(),
              "has no tokenizer: neither tokenizer.json, nor vocab.json and merges.txt",
              there ? "the folder around it has one: --tokenizer " + above.string()
                    : "name that of the model that it was trained from with --tokenizer");
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
    if (!checkpoint.token_names.empty()) {
      return text::Tokenizer(
          text::vocabulary_from_names(checkpoint.token_names, checkpoint.merges, checkpoint.where),
          checkpoint.where);
    }
    if (fs::is_directory(source)) {
      auto found = text::Tokenizer::find_in(source, vocab_size);
      return found ? *std::move(found) : refuse_without_tokenizer(source);
    }
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

// CTranslate2 lists the ids of languages: another tokenizer's would name other tokens so.
void check_languages(const WhisperCheckpoint& checkpoint, const text::Tokenizer& tokenizer,
                     const ConvertOptions& options) {
  const Fields generation(checkpoint.generation, checkpoint.where);
  if (!generation.has("lang_ids")) return;
  const auto is_language = [&](int64_t id) {
    return std::ranges::any_of(tokenizer.special().languages,
                               [&](const text::LanguageToken& token) { return token.id == id; });
  };
  const auto ids = generation.integers("lang_ids", 0, checkpoint.dims.vocab_size - 1);
  const auto unknown = std::ranges::count_if(ids, [&](int64_t id) { return !is_language(id); });
  if (unknown == 0 || !options.notice) return;
  options.notice(checkpoint.where + ": " + std::to_string(unknown) + " of its lang_ids are no " +
                 "language tokens of its tokenizer, so these languages cannot be asked for");
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
  check_languages(checkpoint, tokenizer, options);
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
