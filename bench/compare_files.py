#!/usr/bin/env python3
"""Whole files through us and the peers: seconds, real-time factors, word error rates; programs take turns, medians count.

    python3 bench/compare_files.py build/models/pilot-en ten.wav --whisper-cli whisper-cli --ggml ggml-model-f16.bin \\
        --hugging-face ../shared/models/pilot-en --python venv/bin/python

Every program decodes with the same beam at temperature 0, without fallback, on the same threads. Ours and whisper.cpp's seconds are
those of the whole process, loading included; for faster-whisper and openai/whisper only their transcribe() counts, with the model
already loaded. Several files are given to one process. FILE.txt beside FILE.wav holds the words that were said.
"""

import argparse
import json
import os
import statistics
import subprocess
import time
import wave
from pathlib import Path

from compare import machine
from score import word_errors


class Process:
    """A program that prints the text of the files; its whole time counts."""

    def __init__(self, name, command):
        self.name, self.command = name, command

    def run(self):
        start = time.monotonic()
        done = subprocess.run(self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace")
        if done.returncode != 0:
            raise SystemExit(f"{self.name}: exit code {done.returncode}\n{done.stderr[-2000:]}")
        return time.monotonic() - start, done.stdout


class PythonPeer(Process):
    """bench/python_peer.py, which times itself and prints one JSON object."""

    def run(self):
        result = json.loads(super().run()[1].splitlines()[-1])
        return result["seconds"], result["text"]


def seconds_of(path):
    with wave.open(str(path)) as file:
        return file.getnframes() / file.getframerate()


PYTHON_PEERS = {"faster-whisper": "faster_whisper", "openai-whisper": "whisper"}


def programs(arguments):
    files, threads, beam = list(map(str, arguments.files)), str(arguments.threads), str(arguments.beam)
    for strategy in arguments.strategy:
        yield Process(
            f"parley {strategy}",
            [arguments.program, "-m", arguments.model, "--strategy", strategy, "--beam", beam, "--temperature", "0"]
            + ["--no-condition-on-previous-text"] * (strategy == "sequential")
            + ["--threads", threads, "--quiet", *files],
        )
    if arguments.whisper_cli and arguments.ggml:
        options = ["-bs", beam, "-bo", beam, "-nf", "-t", threads, "-ng", "-nt", "-np", "-l", "en"]
        yield Process("whisper.cpp", [arguments.whisper_cli, "-m", arguments.ggml, *options, *files])
    if arguments.hugging_face:
        peer = [arguments.python, str(Path(__file__).with_name("python_peer.py"))]
        for kind, module in PYTHON_PEERS.items():
            have = f"import importlib.util as u, sys; sys.exit(u.find_spec('{module}') is None)"
            if subprocess.run([arguments.python, "-c", have]).returncode == 0:
                yield PythonPeer(kind, [*peer, kind, arguments.hugging_face, threads, beam, *files])
            else:
                print(f"left out: {kind}, as {arguments.python} has no {module}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="our model folder")
    parser.add_argument("files", nargs="+", type=Path, help="16 kHz WAV")
    parser.add_argument("--program", default="build/transcribe")
    parser.add_argument("--strategy", nargs="+", default=["windows"])
    parser.add_argument("--whisper-cli", help="whisper.cpp's program")
    parser.add_argument("--ggml", help="the same model for it")
    parser.add_argument("--hugging-face", help="the same model for the Python peers")
    parser.add_argument("--python", default="python3", help="a Python that has the peers")
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()

    facts = machine()
    contestants = list(programs(arguments))
    times = {contestant.name: [] for contestant in contestants}
    texts = {}
    for _ in range(arguments.runs):
        for contestant in contestants:
            seconds, texts[contestant.name] = contestant.run()
            times[contestant.name].append(seconds)
    audio = sum(map(seconds_of, arguments.files))
    said = [path.with_suffix(".txt") for path in arguments.files]
    reference = "\n".join(path.read_text() for path in said) if all(map(Path.exists, said)) else None
    print(f"{facts['cpu']}, {facts['cores']} cores, {' '.join(facts['features'])}; load {facts['load_average']:.2f} before")
    print(f"{len(arguments.files)} files, {audio:.0f} s; {arguments.threads} threads, beam {arguments.beam}; medians of {arguments.runs}")
    print("\n| program | seconds | real-time factor | ours is faster by | WER % |\n|---|---|---|---|---|")
    ours = statistics.median(times[contestants[0].name])
    for contestant in contestants:
        median = statistics.median(times[contestant.name])
        cells = [contestant.name, f"{median:.2f}", f"{median / audio:.4f}", f"{median / ours:.2f}"]
        if reference is not None:
            errors, count = word_errors(reference, texts[contestant.name])
            cells.append(f"{100 * errors / count:.2f}")
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
