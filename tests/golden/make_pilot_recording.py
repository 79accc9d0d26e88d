#!/usr/bin/env python3
"""Transcribes one long recording by the published implementation (whisper.transcribe), in f32 on the CPU.

    pip install openai-whisper torch safetensors soundfile
    python3 make_pilot_recording.py MODEL_FOLDER CORPUS_FOLDER

The recording is utterances of pilot_en_reference.tsv, each followed by half a second of zeros. Writes pilot_en_recording.json: how
it is made, and the segments that transcribe() gives at temperature 0, with and without the text before as the prompt. Those that it
empties are left out.
"""

import argparse
import json
from pathlib import Path

import torch
import whisper
from make_pilot_reference import SAMPLE_RATE, load_model, read_mono
from make_pilot_words import read_reference

SECONDS = 180
STRIDE = 9
GAP_SECONDS = 0.5


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("corpus", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(2)

    here = Path(__file__).parent
    gap = torch.zeros(int(GAP_SECONDS * SAMPLE_RATE))
    utterances, parts = [], []
    for row in read_reference(here / "pilot_en_reference.tsv")[::STRIDE]:
        utterances.append(row["path"])
        parts += [torch.as_tensor(read_mono(arguments.corpus / row["path"])), gap]
        if sum(map(len, parts)) >= SECONDS * SAMPLE_RATE:
            break
    recording = torch.cat(parts)

    model = load_model(arguments.model)
    runs = []
    for with_prompt in (False, True):
        result = model.transcribe(
            recording, language="en", temperature=0, fp16=False, condition_on_previous_text=with_prompt
        )
        segments = [[round(s["start"], 2), round(s["end"], 2), s["text"]] for s in result["segments"] if s["text"]]
        runs.append({"condition_on_previous_text": with_prompt, "segments": segments})
        print(f"prompt {with_prompt}: {len(segments)} segments, {len(result['text'].split())} words")
    made = {"utterances": utterances, "gap_seconds": GAP_SECONDS, "runs": runs}
    (here / "pilot_en_recording.json").write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main()
