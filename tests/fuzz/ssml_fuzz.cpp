// Any bytes as SSML and as plain text for speech: refused, or utterances within their limit that
// know where they came from. How the text is cut changes nothing.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "parley/core/base/error.h"
#include "parley/text/spoken/utterances.h"

namespace {

using namespace parley::text;

constexpr size_t kMaxSize = 50;

void require(bool condition) {
  if (!condition) std::abort();
}

std::vector<Utterance> utterances(const EnglishSpokenForm& spoken_form, std::string_view input,
                                  bool ssml, size_t piece) {
  UtteranceStream stream(spoken_form, {.ssml = ssml, .max_size = kMaxSize});
  std::vector<Utterance> result;
  const auto drain = [&] {
    while (auto utterance = stream.next()) result.push_back(*utterance);
  };
  for (size_t at = 0; at < input.size(); at += piece) {
    stream.push(input.substr(at, piece));
    drain();
  }
  stream.finish();
  drain();
  return result;
}

void check(const std::vector<Utterance>& list, size_t size) {
  for (const Utterance& utterance : list) {
    require(utterance.spoken.size() <= kMaxSize);
    require(utterance.source.begin <= utterance.source.end && utterance.source.end <= size);
    require(utterance.pause_after_ms >= 0 && utterance.pause_after_ms <= 60'000);
    require(utterance.rate >= 0.25 && utterance.rate <= 4);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const EnglishSpokenForm kSpokenForm;
  const std::string_view input(reinterpret_cast<const char*>(data), std::min(size, size_t{1024}));
  for (const std::string& document :
       {std::string(input), "<speak>" + std::string(input) + "</speak>"}) {
    try {
      check(utterances(kSpokenForm, document, true, 4096), document.size());
    } catch (const parley::Error&) {
    }
  }
  const std::vector<Utterance> whole = utterances(kSpokenForm, input, false, 1024);
  check(whole, input.size());
  const std::vector<Utterance> pieces = utterances(kSpokenForm, input, false, 1 + size % 7);
  require(whole.size() == pieces.size());
  for (size_t i = 0; i < whole.size(); ++i) {
    require(whole[i].spoken == pieces[i].spoken && whole[i].source.begin == pieces[i].source.begin);
  }
  return 0;
}
