// Public checkpoints to model folders.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace parley::stage {

enum class WeightStorage {
  kF16,  // matrices and convolutions are rounded to f16
  kF32,  // nothing is rounded: f32, or the 16-bit type that the source has
};

struct ConvertProgress {
  std::string tensor;       // the one just written
  uint64_t done_bytes = 0;  // of all weights
  uint64_t total_bytes = 0;
};

struct ConvertOptions {
  std::string name = {};  // of the model; default: the source's
  WeightStorage weights = WeightStorage::kF16;
  std::filesystem::path tokenizer =
      {};  // folder, tokenizer.json or .tiktoken file; default: the source's own
  // Text to speech: where the vocoder and the voices come from. A vocoder: a checkpoint, or a model
  // folder that has one. Voices: a .npy or .safetensors file of x-vectors, or a folder of such.
  std::filesystem::path vocoder = {};
  std::filesystem::path voices = {};
  std::string licence = {};  // where the source does not say; SPDX
  std::string url = {};      // where the source was downloaded from, for the manifest
  std::function<void(const ConvertProgress&)> progress = {};
  // Told what the source lacks although it converts, in a sentence that begins with its name.
  std::function<void(const std::string&)> notice = {};
};

// Converts a checkpoint to a model folder (docs/formats.md). Sources:
//  - Whisper: a folder of Hugging Face transformers (safetensors or pytorch_model.bin, in shards or
//    whole), a folder of CTranslate2 (faster-whisper), a .pt file of openai/whisper (needs
//    options.tokenizer), a ggml-*.bin file of whisper.cpp, or a GGUF file;
//  - SpeechT5 text-to-speech: a folder of transformers with spm_char.model;
//  - a text-to-speech model folder, whose vocoder or voices are to be exchanged for those of the
//    options.
// A vocoder that was made for another mel than the model's is refused. Vectors (biases, norms) and
// position embeddings are stored as f32.
//
// What is no checkpoint but looks like one (an adapter, an export, an archive, a folder around
// checkpoints) is refused by its name, with what to give instead. Every tensor's shape is checked
// against the configuration; missing and unexpected ones are named. The folder is written beside
// `destination` under a temporary name and renamed when it is complete: interrupted, the conversion
// leaves nothing under the final name. An existing model folder is replaced; anything else there is
// refused. Throws Error.
void convert(const std::filesystem::path& source, const std::filesystem::path& destination,
             const ConvertOptions& options = {});

}  // namespace parley::stage
