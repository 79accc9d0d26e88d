#!/usr/bin/env python3
"""What `transcribe` hears: word error rates of recordings whose words are known, and text where nobody speaks.

    python3 bench/score_corpora.py recordings ../shared/corpus/librispeech_dev_clean_mp3 -o data     # data/ten-1.wav, .txt ...
    python3 bench/score_corpora.py files MODEL data/ten-*.wav -- --strategy sequential
    python3 bench/score_corpora.py corpus MODEL ../shared/corpus/librispeech_test_other_100 --limit 50 -- --beam 1
    python3 bench/score_corpora.py noise MODEL ../shared/corpus/noise

What follows -- are options of transcribe. Words are compared after Whisper's English normalizer. Each row says words of the
reference, error rate in %, substitutions, deletions, insertions, user seconds; below stand the runs of three or more words in a row
that are missing in the text. Needs jiwer and whisper-normalizer (openai/whisper's normalizer without the rest), and for recordings
ffmpeg and numpy.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
NOTABLE_RUN = 3


def normalized(text):
    from whisper_normalizer.english import EnglishTextNormalizer

    if not hasattr(normalized, "rules"):
        normalized.rules = EnglishTextNormalizer()
    return normalized.rules(text)


class Score:
    """Word errors of pairs of texts. deleted: (name, missing words, and what was heard instead around them)."""

    def __init__(self):
        self.words = self.substitutions = self.deletions = self.insertions = 0
        self.deleted, self.inserted = [], []

    def add(self, name, said, heard):
        import jiwer

        said, heard = normalized(said), normalized(heard)
        if not said:
            raise SystemExit(f"{name}: the reference has no words")
        if not heard:
            self.words += len(said.split())
            self.deletions += len(said.split())
            self.deleted.append((name, said))
            return
        found = jiwer.process_words(said, heard)
        self.words += found.hits + found.substitutions + found.deletions
        self.substitutions += found.substitutions
        self.deletions += found.deletions
        self.insertions += found.insertions
        for chunk in found.alignments[0]:
            if chunk.type == "delete" and chunk.ref_end_idx - chunk.ref_start_idx >= NOTABLE_RUN:
                self.deleted.append((name, " ".join(found.references[0][chunk.ref_start_idx : chunk.ref_end_idx])))
            if chunk.type == "insert" and chunk.hyp_end_idx - chunk.hyp_start_idx >= NOTABLE_RUN:
                self.inserted.append((name, " ".join(found.hypotheses[0][chunk.hyp_start_idx : chunk.hyp_end_idx])))

    @property
    def rate(self):
        return 100 * (self.substitutions + self.deletions + self.insertions) / max(self.words, 1)

    def merge(self, other):
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def row(self):
        return f"{self.words} words, WER {self.rate:.2f} %: {self.substitutions} sub, {self.deletions} del, {self.insertions} ins"

    def runs(self):
        for title, runs in (("missing", self.deleted), ("too much", self.inserted)):
            for name, words in runs:
                yield f"  {title} in {name}: {len(words.split())} words: {words}"


def transcribe(program, model, files, options):
    """([JSON object of each file], user seconds of the process)"""
    before = os.times().children_user
    command = [program, "-m", model, "--quiet", "-f", "jsonl", *options, "--jobs-file", "-"]
    listed = "".join(f"{file}\n" for file in files)
    done = subprocess.run(command, input=listed, stdout=subprocess.PIPE, text=True)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(map(str, command))}: exit code {done.returncode}")
    results = [json.loads(line) for line in done.stdout.splitlines()]
    if len(results) != len(files):
        raise SystemExit(f"{len(files)} files, {len(results)} results")
    return results, os.times().children_user - before


def make_recordings(arguments):
    arguments.output.mkdir(parents=True, exist_ok=True)
    for seed in range(1, arguments.count + 1):
        make = [sys.executable, HERE / "make_recording.py", *arguments.corpora, "--minutes", str(arguments.minutes)]
        make += ["--pauses", "0.2", "2", "--seed", str(seed), "-o", arguments.output / f"ten-{seed}.wav"]
        subprocess.run(make, check=True)


def score_pairs(arguments, pairs, each):
    """pairs: (name, file, text that was said). each: a row for every pair, too."""
    results, seconds = transcribe(arguments.program, arguments.model, [file for _, file, _ in pairs], arguments.options)
    total = Score()
    for (name, _, said), result in zip(pairs, results):
        score = Score()
        score.add(name, said, result["text"])
        if each:
            print(f"{name}: {score.row()}")
        total.merge(score)
    print(f"all {len(pairs)}: {total.row()}; {seconds:.1f} user s")
    print("\n".join(total.runs()))
    if arguments.json:
        arguments.json.write_text("".join(json.dumps(result) + "\n" for result in results))


def score_files(arguments):
    pairs = [(file.name, file, file.with_suffix(".txt").read_text()) for file in arguments.files]
    score_pairs(arguments, pairs, each=True)


def score_corpus(arguments):
    from make_recording import utterances

    found = [(path.stem, path, said) for path, said in utterances(arguments.corpus)]
    if arguments.limit:  # evenly, so that every speaker is met
        found = [found[i * len(found) // arguments.limit] for i in range(min(arguments.limit, len(found)))]
    score_pairs(arguments, found, each=False)


def score_noise(arguments):
    files = sorted(file for suffix in ("flac", "wav", "opus", "mp3") for file in arguments.folder.rglob(f"*.{suffix}"))
    results, seconds = transcribe(arguments.program, arguments.model, files, arguments.options)
    heard = [(file.name, result["text"].strip()) for file, result in zip(files, results) if result["text"].strip()]
    print(f"text in {len(heard)} of {len(files)} recordings without speech; {seconds:.1f} user s")
    for name, text in heard:
        print(f"  {name}: {text}")


def main():
    own = sys.argv[1 : sys.argv.index("--")] if "--" in sys.argv else sys.argv[1:]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    make = commands.add_parser("recordings")
    make.add_argument("corpora", nargs="+")
    make.add_argument("-o", "--output", type=Path, required=True)
    make.add_argument("--count", type=int, default=5)
    make.add_argument("--minutes", type=float, default=10)
    make.set_defaults(act=make_recordings)
    for name, act in (("files", score_files), ("corpus", score_corpus), ("noise", score_noise)):
        command = commands.add_parser(name)
        command.add_argument("model")
        command.add_argument("--program", default="build/transcribe")
        command.add_argument("--json", type=Path, metavar="FILE", help="the results of transcribe, one a line")
        command.set_defaults(act=act)
        if name == "files":
            command.add_argument("files", nargs="+", type=Path)
        elif name == "corpus":
            command.add_argument("corpus")
            command.add_argument("--limit", type=int, help="so many utterances, evenly over the corpus")
        else:
            command.add_argument("folder", type=Path)
    arguments = parser.parse_args(own)
    arguments.options = sys.argv[len(own) + 2 :]
    arguments.act(arguments)


if __name__ == "__main__":
    main()
