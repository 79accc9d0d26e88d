// The names of units of measure and of currencies.
#pragma once

#include <span>
#include <string_view>

namespace parley::text {

struct Unit {
  std::string_view sign, singular, plural;  // "km", "kilometer", "kilometers"
};

struct Currency {
  std::string_view sign, singular, plural;
  std::string_view cent, cents;  // of the hundredth part; empty where there is none
};

std::span<const Unit> units();
const Unit* find_unit(std::string_view sign);          // null for none
const Currency* find_currency(std::string_view sign);  // "$", "US$", "EUR"; null for none

}  // namespace parley::text
