"""Human speech into shards: python corpora.py --corpus DIR --out DIR [--transcripts FILE] [--more FOLDER ...].

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
from shards import RATE, ShardWriter, at_rate, finished_shards

MEASURING_SPEAKERS = {"1272", "2035"}
MEASURING_NOISES = {"bg_noise3", "bg_noise4", "bg_noise9", "exercise_bike", "running_tap"}
# folder -> (shard prefix, speakers taken)
TRAINING = {
    "librispeech_dev_clean_mp3": ("human_librispeech", lambda speaker: speaker not in MEASURING_SPEAKERS),
    "librispeech_train_clean_100_251spk": ("human_251", lambda speaker: True),
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


def read_transcripts(path: Path | None) -> dict[str, str]:
    """File name without its ending -> text, of lines NAME<TAB>TEXT."""
    return dict(line.split("\t", 1) for line in path.read_text(encoding="utf-8").splitlines()) if path else {}


def write(folder: Path, out: Path, prefix: str, number: int, taken, transcripts: dict[str, str]) -> None:
    if number in finished_shards(out, prefix):
        return
    with ShardWriter(out, prefix, number) as writer:
        for row in manifest(folder):
            text = row["transcript"] or transcripts.get(Path(row["relative_path"]).stem, "")
            if not taken(row["speaker"]) or not text:
                continue
            audio = read_audio(folder / row["relative_path"])
            if len(audio) < 28 * RATE or prefix.startswith("held_out"):
                writer.add(audio, sentences.read_speech(sentences.clean(text)), row["speaker"], folder.name)
        print(prefix, len(writer.lines), f"{writer.position / RATE / 3600:.2f} h", flush=True)


def noise(corpus: Path, out: Path) -> None:
    paths = sorted((corpus / "noise").rglob("*.flac"))
    for prefix, measuring in (("noise", False), ("held_out_noise", True)):
        if 0 in finished_shards(out, prefix):
            continue
        with ShardWriter(out, prefix, 0) as writer:
            for path in paths:
                if (path.stem in MEASURING_NOISES) == measuring:
                    writer.add(read_audio(path), "", path.stem, "noise")


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--corpus", type=Path, required=True)
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--transcripts", type=Path, help="NAME<TAB>TEXT a line, of recordings whose manifest says no text")
    arguments.add_argument("--more", type=Path, nargs="*", default=[], help="further folders with a manifest.tsv, to train on")
    options = arguments.parse_args()
    transcripts = read_transcripts(options.transcripts)
    noise(options.corpus, options.out)
    for table in (TRAINING, MEASURING):
        for name, (prefix, taken) in table.items():
            write(options.corpus / name, options.out, prefix, 0, taken, transcripts)
    for number, folder in enumerate(options.more):
        write(folder, options.out, "human_more", number, lambda speaker: True, transcripts)


if __name__ == "__main__":
    main()
