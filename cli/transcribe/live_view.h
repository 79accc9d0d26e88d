// How `transcribe --live` shows what it hears.
#pragma once

#include <memory>
#include <string>

#include "parley/pipeline/live/live_event.h"

namespace parley::cli {

// One event as a line of JSON. "stable" counts code points there.
std::string event_json(const pipeline::LiveEvent& event, bool with_words);

class LiveView {
 public:
  virtual ~LiveView() = default;
  // Throws ClosedPipe or Error when standard output cannot be written.
  virtual void show(const pipeline::LiveEvent& event) = 0;
  // Takes away what is not to stay, so that something else can be printed.
  virtual void clear() {}
};

// Every event as a line (event_json).
std::unique_ptr<LiveView> event_lines(bool with_words);
// Final texts as lines.
std::unique_ptr<LiveView> final_lines();
// For a terminal: the partial text in one line that is written anew, dim where it may still change,
// with its lag; final text below one another.
std::unique_ptr<LiveView> terminal_view();

// The line of a partial text: as much of its end as fits `columns`.
std::string partial_line(const pipeline::LiveEvent& event, size_t columns);

}  // namespace parley::cli
