// Tells a context's observer about an operator, if there is one.
#pragma once

#include <chrono>

#include "parley/core/nn/context.h"

namespace parley::nn {

// Lives as long as the operator runs. describe() -> Operation, called only when somebody watches.
// Operators that call others are not measured themselves, so that times add up.
template <class Describe>
class Measured {
 public:
  Measured(Context& ctx, Describe describe) : observer_(ctx.observer()), describe_(describe) {
    if (observer_ != nullptr) start_ = std::chrono::steady_clock::now();
  }
  ~Measured() {
    if (observer_ == nullptr) return;
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start_;
    observer_->operation(describe_(), taken.count());
  }
  Measured(const Measured&) = delete;
  Measured& operator=(const Measured&) = delete;

 private:
  Observer* observer_;
  Describe describe_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace parley::nn
