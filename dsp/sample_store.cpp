#include "parley/dsp/sample_store.h"

#include <algorithm>

#include "parley/core/base/error.h"

namespace parley::dsp {

void SampleStore::push(std::span<const float> samples) {
  samples_.insert(samples_.end(), samples.begin(), samples.end());
}

void SampleStore::discard_before(int64_t sample) {
  if (sample <= begin()) return;
  discarded_ = static_cast<size_t>(std::min(sample, end()) - first_);
  if (discarded_ < samples_.size() / 2) return;  // moving half for half keeps a push cheap
  samples_.erase(samples_.begin(), samples_.begin() + static_cast<ptrdiff_t>(discarded_));
  first_ += static_cast<int64_t>(discarded_);
  discarded_ = 0;
}

std::span<const float> SampleStore::view(int64_t start, int64_t end) const {
  if (start < begin() || end > this->end() || start > end) {
    throw Error("sample store", "holds samples " + std::to_string(begin()) + " to " +
                                    std::to_string(this->end()) + ", not " + std::to_string(start) +
                                    " to " + std::to_string(end));
  }
  return std::span(samples_).subspan(static_cast<size_t>(start - first_),
                                     static_cast<size_t>(end - start));
}

}  // namespace parley::dsp
