#include "stage/whisper_layout.h"

#include <array>
#include <span>

#include "base/error.h"

namespace parley::stage {

namespace {

void add_attention(std::vector<NamedShape>& tensors, const std::string& name, int64_t size) {
  add_linear(tensors, name + ".q_proj", size, size);
  add_linear(tensors, name + ".k_proj", size, size, /*bias=*/false);
  add_linear(tensors, name + ".v_proj", size, size);
  add_linear(tensors, name + ".out_proj", size, size);
  add_norm(tensors, name + "_layer_norm", size);
}

void add_mlp(std::vector<NamedShape>& tensors, const std::string& layer, int64_t size,
             int64_t ffn) {
  add_linear(tensors, layer + "fc1", ffn, size);
  add_linear(tensors, layer + "fc2", size, ffn);
  add_norm(tensors, layer + "final_layer_norm", size);
}

std::string layer_prefix(int64_t layer) { return "layers." + std::to_string(layer) + "."; }

}  // namespace

void check_dims(const WhisperDims& dims, const std::string& where) {
  const auto check = [&](const char* name, int64_t value, int64_t max) {
    if (value < 1 || value > max) {
      throw Error(where, std::string(name) + " is " + std::to_string(value) +
                             ", not between 1 and " + std::to_string(max));
    }
  };
  check("d_model", dims.d_model, 1 << 14);
  check("num_mel_bins", dims.num_mel_bins, 1 << 10);
  check("vocab_size", dims.vocab_size, 1 << 20);
  check("max_source_positions", dims.max_source_positions, 1 << 16);
  check("max_target_positions", dims.max_target_positions, 1 << 16);
  check("encoder_layers", dims.encoder_layers, 256);
  check("decoder_layers", dims.decoder_layers, 256);
  check("encoder_ffn_dim", dims.encoder_ffn_dim, 1 << 17);
  check("decoder_ffn_dim", dims.decoder_ffn_dim, 1 << 17);
  check("encoder_attention_heads", dims.encoder_attention_heads, dims.d_model);
  check("decoder_attention_heads", dims.decoder_attention_heads, dims.d_model);
  if (dims.d_model % dims.encoder_attention_heads != 0 ||
      dims.d_model % dims.decoder_attention_heads != 0) {
    throw Error(where, "d_model is not a multiple of the number of attention heads");
  }
}

std::vector<NamedShape> whisper_encoder_tensors(const WhisperDims& dims) {
  const int64_t d = dims.d_model;
  std::vector<NamedShape> tensors = {
      {"conv1.weight", {d, dims.num_mel_bins, 3}},
      {"conv1.bias", {d}},
      {"conv2.weight", {d, d, 3}},
      {"conv2.bias", {d}},
      {"embed_positions.weight", {dims.max_source_positions, d}},
  };
  for (int64_t i = 0; i < dims.encoder_layers; ++i) {
    add_attention(tensors, layer_prefix(i) + "self_attn", d);
    add_mlp(tensors, layer_prefix(i), d, dims.encoder_ffn_dim);
  }
  add_norm(tensors, "layer_norm", d);
  return tensors;
}

std::vector<NamedShape> whisper_decoder_tensors(const WhisperDims& dims) {
  const int64_t d = dims.d_model;
  std::vector<NamedShape> tensors = {
      {"embed_tokens.weight", {dims.vocab_size, d}},
      {"embed_positions.weight", {dims.max_target_positions, d}},
  };
  for (int64_t i = 0; i < dims.decoder_layers; ++i) {
    add_attention(tensors, layer_prefix(i) + "self_attn", d);
    add_attention(tensors, layer_prefix(i) + "encoder_attn", d);
    add_mlp(tensors, layer_prefix(i), d, dims.decoder_ffn_dim);
  }
  add_norm(tensors, "layer_norm", d);
  return tensors;
}

namespace {

using NamePair = std::pair<std::string_view, std::string_view>;  // theirs, ours

std::optional<std::string> find_name(std::span<const NamePair> names, std::string_view theirs) {
  for (const auto& [known, ours] : names) {
    if (known == theirs) return std::string(ours);
  }
  return std::nullopt;
}

// <stage>.blocks.<N>.<part>.<weight|bias>
struct BlockName {
  std::string_view stage, number, part, kind;
};

std::optional<BlockName> parse_block_name(std::string_view name) {
  constexpr std::string_view kBlocks = ".blocks.";
  const size_t blocks = name.find(kBlocks);
  if (blocks == std::string_view::npos) return std::nullopt;
  const size_t number = blocks + kBlocks.size();
  const size_t part = name.find('.', number);
  const size_t kind = name.rfind('.');
  if (part == std::string_view::npos || kind <= part) return std::nullopt;
  return BlockName{name.substr(0, blocks), name.substr(number, part - number),
                   name.substr(part + 1, kind - part - 1), name.substr(kind + 1)};
}

std::string our_block_name(const std::string& stage, const BlockName& name,
                           const std::string& part) {
  return stage + ".layers." + std::string(name.number) + "." + part + "." + std::string(name.kind);
}

}  // namespace

std::optional<std::string> name_from_openai(std::string_view name) {
  static constexpr NamePair kWhole[] = {
      {"encoder.positional_embedding", "encoder.embed_positions.weight"},
      {"decoder.positional_embedding", "decoder.embed_positions.weight"},
      {"decoder.token_embedding.weight", "decoder.embed_tokens.weight"},
      {"encoder.ln_post.weight", "encoder.layer_norm.weight"},
      {"encoder.ln_post.bias", "encoder.layer_norm.bias"},
      {"decoder.ln.weight", "decoder.layer_norm.weight"},
      {"decoder.ln.bias", "decoder.layer_norm.bias"},
      {"encoder.conv1.weight", "encoder.conv1.weight"},
      {"encoder.conv1.bias", "encoder.conv1.bias"},
      {"encoder.conv2.weight", "encoder.conv2.weight"},
      {"encoder.conv2.bias", "encoder.conv2.bias"},
  };
  static constexpr NamePair kInBlock[] = {
      {"attn.query", "self_attn.q_proj"},
      {"attn.key", "self_attn.k_proj"},
      {"attn.value", "self_attn.v_proj"},
      {"attn.out", "self_attn.out_proj"},
      {"attn_ln", "self_attn_layer_norm"},
      {"cross_attn.query", "encoder_attn.q_proj"},
      {"cross_attn.key", "encoder_attn.k_proj"},
      {"cross_attn.value", "encoder_attn.v_proj"},
      {"cross_attn.out", "encoder_attn.out_proj"},
      {"cross_attn_ln", "encoder_attn_layer_norm"},
      {"mlp.0", "fc1"},
      {"mlp.2", "fc2"},
      {"mlp_ln", "final_layer_norm"},
  };
  if (auto whole = find_name(kWhole, name)) return whole;
  const std::optional<BlockName> block = parse_block_name(name);
  if (!block || (block->stage != "encoder" && block->stage != "decoder")) return std::nullopt;
  const auto part = find_name(kInBlock, block->part);
  if (!part) return std::nullopt;
  return our_block_name(std::string(block->stage), *block, *part);
}

std::optional<std::string> name_from_transcribe_cpp(std::string_view name) {
  static constexpr NamePair kWhole[] = {
      {"enc.conv.0.weight", "encoder.conv1.weight"},
      {"enc.conv.0.bias", "encoder.conv1.bias"},
      {"enc.conv.1.weight", "encoder.conv2.weight"},
      {"enc.conv.1.bias", "encoder.conv2.bias"},
      {"enc.pos_emb.weight", "encoder.embed_positions.weight"},
      {"enc.final_norm.weight", "encoder.layer_norm.weight"},
      {"enc.final_norm.bias", "encoder.layer_norm.bias"},
      {"dec.token_embd.weight", "decoder.embed_tokens.weight"},
      {"dec.pos_emb.weight", "decoder.embed_positions.weight"},
      {"dec.final_norm.weight", "decoder.layer_norm.weight"},
      {"dec.final_norm.bias", "decoder.layer_norm.bias"},
  };
  static constexpr NamePair kInBlock[] = {
      {"norm_attn", "self_attn_layer_norm"},
      {"attn.q", "self_attn.q_proj"},
      {"attn.k", "self_attn.k_proj"},
      {"attn.v", "self_attn.v_proj"},
      {"attn.out", "self_attn.out_proj"},
      {"norm_self", "self_attn_layer_norm"},
      {"self_attn.q", "self_attn.q_proj"},
      {"self_attn.k", "self_attn.k_proj"},
      {"self_attn.v", "self_attn.v_proj"},
      {"self_attn.out", "self_attn.out_proj"},
      {"norm_cross", "encoder_attn_layer_norm"},
      {"cross_attn.q", "encoder_attn.q_proj"},
      {"cross_attn.k", "encoder_attn.k_proj"},
      {"cross_attn.v", "encoder_attn.v_proj"},
      {"cross_attn.out", "encoder_attn.out_proj"},
      {"norm_ffn", "final_layer_norm"},
      {"ffn.fc1", "fc1"},
      {"ffn.fc2", "fc2"},
  };
  if (auto whole = find_name(kWhole, name)) return whole;
  const std::optional<BlockName> block = parse_block_name(name);
  if (!block || (block->stage != "enc" && block->stage != "dec")) return std::nullopt;
  const auto part = find_name(kInBlock, block->part);
  if (!part) return std::nullopt;
  return our_block_name(block->stage == "enc" ? "encoder" : "decoder", *block, *part);
}

bool is_multilingual(const WhisperDims& dims) { return dims.vocab_size >= 51865; }

namespace {

// openai/whisper, whisper/__init__.py, _ALIGNMENT_HEADS (there: a compressed mask of layers x
// heads).
const AlignmentHeads kTinyEn = {{1, 0}, {2, 0}, {2, 5}, {3, 0}, {3, 1}, {3, 2}, {3, 3}, {3, 4}};
const AlignmentHeads kTiny = {{2, 2}, {3, 0}, {3, 2}, {3, 3}, {3, 4}, {3, 5}};
const AlignmentHeads kBaseEn = {{3, 3}, {4, 7}, {5, 1}, {5, 5}, {5, 7}};
const AlignmentHeads kBase = {{3, 1}, {4, 2}, {4, 3}, {4, 7}, {5, 1}, {5, 2}, {5, 4}, {5, 6}};
const AlignmentHeads kSmallEn = {{6, 6},  {7, 0},  {7, 3},   {7, 8},  {8, 2},  {8, 5},  {8, 7},
                                 {9, 0},  {9, 4},  {9, 8},   {9, 10}, {10, 0}, {10, 1}, {10, 2},
                                 {10, 3}, {10, 6}, {10, 11}, {11, 2}, {11, 4}};
const AlignmentHeads kSmall = {{5, 3}, {5, 9}, {8, 0}, {8, 4}, {8, 7},
                               {8, 8}, {9, 0}, {9, 7}, {9, 9}, {10, 5}};
const AlignmentHeads kMediumEn = {{11, 4},  {14, 1}, {14, 12}, {14, 14}, {15, 4},  {16, 0},
                                  {16, 4},  {16, 9}, {17, 12}, {17, 14}, {18, 7},  {18, 10},
                                  {18, 15}, {20, 0}, {20, 3},  {20, 9},  {20, 14}, {21, 12}};
const AlignmentHeads kMedium = {{13, 15}, {15, 4}, {15, 15}, {16, 1}, {20, 0}, {23, 4}};
const AlignmentHeads kLargeV1 = {{9, 19},  {11, 2},  {11, 4}, {11, 17}, {22, 7},
                                 {22, 11}, {22, 17}, {23, 2}, {23, 15}};
const AlignmentHeads kLargeV2 = {{10, 12}, {13, 17}, {16, 11}, {16, 12}, {16, 13}, {17, 15},
                                 {17, 16}, {18, 4},  {18, 11}, {18, 19}, {19, 11}, {21, 2},
                                 {21, 3},  {22, 3},  {22, 9},  {22, 12}, {23, 5},  {23, 7},
                                 {23, 13}, {25, 5},  {26, 1},  {26, 12}, {27, 15}};
const AlignmentHeads kLargeV3 = {{7, 0},   {10, 17}, {12, 18}, {13, 12}, {16, 1},
                                 {17, 14}, {19, 11}, {21, 4},  {24, 1},  {25, 6}};
const AlignmentHeads kTurbo = {{2, 4}, {2, 11}, {3, 3}, {3, 6}, {3, 11}, {3, 14}};

constexpr std::string_view kLargeV1Sha256 =
    "e4b87e7e0bf463eb8e6956e646f1e277e901512310def2c24bf0e11bd3c28e9a";

struct PublishedModel {
  int64_t d_model, encoder_layers, decoder_layers, vocab_size;
  const AlignmentHeads& heads;
};

}  // namespace

AlignmentHeads alignment_heads(const WhisperDims& dims, std::string_view sha256) {
  static const std::array kPublished = {
      PublishedModel{384, 4, 4, 51864, kTinyEn},      PublishedModel{384, 4, 4, 51865, kTiny},
      PublishedModel{512, 6, 6, 51864, kBaseEn},      PublishedModel{512, 6, 6, 51865, kBase},
      PublishedModel{768, 12, 12, 51864, kSmallEn},   PublishedModel{768, 12, 12, 51865, kSmall},
      PublishedModel{1024, 24, 24, 51864, kMediumEn}, PublishedModel{1024, 24, 24, 51865, kMedium},
      PublishedModel{1280, 32, 32, 51865, kLargeV2},  PublishedModel{1280, 32, 32, 51866, kLargeV3},
      PublishedModel{1280, 32, 4, 51866, kTurbo},
  };
  if (sha256 == kLargeV1Sha256) return kLargeV1;
  for (const PublishedModel& model : kPublished) {
    if (model.d_model == dims.d_model && model.encoder_layers == dims.encoder_layers &&
        model.decoder_layers == dims.decoder_layers && model.vocab_size == dims.vocab_size) {
      return model.heads;
    }
  }
  AlignmentHeads heads;
  for (int layer = static_cast<int>(dims.decoder_layers / 2); layer < dims.decoder_layers;
       ++layer) {
    for (int head = 0; head < dims.decoder_attention_heads; ++head) heads.emplace_back(layer, head);
  }
  return heads;
}

}  // namespace parley::stage
