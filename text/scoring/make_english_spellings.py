"""Writes english_spellings.inc from openai-whisper's list of British and American spellings
(whisper/normalizers/english.json, MIT licence): pip install openai-whisper, then run this."""

import json
import pathlib

import whisper.normalizers

source = pathlib.Path(whisper.normalizers.__file__).parent / "english.json"
pairs = json.loads(source.read_text())
# Words are looked up one by one: "flyer / flier" would never be found.
lines = [f"{british} {american}" for british, american in sorted(pairs.items()) if " " not in british]
target = pathlib.Path(__file__).parent / "english_spellings.inc"
target.write_text('R"(' + "\n".join(lines) + '\n)"\n')
print(len(lines), "spellings")
