#include "parley/core/model/mel_contract.h"

#include <algorithm>
#include <initializer_list>
#include <string_view>

#include "parley/core/base/error.h"

namespace parley::stage {

namespace {

std::string choice(const Fields& fields, const std::string& key,
                   std::initializer_list<std::string_view> known) {
  std::string value = fields.string(key);
  if (std::find(known.begin(), known.end(), value) == known.end()) {
    std::string list;
    for (const std::string_view name : known) list.append(list.empty() ? "" : ", ").append(name);
    fields.refuse(key, "is '" + value + "'; known: " + list);
  }
  return value;
}

}  // namespace

nlohmann::json to_json(const MelContract& contract) {
  return {
      {"sample_rate", contract.sample_rate},
      {"hop_length", contract.hop_length},
      {"win_length", contract.win_length},
      {"n_fft", contract.n_fft},
      {"n_mels", contract.n_mels},
      {"f_min", contract.f_min},
      {"f_max", contract.f_max},
      {"mel_scale", contract.mel_scale},
      {"mel_norm", contract.mel_norm},
      {"spectrum", contract.spectrum},
      {"log", contract.log},
      {"log_floor", contract.log_floor},
      {"normalization", contract.normalization},
  };
}

MelContract parse_mel_contract(const nlohmann::json& mel, const std::string& where) {
  const Fields fields(mel, where);
  MelContract contract;
  contract.sample_rate = fields.integer("sample_rate", 1000, 1 << 20);
  contract.n_fft = fields.integer("n_fft", 16, 1 << 16);
  contract.win_length = fields.integer("win_length", 16, contract.n_fft);
  contract.hop_length = fields.integer("hop_length", 1, contract.win_length);
  contract.n_mels = fields.integer("n_mels", 1, 1024);
  contract.f_max = fields.number("f_max", 1, static_cast<double>(contract.sample_rate) / 2);
  contract.f_min = fields.number("f_min", 0, contract.f_max);
  contract.mel_scale = choice(fields, "mel_scale", {"slaney", "htk"});
  contract.mel_norm = choice(fields, "mel_norm", {"slaney", "none"});
  contract.spectrum = choice(fields, "spectrum", {"magnitude", "power"});
  contract.log = choice(fields, "log", {"log10", "ln"});
  contract.log_floor = fields.number("log_floor", 1e-30, 1);
  contract.normalization = choice(fields, "normalization", {"none"});
  return contract;
}

MelContract mel_contract(const Stage& stage) {
  const Fields mel = stage.config_object("mel");
  return parse_mel_contract(mel.json(), mel.where());
}

void require_same_mel(const Stage& maker, const Stage& taker, const std::string& where) {
  const MelContract made = mel_contract(maker);
  const MelContract taken = mel_contract(taker);
  if (made == taken) return;
  const nlohmann::json a = to_json(made);
  const nlohmann::json b = to_json(taken);
  for (const auto& [field, value] : a.items()) {
    if (value == b.at(field)) continue;
    throw Error(where.empty() ? taker.where() : where,
                "does not fit the stage '" + maker.name() + "': " + field + " of its mel is " +
                    b.at(field).dump() + ", there " + value.dump(),
                "use a vocoder that was trained on the same mel");
  }
}

}  // namespace parley::stage
