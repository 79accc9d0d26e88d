// What people give as a checkpoint and is none: adapters, exports, archives, folders around it.
#pragma once

#include <filesystem>

namespace parley::stage {

// Throws Error that says what the source is and what to give instead. Returns when it may be a
// checkpoint, or when nothing better than the reader's own message can be said.
void refuse_foreign_source(const std::filesystem::path& source);

}  // namespace parley::stage
