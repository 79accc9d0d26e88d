#!/usr/bin/env python3
"""What compression costs and gains: a table of every way to store a model's weights.

    python3 bench/storages.py --words MODEL --manifest commands/manifest.tsv --manifest an4/manifest.tsv --speed MODEL

--words: a model folder whose word error rates count (`parley validate`). --speed: one whose size and times count
(`build/bench_storages`, all forms in turns); random weights do, as bench/random_whisper.py makes them. Either may be left
out. Forms are made by `parley compress` under --work and kept.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

STORAGES = ["f16", "int8", "int4", "palette4"]


def run(*command):
    return subprocess.run([str(c) for c in command], check=True, stdout=subprocess.PIPE, text=True).stdout


class Forms:
    """The storages of one model, as folders."""

    def __init__(self, model, options):
        self.folders = {}
        for storage in options.storages:
            folder = Path(options.work) / f"{model.name}-{storage}"
            if not (folder / "model.json").exists():
                run(options.build / "parley", "compress", model, "-o", folder, "--weights", storage, "--quiet")
            self.folders[storage] = folder


def weight_bytes(folder):
    return sum(file.stat().st_size for file in folder.rglob("*.safetensors"))


def measure_speed(model, options):
    """{storage: {"bytes", "encoder_ms", "step_ms_1", "step_ms_5"}}"""
    forms = Forms(model, options).folders
    lines = run(
        options.build / "bench_storages", "--threads", options.threads, "--repetitions", options.repetitions, *forms.values()
    ).splitlines()
    return {
        storage: json.loads(line) | {"bytes": weight_bytes(folder)}
        for (storage, folder), line in zip(forms.items(), lines, strict=True)
    }


def validate(folder, manifest, options, precision):
    command = [options.build / "parley", "validate", folder, "--manifest", manifest, "--beam", options.beam, "--quiet"]
    command += ["--precision", precision, "--threads", options.threads, "--json", "-"]
    if options.limit:
        command += ["--limit", options.limit]
    return json.loads(run(*command))["task"]["model"]


def measure_words(model, options):
    """{storage or "f32": [score of each manifest]}; "f32": the model as it is, computed in f32."""
    rows = {"f32": (model, "f32")} | {s: (f, "auto") for s, f in Forms(model, options).folders.items()}
    scores = {}
    for row, (folder, precision) in rows.items():
        scores[row] = [validate(folder, manifest, options, precision) for manifest in options.manifest]
        print(row, [round(score["wer"], 2) for score in scores[row]], file=sys.stderr)
    return scores


def table(speed, words, options):
    header = ["`--weights`"]
    if speed:
        header += ["size", "encoder", "token, 1 row", "token, 5 rows"]
    header += [Path(manifest).parent.name for manifest in options.manifest] if words else []
    lines = [header, ["---"] * len(header)]
    for row in (["f32"] if words else []) + options.storages:
        cells = ["f16, computed in f32" if row == "f32" else row]
        if speed and row == "f32":
            cells += ["–"] * 4
        elif speed:
            s = speed[row]
            cells += [f"{s['bytes'] / 1e6:.0f} MB", f"{s['encoder_ms']:.0f} ms", f"{s['step_ms_1']:.2f} ms"]
            cells += [f"{s['step_ms_5'] / 5:.2f} ms"]
        if words:
            cells += [f"{score['wer']:.2f} %" for score in words[row]]
        lines.append(cells)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--words", type=Path, metavar="MODEL")
    parser.add_argument("--manifest", action="append", default=[], metavar="TSV")
    parser.add_argument("--limit", type=int, help="recordings of each manifest")
    parser.add_argument("--beam", type=int, default=1)
    parser.add_argument("--speed", type=Path, metavar="MODEL")
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--storages", nargs="+", default=STORAGES)
    parser.add_argument("--build", type=Path, default=Path("build"))
    parser.add_argument("--work", default="bench-models/storages")
    parser.add_argument("--json", metavar="FILE", help="every number, too")
    options = parser.parse_args()
    if options.words and not options.manifest:
        parser.error("--words needs a --manifest")
    Path(options.work).mkdir(parents=True, exist_ok=True)
    speed = measure_speed(options.speed, options) if options.speed else {}
    words = measure_words(options.words, options) if options.words else {}
    print(table(speed, words, options))
    if options.json:
        Path(options.json).write_text(json.dumps({"speed": speed, "words": words}, indent=1) + "\n")


if __name__ == "__main__":
    main()
