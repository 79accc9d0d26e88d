// The golden data of this folder (golden/make_tokenizer_golden.py) and the vocabularies it was made
// with.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "parley/text/tokenizer/tokenizer.h"

namespace parley::test {

const nlohmann::json& golden();
const nlohmann::json& small_tokenizer_json();

// The small committed vocabulary.
const text::Tokenizer& small_tokenizer();
// GPT-2's, from the pilot checkpoint; null where ../shared is absent.
const text::Tokenizer* gpt2_tokenizer();

// The ordinary tokens as bytes by id: what a whisper.cpp file or a tiktoken file would list.
std::vector<std::string> byte_tokens(const text::Tokenizer& tokenizer);

// `count` bytes or code points, the same for each seed.
std::string random_bytes(unsigned seed, size_t count);
std::string random_text(unsigned seed, size_t count);

}  // namespace parley::test
