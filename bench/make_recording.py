#!/usr/bin/env python3
"""Joins utterances of a corpus into one long recording whose words are known, or writes them one by one.

    python3 bench/make_recording.py ../shared/corpus/commands ../shared/corpus/an4 --minutes 10 --pauses 0.2 2 -o ten.wav
    python3 bench/make_recording.py ../shared/corpus/librispeech_test_other_100 --apart 50 -o utterances

Corpus folders hold manifest.tsv (relative_path, ..., transcript). Writes ten.wav (16 kHz, mono, 16 bit) and ten.txt, the transcript;
--apart: the first 50 as utterances/01.wav, utterances/01.txt, ... Needs ffmpeg and numpy.
"""

import argparse
import csv
import subprocess
import wave
from pathlib import Path

import numpy as np

RATE = 16000


def utterances(folder):
    with open(Path(folder) / "manifest.tsv", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            yield Path(folder) / row["relative_path"], row["transcript"]


def samples(path):
    command = ["ffmpeg", "-v", "error", "-i", path, "-f", "s16le", "-ac", "1", "-ar", str(RATE), "-"]
    return np.frombuffer(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout, dtype="<i2")


def write(output, pieces, words):
    with wave.open(str(output), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(np.concatenate(pieces).tobytes())
    output.with_suffix(".txt").write_text("\n".join(words) + "\n")


def write_apart(found, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for i, (path, transcript) in enumerate(found, 1):
        write(folder / f"{i:0{len(str(len(found)))}}.wav", [samples(path)], [transcript])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpora", nargs="+")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--pauses", type=float, nargs=2, default=[0.2, 2], metavar=("LOW", "HIGH"), help="seconds")
    parser.add_argument("--apart", type=int, metavar="N", help="the first N, each in a file of its own, in the folder OUTPUT")
    parser.add_argument("--lead", type=float, default=0, help="seconds of silence first: shifts the windows")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    found = [utterance for corpus in arguments.corpora for utterance in utterances(corpus)]
    if arguments.apart:
        return write_apart(found[: arguments.apart], arguments.output)
    random = np.random.default_rng(arguments.seed)
    pieces, words = [np.zeros(round(arguments.lead * RATE), "<i2")], []
    wanted = arguments.minutes * 60 * RATE + len(pieces[0])
    for index in random.permutation(len(found)):
        path, transcript = found[index]
        pieces += [samples(path), np.zeros(round(random.uniform(*arguments.pauses) * RATE), "<i2")]
        words.append(transcript)
        if sum(map(len, pieces)) >= wanted:
            break
    write(arguments.output, pieces, words)


if __name__ == "__main__":
    main()
