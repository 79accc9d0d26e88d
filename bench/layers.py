#!/usr/bin/env python3
"""How near every kind of layer comes to what the processor can do, at every instruction set that it has.

    python3 bench/layers.py MODEL INPUT [--build build]

INPUT is a recording for a speech model and a text file for a voice. The peak is measured first (build/bench_peak), then `parley
profile` runs the input in turns at each level (PARLEY_MAX_ISA). A layer cannot be faster than its operations at the peak of its
arithmetic, nor than its bytes from memory: the longer of the two, as a share of the time it took, stands in the table. Over 100 %
means that a cache held what it read. Kinds of layers below --low are named, with what they cost.
"""

import argparse
import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from compare import machine, run


def arithmetic_of(kernel):
    for name in ("int8", "bf16"):
        if name in kernel and "x f32" not in kernel:
            return name
    return "f32"


def peak_of(peaks, operator):
    """Operations a second (10^9) of the arithmetic that the kernel computes in, at its own level or the next one below that has it."""
    levels = list(peaks["gflops"])
    known = levels[: levels.index(operator["instruction_set"]) + 1] if operator["instruction_set"] in levels else levels
    arithmetic = arithmetic_of(operator["kernel"])
    return next((peaks["gflops"][level][arithmetic] for level in reversed(known) if arithmetic in peaks["gflops"][level]), None)


def profile(arguments, level):
    """{(layer kind, operator, kernel): [seconds, least seconds that the machine allows]}"""
    command = [arguments.build / "parley", "profile", arguments.model, "--input", arguments.input, "--json", "-"]
    output, _ = run([*command, "--threads", str(arguments.threads)], {"PARLEY_MAX_ISA": level})
    kinds = defaultdict(lambda: [0.0, 0.0])
    for operator in json.loads(output)["operators"]:
        kind = kinds[re.sub(r"\.\d+\b", ".N", operator["layer"]), operator["operator"], operator["kernel"]]
        kind[0] += operator["seconds"]
        peak = peak_of(arguments.peaks, operator)
        compute = operator["flops"] / peak * 1e-9 if peak else 0
        kind[1] += max(compute, operator["bytes"] / arguments.peaks["memory_gbytes"] * 1e-9)
    return kinds


def best_profile(profiles):
    """Of each kind the fastest run: the peak is the best of several tries, too."""
    return {kind: min((p[kind] for p in profiles if kind in p), key=lambda times: times[0]) for kind in profiles[0]}


def cell(kernel, seconds, share):
    return f"{seconds * 1e3:.1f} ms, **{share:.0%}**, {kernel}"


def print_table(arguments, results):
    total = {level: sum(seconds for seconds, _ in kinds.values()) for level, kinds in results.items()}
    names = defaultdict(dict)  # (layer, operator): {level: (kernel, seconds, share)}
    for level, kinds in results.items():
        for (layer, operator, kernel), (seconds, least) in kinds.items():
            names[layer, operator][level] = kernel, seconds, least / seconds if seconds else 1
    shown = {n: by for n, by in names.items() if any(s >= arguments.least * total[level] for level, (_, s, _) in by.items())}
    print(f"\n| {Path(arguments.model).name}: layer | " + " | ".join(results) + " |")
    print("|---" * (len(results) + 1) + "|")
    for (layer, operator), by in sorted(shown.items(), key=lambda item: -max(s for _, s, _ in item[1].values())):
        cells = ["" if level not in by else cell(*by[level]) for level in results]
        print(f"| {layer}, {operator} | " + " | ".join(cells) + " |")
    print("| all | " + " | ".join(f"{seconds * 1e3:.0f} ms" for seconds in total.values()) + " |")
    low = [
        f"- {layer}, {operator}, {kernel} at {level}: {share:.0%} of the peak, {seconds / total[level]:.1%} of the time"
        for (layer, operator), by in names.items()
        for level, (kernel, seconds, share) in by.items()
        if share < arguments.low and seconds >= 1e-3 * total[level]
    ]
    print(f"\nBelow {arguments.low:.0%} of the peak, and at least a thousandth of the time: {len(low) or 'none'}")
    print("\n".join(low))


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="our model folder, or an installed model")
    parser.add_argument("input", help="a recording, or a text file for a voice")
    parser.add_argument("--build", type=Path, default=Path("build"), help="where parley and bench_peak are")
    parser.add_argument("--levels", nargs="+", help="of generic, avx2, avx512, vnni, amx; without it all that the processor has")
    parser.add_argument("--least", type=float, default=0.01, help="share of the time from which on a layer is in the table")
    parser.add_argument("--low", type=float, default=0.25, help="share of the peak below which a layer is named")
    parser.add_argument("--threads", type=int, default=machine()["cores"])
    parser.add_argument("--runs", type=int, default=3)
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    facts = machine()
    arguments.peaks = json.loads(run([arguments.build / "bench_peak"], {"OMP_NUM_THREADS": str(arguments.threads)})[0])
    levels = arguments.levels or list(arguments.peaks["gflops"])
    profiles = {level: [] for level in levels}
    for _ in range(arguments.runs):
        for level in levels:
            profiles[level].append(profile(arguments, level))
    print(f"{facts['cpu']}, {arguments.threads} threads, load {facts['load_average']:.2f} before; best of {arguments.runs}")
    peaks = [f"{level} {name} {rate:.0f}" for level, rates in arguments.peaks["gflops"].items() for name, rate in rates.items()]
    print(f"peak, GFLOP/s: {', '.join(peaks)}; memory {arguments.peaks['memory_gbytes']:.1f} GB/s")
    print_table(arguments, {level: best_profile(profiles[level]) for level in levels})


if __name__ == "__main__":
    main()
