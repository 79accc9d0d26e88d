#!/usr/bin/env python3
"""Writes subtitles.json: a transcript with word times, and what the published writers make of it.

    pip install openai-whisper
    python3 make_subtitles_golden.py
"""

import io
import json
import random
from pathlib import Path

from whisper.utils import WriteSRT, WriteVTT

TEXTS = [
    "The quick brown fox, it seems, jumps over the lazy dog again.",
    "Yes!",
    "Répétez après moi: l'été à la plage était incomparablement long, n'est-ce pas?",
    "One two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen.",
    "A bright café.",
    "Words, words, words; supercalifragilisticexpialidocious words and nothing but words.",
]
OPTIONS = [
    {},
    {"max_line_width": 20},
    {"max_line_count": 2},
    {"max_line_width": 16, "max_line_count": 1},
    {"max_line_width": 24, "max_line_count": 2},
    {"max_line_width": 42, "max_line_count": 3},
    {"highlight_words": True},
    {"max_line_width": 18, "max_line_count": 2, "highlight_words": True},
]


def make_segments():
    rng = random.Random(5)
    time, segments = 0.4, []
    for i, text in enumerate(TEXTS):
        words = []
        for word in text.split():
            start = round(time, 2)
            time += rng.uniform(0.1, 0.8)
            words.append({"word": " " + word, "start": start, "end": round(time, 2)})
            if rng.random() < 0.2:
                time += rng.uniform(0.1, 0.6)
        segments.append({"start": words[0]["start"], "end": words[-1]["end"], "text": " " + text, "words": words})
        time += 4.5 if i == 2 else 0.3  # one long pause
    return segments


def written(writer_class, segments, options):
    class Writer(writer_class):
        def __init__(self):
            pass

    out = io.StringIO()
    Writer().write_result({"segments": segments}, file=out, options=options)
    return out.getvalue()


def main():
    segments = make_segments()
    cases = [
        {"options": o, "srt": written(WriteSRT, segments, o), "vtt": written(WriteVTT, segments, o)} for o in OPTIONS
    ]
    text = json.dumps({"segments": segments, "cases": cases}, ensure_ascii=False, indent=1)
    (Path(__file__).parent / "subtitles.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
