#!/usr/bin/env python3
"""Whole files through us and the peers: seconds, real-time factors, word error rates; programs take turns, medians count.

    python3 bench/compare_files.py base.parley ten.wav --python venv/bin/python --ctranslate2 base.ct2 --hugging-face base \\
        --whisper-cli whisper-cli --ggml f16=ggml-model-f16.bin --ggml q8_0=ggml-model-q8_0.bin

Every program decodes with the same beam on the same threads; without --as-they-are at temperature 0, without fallback and without
the text before as a prompt, so that all do the same work. Ours and whisper.cpp's seconds are those of the whole process, loading
included; for faster-whisper and openai/whisper only their transcribe() counts, with the model already loaded. Several files are
given to one process. FILE.txt beside FILE.wav holds the words that were said.
"""

import argparse
import itertools
import json
import os
import re
import statistics
import subprocess
import time
import wave
from pathlib import Path

from compare import digest, machine
from score import Score


class Process:
    """A program that prints the text of the files; its whole time counts."""

    def __init__(self, name, command, model, environment={}):
        self.name, self.command, self.model, self.environment = name, command, model, os.environ | environment

    def run(self):
        """(seconds, text)"""
        start = time.monotonic()
        done = subprocess.run(self.command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace")
        if done.returncode != 0:
            raise SystemExit(f"{self.name}: exit code {done.returncode}\n{done.stderr[-2000:]}")
        return time.monotonic() - start, re.sub(r"^\[[\d:.]+ --> [\d:.]+\]", "", done.stdout, flags=re.MULTILINE)


class PythonPeer(Process):
    """bench/python_peer.py, which times itself and prints one JSON object."""

    def run(self):
        result = json.loads(super().run()[1].splitlines()[-1])
        return result["seconds"], result["text"]


def seconds_of(path):
    with wave.open(str(path)) as file:
        return file.getnframes() / file.getframerate()


# Each with the module it needs.
PYTHON_PEERS = {
    "faster-whisper-batched": "faster_whisper",
    "faster-whisper-sequential": "faster_whisper",
    "openai-whisper": "whisper",
}


def ours(arguments, files):
    source = json.loads((Path(arguments.model) / "model.json").read_text())["source"]
    for level, strategy in itertools.product([None, *arguments.max_isa], arguments.strategy):
        equal = ["--temperature", "0"] + ["--no-condition-on-previous-text"] * (strategy == "sequential")
        command = [arguments.program, "-m", arguments.model, "--strategy", strategy, "--beam", str(arguments.beam)]
        command += [*([] if arguments.as_they_are else equal), "--language", "en", "--threads", str(arguments.threads)]
        name = f"parley {strategy}" + (f", {level}" if level else "")
        environment = {"PARLEY_MAX_ISA": level} if level else {}
        yield Process(name, [*command, "--quiet", *files], f"sha256 {source.get('sha256', '?')[:12]}", environment)


def whisper_cpp(arguments, files):
    for labelled in arguments.ggml if arguments.whisper_cli else []:
        label, _, model = labelled.rpartition("=")
        beam, threads = str(arguments.beam), str(arguments.threads)
        command = [arguments.whisper_cli, "-m", model, "-bs", beam, "-bo", beam, "-t", threads, "-ng", "-np", "-l", "en"]
        command += [] if arguments.as_they_are else ["-nf", "-mc", "0"]
        yield Process(f"whisper.cpp {label}".strip(), [*command, *files], f"sha256 {digest(model)[:12]}")


def python_peers(arguments, files):
    script = str(Path(__file__).with_name("python_peer.py"))
    for kind, module in PYTHON_PEERS.items():
        model = arguments.ctranslate2 if module == "faster_whisper" else arguments.hugging_face
        model = model or arguments.hugging_face
        if not model or kind in arguments.without:
            continue
        have = f"import importlib.util as u, sys; sys.exit(u.find_spec('{module}') is None)"
        if subprocess.run([arguments.python, "-c", have]).returncode != 0:
            print(f"left out: {kind}, as {arguments.python} has no {module}")
            continue
        options = ["--threads", str(arguments.threads), "--beam", str(arguments.beam)]
        options += ["--as-they-are"] if arguments.as_they_are else []
        weights = next(file for file in (Path(model) / "model.bin", Path(model) / "model.safetensors") if file.exists())
        command = [arguments.python, script, kind, model, *options, *files]
        yield PythonPeer(kind, command, f"sha256 {digest(weights)[:12]}")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="our model folder")
    parser.add_argument("files", nargs="+", type=Path, help="16 kHz WAV")
    parser.add_argument("--program", default="build/transcribe")
    parser.add_argument("--strategy", nargs="+", default=["windows"])
    parser.add_argument("--max-isa", nargs="+", default=[], metavar="ISA", help="ours also held to these instruction sets")
    parser.add_argument("--whisper-cli", help="whisper.cpp's program")
    parser.add_argument("--ggml", action="append", default=[], metavar="[LABEL=]FILE", help="the same model for it")
    parser.add_argument("--hugging-face", help="the same model for the Python peers")
    parser.add_argument("--ctranslate2", help="the same model for faster-whisper; else it is converted")
    parser.add_argument("--python", default="python3", help="a Python that has the peers")
    parser.add_argument("--without", nargs="+", default=[], choices=PYTHON_PEERS, help="peers to leave out")
    parser.add_argument("--as-they-are", action="store_true", help="fallback and prompts as each program does by default")
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--runs", type=int, default=3)
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    facts = machine()
    files = list(map(str, arguments.files))
    contestants = [*ours(arguments, files), *whisper_cpp(arguments, files), *python_peers(arguments, files)]
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
    how = "as they are" if arguments.as_they_are else "temperature 0, no fallback, no prompt"
    print(f"{len(files)} files, {audio:.0f} s; {arguments.threads} threads, beam {arguments.beam}, {how}; medians of {arguments.runs}")
    print("\n| program | weights | seconds (least) | real-time factor | ours is faster by | WER % | sub, del, ins |")
    print("|---|---|---|---|---|---|---|")
    first = statistics.median(times[contestants[0].name])
    for contestant in contestants:
        median, least = statistics.median(times[contestant.name]), min(times[contestant.name])
        cells = [contestant.name, contestant.model, f"{median:.2f} ({least:.2f})", f"{median / audio:.4f}", f"{median / first:.2f}"]
        if reference is not None:
            score = Score().add("files", reference, texts[contestant.name])
            cells += [f"{score.rate:.2f}", f"{score.substitutions}, {score.deletions}, {score.insertions}"]
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
