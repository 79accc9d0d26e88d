// How many threads a computation has.
#pragma once

namespace parley::nn {

// `threads`, or for 0 as many as the process may use processors.
int thread_count(int threads);

}  // namespace parley::nn
