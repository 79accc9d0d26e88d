#include "parley/convert/whisper_names.h"

#include <span>
#include <utility>

namespace parley::stage {

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

}  // namespace parley::stage
