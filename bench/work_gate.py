#!/usr/bin/env python3
"""Fails when build/count_work takes over 10 % more instructions than bench/work_baseline.json says; names the functions that grew.

    python3 bench/work_gate.py              # make check-work
    python3 bench/work_gate.py --update     # after a change that is meant: commit the new baseline with it

valgrind counts them (--tool=callgrind), so what else the machine does changes nothing. It shows every program the same processor
with AVX2, caches included, so the machine changes nothing either; the compiler and the libraries do.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

LEVELS = ["generic", "avx2"]
PHASES = ["load", "window", "decode", "sentence"]  # in the order of bench/count_work.cpp
TOLERANCE = 0.10
KEPT = 0.005  # functions with less of a phase are not in the baseline
NAMED = 5  # functions in a message


def start(program, models, level, folder):
    """Each phase leaves its own file, folder/level.N."""
    command = ["valgrind", "--tool=callgrind", "--toggle-collect=phase_*", "--dump-before=end_of_phase", "--compress-strings=no"]
    command += ["--compress-pos=no", f"--callgrind-out-file={folder}/{level}", program, models]
    environment = {"PARLEY_MAX_ISA": level, "PATH": os.environ["PATH"], "LC_ALL": "C"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def short(name, library):
    """A function's name without arguments, namespaces that say nothing, and what templates are made of."""
    if name.startswith("0x"):
        return "code made at run time" if library == "???" else f"{Path(library).name}, without names"
    name = re.sub(r"'\d+$|\[clone [^]]*\]|\(anonymous namespace\)::|parley::|std::__cxx11::", "", name)
    name = name.replace("operator()", "call")
    for brackets in (r"<[^<>]*>", r"\([^()]*\)"):
        while (shorter := re.sub(brackets, "", name)) != name:
            name = shorter
    return name.strip().removesuffix(" const").strip().rpartition(" ")[2]


def counts_of(path):
    """{function: instructions of its own} of a file of callgrind's: valgrind.org/docs/manual/cl-format.html."""
    counts, library, function, call = Counter(), "???", None, False
    for line in path.read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and key in ("ob", "fn"):
            library, function = (value, function) if key == "ob" else (library, short(value, library))
        elif key == "calls":
            call = True
        elif line[:1].isdigit():
            if not call:  # else: what the called function took
                counts[function] += int(line.split()[1])
            call = False
    return counts


def count(arguments):
    """{level: {phase: {function: instructions}}}"""
    with tempfile.TemporaryDirectory() as folder:
        running = {level: start(arguments.program, arguments.models, level, folder) for level in arguments.levels}
        for level, process in running.items():
            output, _ = process.communicate()
            if process.returncode != 0:
                raise SystemExit(f"count_work at {level} under valgrind: exit code {process.returncode}\n{output[-2000:]}")
        return {
            level: {phase: counts_of(Path(folder, f"{level}.{i}")) for i, phase in enumerate(PHASES, 1)} for level in running
        }


def tools(program):
    compilers = re.findall(rb"GCC: \([^)]*\) [\d.]+|[\w ]*clang version [\d.]+", Path(program).read_bytes())
    valgrind = subprocess.run(["valgrind", "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    return ", ".join([*sorted({compiler.decode() for compiler in compilers}), valgrind])


def baseline_of(counts, program):
    levels = {}
    for level, phases in counts.items():
        levels[level] = {}
        for phase, functions in phases.items():
            total = sum(functions.values())
            kept = {name: number for name, number in functions.most_common() if number > KEPT * total}
            levels[level][phase] = {"instructions": total, "functions": kept}
    return {"tools": tools(program), "levels": levels}


def growth(functions, before):
    """Lines about the functions that grew most."""
    grown = Counter({name: number - before["functions"].get(name, 0) for name, number in functions.items()})
    for name, more in grown.most_common(NAMED):
        if more > KEPT * before["instructions"]:
            known = f"{before['functions'][name] / 1e6:.1f}" if name in before["functions"] else "next to none"
            yield f"    {name}: {known} -> {functions[name] / 1e6:.1f} million"


def compare(counts, baseline):
    """True when no phase is too much worse."""
    good = True
    for level, phases in counts.items():
        for phase, functions in phases.items():
            before = baseline["levels"][level][phase]
            total = sum(functions.values())
            change = total / before["instructions"] - 1
            print(f"{level:8} {phase:9} {total / 1e6:10.1f} million instructions, {100 * change:+6.2f} %")
            if change > TOLERANCE:
                good = False
                print(f"  FAILED: it was {before['instructions'] / 1e6:.1f} million. What grew most:")
                print("\n".join(growth(functions, before)))
            elif change < -TOLERANCE:
                print("  better: let the baseline know (--update)")
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/count_work")
    parser.add_argument("--models", default="data/models")
    parser.add_argument("--baseline", type=Path, default=Path(__file__).with_name("work_baseline.json"))
    parser.add_argument("--levels", nargs="+", default=LEVELS, choices=LEVELS)
    parser.add_argument("--update", action="store_true", help="write the baseline instead")
    arguments = parser.parse_args()
    counts = count(arguments)
    if arguments.update:
        arguments.baseline.write_text(json.dumps(baseline_of(counts, arguments.program), indent=1) + "\n")
        return
    baseline = json.loads(arguments.baseline.read_text())
    good = compare(counts, baseline)
    if (now := tools(arguments.program)) != baseline["tools"]:
        print(f"The baseline was counted with {baseline['tools']}; this is {now}: that alone may change counts.")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
