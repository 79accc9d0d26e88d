// Transcripts as files: plain text, subtitles, tables, JSON. Conventions are those of
// openai/whisper's writers (whisper/utils.py) where it has the format.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "parley/pipeline/output/subtitles.h"
#include "parley/pipeline/stt/transcript.h"

namespace parley::pipeline {

struct WriterOptions {
  std::string file = "";         // the input, as the user gave it (json)
  std::string model = "";        // name of the model (json)
  SubtitleRules subtitles = {};  // srt, vtt
};

// All return the whole file, valid UTF-8 whatever the transcript holds. Formats of lines (all but
// JSON) leave out segments without text and write a segment's text on one line: trimmed, with
// control characters as spaces. Numbers are finite; what is not is written as 0.

// The text of each segment on a line.
std::string write_txt(const Transcript& transcript, const WriterOptions& options = {});
// Cues numbered from 1, "00:00:01,000 --> 00:00:02,500".
std::string write_srt(const Transcript& transcript, const WriterOptions& options = {});
// WebVTT, "00:01.000 --> 00:02.500", with hours where there are any; & and < escaped.
std::string write_vtt(const Transcript& transcript, const WriterOptions& options = {});
// start, end (milliseconds), text, with a header line; tabs in the text are spaces.
std::string write_tsv(const Transcript& transcript, const WriterOptions& options = {});
// The same fields, the text quoted (RFC 4180); lines end in \n.
std::string write_csv(const Transcript& transcript, const WriterOptions& options = {});
// Lyrics, "[mm:ss.xx]text" at each segment's start.
std::string write_lrc(const Transcript& transcript, const WriterOptions& options = {});
// One object, a segment on each line: file, duration, language, language_probability, model,
// segments (id, start, end, text, tokens, avg_logprob, compression_ratio, no_speech_prob,
// temperature, words (word, start, end, probability, source)), text, rejected (start, end, text,
// reason). Times are seconds, rounded to
// milliseconds; the other numbers have 6 decimals.
std::string write_json(const Transcript& transcript, const WriterOptions& options = {});
// The same object on one line.
std::string write_jsonl(const Transcript& transcript, const WriterOptions& options = {});

struct Format {
  std::string_view name;  // as the user writes it, and the suffix of files
  std::string (*write)(const Transcript&, const WriterOptions&);
};
// txt, srt, vtt, json, jsonl, tsv, csv, lrc.
std::span<const Format> formats();
// Null when there is no such format.
const Format* find_format(std::string_view name);

}  // namespace parley::pipeline
