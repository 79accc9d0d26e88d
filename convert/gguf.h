// GGUF files that hold a Whisper (format: gguf.md of ggml, versions 2 and 3).
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

#include "parley/convert/checkpoint.h"

namespace parley::stage {

// Tensors under the names of openai/whisper and whisper.cpp ("encoder.blocks.0.attn.query.weight"),
// of Hugging Face ("model.encoder.layers.0.self_attn.q_proj.weight", as candle's files have), or of
// transcribe.cpp ("enc.blocks.0.attn.q.weight").
// Converters agree on no metadata for Whisper: the dimensions are read off the tensors' shapes; the
// number of heads is `whisper.encoder.attention.head_count` or `stt.whisper.encoder.n_heads` where
// the file says it, else one for each 64 dimensions, as in every published Whisper. The tokenizer
// is that of `tokenizer.ggml.tokens` and `.merges` where there are both.
//
// Throws Error naming the file and what is wrong with it.
WhisperCheckpoint open_gguf(const std::filesystem::path& path);
// The same over bytes that outlive the result.
WhisperCheckpoint parse_gguf(std::span<const std::byte> file, const std::string& where);

}  // namespace parley::stage
