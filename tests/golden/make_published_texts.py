#!/usr/bin/env python3
"""Transcribes real speech with the published weights by the published implementation (whisper.transcribe), in f32 on the CPU.

    pip install openai-whisper torch safetensors soundfile jiwer
    python3 make_published_texts.py PUBLISHED CORPUS_FOLDER

PUBLISHED/hf holds Hugging Face folders of the published checkpoints. Recordings are utterances of librispeech_test_other_100, alone
or each followed by a second of zeros. Everything is as by default, with five beams. Writes published_texts.json: how each recording
is made, its text and its segments, those that are emptied left out; whisper.transcribe falls back to no higher temperature for any.
"""

import argparse
import json
from pathlib import Path

import torch
from make_pilot_reference import SAMPLE_RATE, load_model, read_manifest, read_mono

SET = "librispeech_test_other_100"
GAP_SECONDS = 1.0
ALONE = 4  # utterances that are recordings of their own
LONG_SECONDS = 90


def recordings(corpus):
    """[[path of each utterance]]: some alone, from all over the set, and some joined."""
    paths = [f"{SET}/{row['relative_path']}" for row in read_manifest(corpus / SET)]
    step = len(paths) // ALONE
    alone = [[path] for path in paths[::step][:ALONE]]
    joined, seconds = [], 0.0
    for path in paths[step // 2 :: 3]:
        joined.append(path)
        seconds += len(read_mono(corpus / path)) / SAMPLE_RATE + GAP_SECONDS
        if seconds >= LONG_SECONDS:
            break
    return [*alone, joined]


def samples(corpus, paths):
    gap = torch.zeros(int(GAP_SECONDS * SAMPLE_RATE))
    parts = [part for path in paths for part in (torch.as_tensor(read_mono(corpus / path)), gap)]
    return torch.cat(parts if len(paths) > 1 else parts[:1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("published", type=Path)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    made = []
    for name in ("tiny.en", "base"):
        model = load_model(arguments.published / "hf" / name)
        for paths in recordings(arguments.corpus):
            result = model.transcribe(
                samples(arguments.corpus, paths),
                language="en",
                beam_size=5,
                best_of=5,
                temperature=(0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
                fp16=False,
            )
            assert all(segment["temperature"] == 0 for segment in result["segments"]), paths
            segments = [[round(s["start"], 2), round(s["end"], 2), s["text"]] for s in result["segments"] if s["text"]]
            made.append({"model": name, "utterances": paths, "text": result["text"], "segments": segments})
            print(f"{name}, {len(paths)} utterances: {len(segments)} segments, {len(result['text'].split())} words", flush=True)
    golden = {"gap_seconds": GAP_SECONDS, "recordings": made}
    (Path(__file__).parent / "published_texts.json").write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
