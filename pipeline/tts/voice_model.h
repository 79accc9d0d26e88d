// A text-to-speech model, loaded: its stages ready to run on this CPU.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "parley/core/model/mel_contract.h"
#include "parley/core/model/model.h"
#include "parley/core/nn/weight.h"
#include "parley/decoder/postnet.h"
#include "parley/decoder/speecht5_mel.h"
#include "parley/encoder/speecht5_text.h"
#include "parley/text/spoken/spoken_form.h"
#include "parley/text/tokenizer/sentence_piece.h"
#include "parley/vocoder/griffin_lim.h"
#include "parley/vocoder/hifigan.h"

namespace parley::pipeline {

// Immutable: any number of Synthesizers may share one.
struct VoiceModel {
  stage::Model files;
  nn::Precision precision;
  stage::MelContract mel;
  text::SentencePiece pieces;
  text::EnglishSpokenForm spoken_form;
  encoder::SpeechT5TextEncoder encoder;
  decoder::SpeechT5MelDecoder decoder;
  decoder::Postnet postnet;
  std::variant<vocoder::HifiGan, vocoder::GriffinLim> vocoder;

  // False: the folder has no stage "vocoder", and Griffin-Lim takes its place: metallic, and heard
  // only when a sentence is complete.
  bool has_vocoder() const { return std::holds_alternative<vocoder::HifiGan>(vocoder); }
  int sample_rate() const { return static_cast<int>(mel.sample_rate); }
  // The end of a sentence included.
  std::vector<int32_t> tokens_of(const std::string& spoken) const;

  // Opens a model folder and packs its weights. threads: for packing; 0: all processors. Throws
  // Error: not a model, not text to speech, damaged, stages that are missing or do not fit.
  static std::shared_ptr<const VoiceModel> load(const std::filesystem::path& folder,
                                                nn::Precision precision = nn::Precision::kAuto,
                                                int threads = 0);
};

}  // namespace parley::pipeline
