"""Human speech into shards: python corpora.py --corpus DIR --out DIR.

What measures is never written into a training shard: librispeech_test_*, commands, the dev-clean speakers 1272 and 2035,
and a third of the noises.
"""

import argparse
import csv
import io
from pathlib import Path

import numpy as np
import soundfile

import sentences
from shards import RATE, ShardWriter, at_rate

MEASURING_SPEAKERS = {"1272", "2035"}
MEASURING_NOISES = {"bg_noise3", "bg_noise4", "bg_noise9", "exercise_bike", "running_tap"}
# folder -> (shard prefix, speakers taken)
TRAINING = {
    "librispeech_dev_clean_mp3": ("human_librispeech", lambda speaker: speaker not in MEASURING_SPEAKERS),
    "an4": ("human_an4", lambda speaker: True),
    "fsdd": ("human_fsdd", lambda speaker: True),
    "ljspeech_33": ("human_lj", lambda speaker: True),
    "philippmatthes_lj_sentences": ("human_pm", lambda speaker: True),
}
MEASURING = {
    "librispeech_dev_clean_mp3": ("held_out_dev", lambda speaker: speaker in MEASURING_SPEAKERS),
    "librispeech_test_other_100": ("held_out_other", lambda speaker: True),
    "librispeech_test_clean_4": ("held_out_clean", lambda speaker: True),
    "commands": ("held_out_commands", lambda speaker: True),
}


def read_audio(path: Path) -> np.ndarray:
    """int16, 16 kHz, mono."""
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return (np.clip(at_rate(audio.mean(axis=1), rate), -1, 1) * 32767).astype(np.int16)


def manifest(folder: Path) -> list[dict]:
    with open(folder / "manifest.tsv", encoding="utf-8") as file:
        return list(csv.DictReader(io.StringIO(file.read()), delimiter="\t", quoting=csv.QUOTE_NONE))


def write(corpus: Path, out: Path, name: str, prefix: str, taken) -> None:
    with ShardWriter(out, prefix, 0) as writer:
        for row in manifest(corpus / name):
            if not taken(row["speaker"]) or not row["transcript"]:
                continue
            audio = read_audio(corpus / name / row["relative_path"])
            if len(audio) < 28 * RATE or prefix.startswith("held_out"):
                writer.add(audio, sentences.read_speech(sentences.clean(row["transcript"])), row["speaker"], name)
        print(prefix, len(writer.lines), f"{writer.position / RATE / 3600:.2f} h", flush=True)


def noise(corpus: Path, out: Path) -> None:
    paths = sorted((corpus / "noise").rglob("*.flac"))
    for prefix, measuring in (("noise", False), ("held_out_noise", True)):
        if (out / f"{prefix}-0000.jsonl").exists():
            continue
        with ShardWriter(out, prefix, 0) as writer:
            for path in paths:
                if (path.stem in MEASURING_NOISES) == measuring:
                    writer.add(read_audio(path), "", path.stem, "noise")


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--corpus", type=Path, required=True)
    arguments.add_argument("--out", type=Path, required=True)
    options = arguments.parse_args()
    noise(options.corpus, options.out)
    for table in (TRAINING, MEASURING):
        for name, (prefix, taken) in table.items():
            if not (options.out / f"{prefix}-0000.jsonl").exists():
                write(options.corpus, options.out, name, prefix, taken)


if __name__ == "__main__":
    main()
