#!/usr/bin/env python3
"""Runs our speech-to-text benchmark beside whisper.cpp's on the same weights and prints times and ratios.

    python3 bench/compare.py MODEL --peer f16=ggml-model-f16.bin --peer q8_0=ggml-model-q8_0.bin

The peer's program is the user's own: --whisper-bench, or WHISPER_CPP_BENCH in the environment; without it only our numbers are
printed. Programs take turns (ours, theirs, ours, ...), so that whatever else the machine does meets all of them; medians count.
How the measures correspond is described in bench/README.md.
"""

import argparse
import hashlib
import json
import os
import platform
import re
import statistics
import subprocess
import sys
from pathlib import Path

# measure: title. Times in milliseconds; a step advances that many rows by one token.
MEASURES = {
    "load_ms": "load",
    "first_result_ms": "load and first window",
    "encoder_ms": "encoder, one 30 s window",
    "step_ms_1": "decoder step, 1 row",
    "step_ms_5": "decoder step, 5 rows",
    "step_ms_8": "decoder step, 8 rows",
    "step_ms_8_windows": "decoder step, 8 rows of 8 windows",
    "prompt_ms_256": "prompt of 256 tokens",
    "peak_rss_mb": "peak memory, MB",
}


def run(command, environment={}):
    """(standard output + error, peak resident bytes) of a program that must succeed."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | environment
    )
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}: failed with {process.returncode}\n{output[-2000:]}")
    return output, usage.ru_maxrss * 1024


def median_of(value):
    return statistics.median(value) if isinstance(value, list) else value


class Parley:
    """bench_stt MODEL --threads N --precision P prints one JSON object: README.md."""

    def __init__(self, program, model, precision, threads, max_isa=None):
        self.name = f"parley {precision}" + (f" {max_isa}" if max_isa else "")
        self.command = [program, model, "--threads", str(threads), "--precision", precision]
        self.environment = {"PARLEY_MAX_ISA": max_isa} if max_isa else {}
        self.about = None

    def measure(self):
        output, peak = run(self.command, self.environment)
        result = json.loads(output[output.index("{") :])
        self.step_bytes = {k.removeprefix("step_bytes_"): v for k, v in result.items() if k.startswith("step_bytes_")}
        self.about = {k: result.get(k) for k in ("model", "digest", "isa", "precision", "threads")}
        times = {name: median_of(result[name]) for name in MEASURES if name in result}
        return times | {"peak_rss_mb": result.get("peak_rss_bytes", peak) / 1e6}


class WhisperCpp:
    """whisper-bench prints lines such as "decode time = 1040.31 ms / 256 runs ( 4.06 ms per run)"; a run is one token."""

    TIMES = {
        "encode": ("encoder_ms", 1),
        "decode": ("step_ms_1", 1),
        "batchd": ("step_ms_5", 5),
        "prompt": ("prompt_ms_256", 256),
    }

    def __init__(self, program, label, model, threads, options):
        self.name = " ".join(["whisper.cpp", label, *options])
        self.command = [program, "-m", model, "-t", str(threads), "-ng", *options]
        self.about = {"model": Path(model).name, "digest": f"sha256:{digest(model)}", "threads": threads}

    def measure(self):
        output, peak = run(self.command)
        system = re.search(r"system_info:.*?\|\s*(.*)", output)
        self.about["isa"] = system and " ".join(re.findall(r"([A-Z0-9_]+) = 1", system[1]))
        times = {"load_ms": float(re.search(r"load time =\s*([\d.]+) ms", output)[1])}
        for kind, (name, tokens) in self.TIMES.items():
            found = re.search(rf"{kind} time =\s*([\d.]+) ms /\s*(\d+) runs", output)
            times[name] = float(found[1]) / int(found[2]) * tokens
        return times | {"peak_rss_mb": peak / 1e6}


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def machine():
    cpu, flags = platform.processor(), set()
    if Path("/proc/cpuinfo").exists():
        text = Path("/proc/cpuinfo").read_text()
        cpu = (re.search(r"model name\s*: (.*)", text) or [0, cpu])[1]
        flags = set((re.search(r"flags\s*: (.*)", text) or [0, ""])[1].split())
    known = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_int8", "amx_bf16")
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "features": [f for f in known if f in flags],
        "system": f"{platform.system()} {platform.release()}",
        "load_average": os.getloadavg()[0],
    }


def measure(programs, runs):
    """{program name: {measure: [one value a run]}}; every program runs once before any runs again."""
    values = {program.name: {} for program in programs}
    terminal = sys.stderr.isatty()
    for i in range(runs):
        for program in programs:
            if terminal:
                print(f"\r\033[Krun {i + 1}/{runs}: {program.name}", end="", file=sys.stderr, flush=True)
            for name, value in program.measure().items():
                values[program.name].setdefault(name, []).append(value)
    if terminal:
        print("\r\033[K", end="", file=sys.stderr)
    return values


def print_report(machine_facts, programs, values, runs, measures=MEASURES):
    print(f"{machine_facts['cpu']}, {machine_facts['cores']} cores, {' '.join(machine_facts['features'])}")
    print(
        f"{machine_facts['system']}, load average {machine_facts['load_average']:.2f} before; medians (minima) of {runs} runs"
    )
    for program in programs:
        print(f"- {program.name}: " + ", ".join(f"{k} {v}" for k, v in program.about.items() if v is not None))
    ours = programs[0].name if isinstance(programs[0], Parley) else None
    print("\n| | " + " | ".join(program.name for program in programs) + " |")
    print("|---" * (len(programs) + 1) + "|")
    for name, title in measures.items():
        cells = []
        for program in programs:
            found = values[program.name].get(name)
            if not found:
                cells.append("")
                continue
            cell = f"{statistics.median(found):.2f} ({min(found):.2f})"
            base = values.get(ours, {}).get(name)
            if base and program.name != ours:
                cell += f", {statistics.median(found) / statistics.median(base):.2f} x"
            cells.append(cell)
        if any(cells):
            print(f"| {title} | " + " | ".join(cells) + " |")
    if ours and len(programs) > 1:
        print(f"\nx: that program's median divided by {ours}'s; above 1, {ours} is better.")


def print_floor(program, values):
    """The decoder's floor is memory: what a step must read, and how fast it did."""
    print(f"\n{program.name}, a step must read:")
    for kind, count in program.step_bytes.items():
        milliseconds = statistics.median(values[f"step_ms_{kind}"])
        title = MEASURES[f"step_ms_{kind}"].removeprefix("decoder step, ")
        print(f"- {title}: {count / 1e6:.1f} MB, at {count / milliseconds / 1e6:.1f} GB/s")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", help="our model folder; without it only peers run")
    parser.add_argument("--program", default="build/bench_stt", help="our benchmark (build/bench_stt)")
    parser.add_argument("--precision", nargs="+", default=["auto"])
    parser.add_argument(
        "--max-isa",
        nargs="+",
        default=[],
        metavar="ISA",
        help="ours also held to these: vnni (AMX off), avx2 (AVX-512 off), generic",
    )
    parser.add_argument(
        "--whisper-bench", default=os.environ.get("WHISPER_CPP_BENCH"), help="whisper.cpp's whisper-bench"
    )
    parser.add_argument(
        "--peer", action="append", default=[], metavar="LABEL=FILE", help="the same model for whisper.cpp"
    )
    parser.add_argument(
        "--peer-option", action="append", default=[], help="e.g. --peer-option=-nfa; runs beside the default"
    )
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write every value here")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    programs = []
    if arguments.model:
        programs = [
            Parley(arguments.program, arguments.model, precision, arguments.threads, max_isa)
            for max_isa in [None, *arguments.max_isa]
            for precision in arguments.precision
        ]
    if arguments.peer and not arguments.whisper_bench:
        raise SystemExit("--peer needs --whisper-bench or WHISPER_CPP_BENCH")
    for peer in arguments.peer:
        label, _, path = peer.partition("=")
        for options in [[], *([option] for option in arguments.peer_option)]:
            programs.append(WhisperCpp(arguments.whisper_bench, label, path, arguments.threads, options))
    if not programs:
        raise SystemExit("nothing to run: give a model, or --peer")
    facts = machine()
    values = measure(programs, arguments.runs)
    print_report(facts, programs, values, arguments.runs)
    for program in programs:
        if isinstance(program, Parley):
            print_floor(program, values[program.name])
    if arguments.json:
        result = {"machine": facts, "programs": {p.name: p.about | {"values": values[p.name]} for p in programs}}
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
