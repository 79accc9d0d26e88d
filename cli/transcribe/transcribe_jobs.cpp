#include "parley/cli/transcribe/transcribe_jobs.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <climits>
#include <fstream>
#include <unordered_set>
#include <utility>

#include "parley/cli/program.h"
#include "parley/core/base/error.h"

namespace parley::cli {

namespace fs = std::filesystem;

namespace {

// Everything with sound that libavformat and libsndfile know by its content and that holds speech:
// no pictures, subtitles, trackers and sounds of games; no headerless samples.
constexpr std::array<std::string_view, 138> kMediaSuffixes = {
    ".3g2",  ".3ga",  ".3gp",   ".3gp2", ".3gpp",   ".8svx", ".aa3",   ".aac", ".ac3",  ".adts",
    ".aea",  ".afc",  ".aif",   ".aifc", ".aiff",   ".amr",  ".amv",   ".ape", ".apl",  ".asf",
    ".au",   ".avi",  ".avr",   ".awb",  ".bwf",    ".caf",  ".dav",   ".dff", ".divx", ".dsf",
    ".dss",  ".dts",  ".dtshd", ".dv",   ".dvr-ms", ".eac3", ".ec3",   ".f4a", ".f4b",  ".f4v",
    ".fap",  ".flac", ".flv",   ".gxf",  ".htk",    ".iff",  ".ircam", ".ism", ".isma", ".ismv",
    ".ivr",  ".lvf",  ".m1a",   ".m2a",  ".m2p",    ".m2t",  ".m2ts",  ".m4a", ".m4b",  ".m4p",
    ".m4r",  ".m4s",  ".m4v",   ".mac",  ".mk3d",   ".mka",  ".mkv",   ".mlp", ".mov",  ".mp+",
    ".mp1",  ".mp2",  ".mp3",   ".mp4",  ".mp4a",   ".mp4v", ".mpa",   ".mpc", ".mpe",  ".mpeg",
    ".mpg",  ".mpga", ".mts",   ".mxf",  ".nist",   ".nsv",  ".nut",   ".nuv", ".oga",  ".ogg",
    ".ogm",  ".ogv",  ".ogx",   ".oma",  ".omg",    ".opus", ".paf",   ".psp", ".pvf",  ".qcp",
    ".qt",   ".ra",   ".rf64",  ".rm",   ".rmvb",   ".sd2",  ".sf",    ".shn", ".smv",  ".snd",
    ".sph",  ".spx",  ".svx",   ".tak",  ".thd",    ".tp",   ".trp",   ".ts",  ".tta",  ".ty",
    ".viv",  ".vob",  ".voc",   ".vqe",  ".vqf",    ".vql",  ".vro",   ".w64", ".wav",  ".wave",
    ".weba", ".webm", ".wma",   ".wmv",  ".wtv",    ".wv",   ".xi",    ".xwma"};

static_assert(std::is_sorted(kMediaSuffixes.begin(), kMediaSuffixes.end()));

// MPEG transport streams, and TypeScript.
constexpr std::array<std::string_view, 2> kMayBeText = {".mts", ".ts"};

constexpr size_t kMostNotes = 5;

constexpr size_t kTemporarySuffix = 7;  // bytes that AtomicFile appends while it writes

std::string suffix_of(const fs::path& path) {
  std::string suffix = path.extension().string();
  std::transform(suffix.begin(), suffix.end(), suffix.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return suffix;
}

// Called like something that may be text, is it?
bool is_text(const fs::path& path) {
  const std::string suffix = suffix_of(path);
  if (std::find(kMayBeText.begin(), kMayBeText.end(), suffix) == kMayBeText.end()) return false;
  std::ifstream file(path, std::ios::binary);
  std::array<char, 512> begin;
  file.read(begin.data(), begin.size());
  const auto* const end = begin.cbegin() + file.gcount();
  return end != begin.cbegin() && std::all_of(begin.cbegin(), end, [](char c) {
           return static_cast<unsigned char>(c) >= '\t' && c != '\x7F';
         });
}

bool is_hidden(const fs::path& path) { return path.filename().native().front() == '.'; }

// Paths relative to `folder`; hidden files and folders are left out.
std::vector<fs::path> media_below(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  fs::recursive_directory_iterator at(folder, error);
  for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    if (is_hidden(at->path())) {
      at.disable_recursion_pending();
    } else if (has_media_suffix(at->path()) && at->is_regular_file(error) && !is_text(at->path())) {
      found.push_back(at->path().lexically_relative(folder));
    }
  }
  if (error) throw Error(folder.string(), "cannot be searched: " + error.message());
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

bool has_media_suffix(const fs::path& path) {
  return std::binary_search(kMediaSuffixes.begin(), kMediaSuffixes.end(), suffix_of(path));
}

JobPlanner::JobPlanner(fs::path output, std::span<const pipeline::Format* const> formats)
    : output_(std::move(output)), formats_(formats.begin(), formats.end()) {}

std::vector<Job> JobPlanner::plan(std::span<const std::string> inputs,
                                  const std::function<void(const Error&)>& failed) {
  std::vector<Source> sources;
  for (const std::string& input : inputs) {
    try {
      for (Source& source : find(input)) sources.push_back(std::move(source));
    } catch (const Error& error) {
      failed(error);
    }
  }
  if (!output_.empty()) keep_extensions(sources);
  std::vector<Job> jobs;
  for (Source& source : sources) {
    try {
      jobs.push_back(job(std::move(source)));
    } catch (const Error& error) {
      failed(error);
    }
  }
  return jobs;
}

std::vector<JobPlanner::Source> JobPlanner::find(const std::string& input) {
  if (input == kStandardInput) return {{input, "stdin", "stdin"}};
  const fs::path path(input);
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) {
    throw Error(input, error && status.type() == fs::file_type::none ? error.message()
                                                                     : "no such file or folder");
  }
  if (!fs::is_directory(status)) return {{input, path.stem(), path.filename()}};
  std::vector<Source> sources;
  for (const fs::path& file : media_below(path)) {
    sources.push_back({(path / file).string(), file.parent_path() / file.stem(), file});
  }
  if (sources.empty()) throw Error(input, "there is no audio or video file in this folder");
  return sources;
}

// Until no two inputs that are called differently have one name.
void JobPlanner::keep_extensions(std::vector<Source>& sources) {
  for (bool changed = true; changed;) {
    changed = false;
    std::unordered_map<std::string, std::string> names;  // and what the first of it is called
    std::unordered_set<std::string> shared;
    for (const Source& source : sources) {
      const auto [first, is_new] = names.emplace(source.name.string(), source.named.string());
      if (first->second != source.named.string()) shared.insert(source.name.string());
    }
    for (Source& source : sources) {
      if (source.name == source.named || !shared.contains(source.name.string())) continue;
      keep_extension(source);
      changed = true;
    }
  }
}

void JobPlanner::keep_extension(Source& source) {
  source.name = source.named;
  if (notes_.size() > kMostNotes) return;
  const bool more = notes_.size() == kMostNotes;
  notes_.push_back(more ? "more outputs keep the extension of their input, too"
                        : source.input + ": is written to " +
                              output_path(source, *formats_.front()).string() +
                              ", as another input differs in its extension alone");
}

fs::path JobPlanner::output_path(const Source& source, const pipeline::Format& format) const {
  fs::path path = output_ / source.name;
  path += "." + std::string(format.name);
  return path.lexically_normal();
}

// The earlier input to which an output of this one belongs.
const JobPlanner::Source* JobPlanner::owner_of(const Source& source) const {
  for (const pipeline::Format* format : formats_) {
    const auto owner = owners_.find(output_path(source, *format).string());
    if (owner != owners_.end()) return &owner->second;
  }
  return nullptr;
}

Job JobPlanner::job(Source source) {
  Job made{.input = source.input, .outputs = {}};
  if (output_.empty()) return made;
  // Inputs that come one by one: the name was given away before this one was known.
  const Source* owner = owner_of(source);
  if (owner != nullptr && owner->named != source.named && source.name != source.named) {
    keep_extension(source);
    owner = owner_of(source);
  }
  for (const pipeline::Format* format : formats_) {
    const fs::path path = output_path(source, *format);
    if (owner != nullptr) {
      throw UsageError("'" + owner->input + "' and '" + source.input +
                       "' would both be written to " + path.string() +
                       "; give them different output folders");
    }
    std::error_code error;
    if (fs::equivalent(path, source.input, error)) {
      throw UsageError("'" + source.input + "' would be overwritten by its own transcript");
    }
    const size_t length = path.filename().native().size() + kTemporarySuffix;
    if (length > NAME_MAX) {
      throw Error(source.input,
                  "its name is too long by " + std::to_string(length - NAME_MAX) +
                      " bytes for a ." + std::string(format->name) + " file",
                  "rename it, or write to standard output");
    }
    made.outputs.push_back(path);
  }
  for (const fs::path& path : made.outputs) owners_.emplace(path.string(), source);
  return made;
}

}  // namespace parley::cli
