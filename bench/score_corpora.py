#!/usr/bin/env python3
"""What `transcribe` hears: word error rates of recordings whose words are known, and text where nobody speaks.

    python3 bench/score_corpora.py recordings ../shared/corpus/librispeech_dev_clean_mp3 -o data     # data/ten-1.wav, .txt ...
    python3 bench/score_corpora.py files MODEL data/ten-*.wav -- --strategy sequential
    python3 bench/score_corpora.py corpus MODEL ../shared/corpus/librispeech_test_other_100 --limit 50 -- --beam 1
    python3 bench/score_corpora.py noise MODEL ../shared/corpus/noise

What follows -- are options of transcribe. Prints words of the reference, error rate, substitutions, deletions, insertions and user
seconds, then the runs of three or more words in a row that are missing in the text, or too much. Needs what score.py needs, and for
recordings ffmpeg and numpy.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from score import Score

HERE = Path(__file__).parent
SOUNDS = {".flac", ".wav", ".opus", ".mp3"}


def transcribe(arguments, files):
    """([JSON object of each file], user seconds of the process)"""
    before = os.times().children_user
    command = [arguments.program, "-m", arguments.model, "--quiet", "-f", "jsonl", *arguments.options, "--jobs-file", "-"]
    listed = "".join(f"{file}\n" for file in files)
    done = subprocess.run(command, input=listed, stdout=subprocess.PIPE, text=True)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(map(str, command))}: exit code {done.returncode}")
    results = [json.loads(line) for line in done.stdout.splitlines()]
    if len(results) != len(files):
        raise SystemExit(f"{len(files)} files, {len(results)} results")
    if arguments.json:
        arguments.json.write_text("".join(json.dumps(result) + "\n" for result in results))
    return results, os.times().children_user - before


def make_recordings(arguments):
    arguments.output.mkdir(parents=True, exist_ok=True)
    for seed in range(1, arguments.count + 1):
        make = [sys.executable, HERE / "make_recording.py", *arguments.corpora, "--minutes", str(arguments.minutes)]
        make += ["--pauses", "0.2", "2", "--seed", str(seed), "-o", arguments.output / f"ten-{seed}.wav"]
        subprocess.run(make, check=True)


def score_pairs(arguments, pairs, each):
    """pairs: (name, file, text that was said). each: a row for every pair, too."""
    results, seconds = transcribe(arguments, [file for _, file, _ in pairs])
    total = Score()
    for (name, _, said), result in zip(pairs, results):
        score = Score().add(name, said, result["text"])
        if each:
            print(f"{name}: {score.row()}")
        total.merge(score)
    print(f"all {len(pairs)}: {total.row()}; {seconds:.1f} user s")
    print("\n".join(total.runs()))


def score_files(arguments):
    pairs = [(file.name, file, file.with_suffix(".txt").read_text()) for file in arguments.files]
    score_pairs(arguments, pairs, each=True)


def score_corpus(arguments):
    from make_recording import utterances

    found = [(path.stem, path, said) for path, said in utterances(arguments.corpus)]
    if arguments.limit and arguments.limit < len(found):  # evenly, so that every speaker is met
        found = [found[i * len(found) // arguments.limit] for i in range(arguments.limit)]
    score_pairs(arguments, found, each=False)


def score_noise(arguments):
    files = sorted(file for file in arguments.folder.rglob("*") if file.suffix in SOUNDS)
    results, seconds = transcribe(arguments, files)
    heard = [(file.name, result["text"].strip()) for file, result in zip(files, results) if result["text"].strip()]
    print(f"text in {len(heard)} of {len(files)} recordings without speech; {seconds:.1f} user s")
    for name, text in heard:
        print(f"  {name}: {text}")


def parse_arguments():
    own = sys.argv[1 : sys.argv.index("--")] if "--" in sys.argv else sys.argv[1:]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    recordings = commands.add_parser("recordings")
    recordings.add_argument("corpora", nargs="+")
    recordings.add_argument("-o", "--output", type=Path, required=True)
    recordings.add_argument("--count", type=int, default=5)
    recordings.add_argument("--minutes", type=float, default=10)
    recordings.set_defaults(act=make_recordings)
    scores = {}
    for name, act in (("files", score_files), ("corpus", score_corpus), ("noise", score_noise)):
        command = scores[name] = commands.add_parser(name)
        command.add_argument("model")
        command.add_argument("--program", default="build/transcribe")
        command.add_argument("--json", type=Path, metavar="FILE", help="the results of transcribe, one a line")
        command.set_defaults(act=act)
    scores["files"].add_argument("files", nargs="+", type=Path)
    scores["corpus"].add_argument("corpus")
    scores["corpus"].add_argument("--limit", type=int, help="so many utterances, evenly over the corpus")
    scores["noise"].add_argument("folder", type=Path)
    arguments = parser.parse_args(own)
    arguments.options = sys.argv[len(own) + 2 :]
    return arguments


if __name__ == "__main__":
    parsed = parse_arguments()
    parsed.act(parsed)
