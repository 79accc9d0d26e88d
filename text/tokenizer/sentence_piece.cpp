#include "parley/text/tokenizer/sentence_piece.h"

#include <sentencepiece_processor.h>

#include "parley/core/base/error.h"

namespace parley::text {

SentencePiece::SentencePiece(std::unique_ptr<sentencepiece::SentencePieceProcessor> processor)
    : processor_(std::move(processor)) {}
SentencePiece::~SentencePiece() = default;
SentencePiece::SentencePiece(SentencePiece&&) noexcept = default;

SentencePiece SentencePiece::from_bytes(std::string_view model, const std::string& where) {
  auto processor = std::make_unique<sentencepiece::SentencePieceProcessor>();
  const auto status = processor->LoadFromSerializedProto({model.data(), model.size()});
  if (!status.ok()) throw Error(where, "is not a SentencePiece model");
  if (processor->eos_id() < 0) throw Error(where, "its vocabulary has no end of sentence");
  return SentencePiece(std::move(processor));
}

int SentencePiece::size() const { return processor_->GetPieceSize(); }
int32_t SentencePiece::eos() const { return processor_->eos_id(); }
int32_t SentencePiece::unknown() const { return processor_->unk_id(); }

std::vector<int32_t> SentencePiece::encode(std::string_view text) const {
  std::vector<int> ids;
  const auto status = processor_->Encode({text.data(), text.size()}, &ids);
  if (!status.ok()) throw Error("", "the text cannot be cut into pieces: " + status.ToString());
  return {ids.begin(), ids.end()};
}

}  // namespace parley::text
