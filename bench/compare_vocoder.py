#!/usr/bin/env python3
"""Runs our vocoder beside PyTorch and onnxruntime on the same weights and prints real-time factors and ratios.

    python3 bench/compare_vocoder.py bench-models/speecht5 --model bench-models/speecht5.parley

The first folder is the checkpoint as transformers' SpeechT5HifiGan loads it, MODEL the same after `parley convert`. Peers whose
Python packages are missing (torch and transformers; onnxruntime and onnx beside them) are left out and named. All get the same mel
frames and threads, and take turns, so that whatever else the machine does meets all of them; medians count.
"""

import argparse
import io
import json
import os
import statistics
import sys
import time
from pathlib import Path

from compare import machine, run


class Parley:
    def __init__(self, arguments, precision):
        self.name = f"parley {precision}"
        options = {"--threads": arguments.threads, "--precision": precision, "--frames": arguments.frames, "--runs": 1}
        self.command = [arguments.program, arguments.model, *(str(x) for pair in options.items() for x in pair)]
        self.about = {}

    def measure(self):
        output, _ = run(self.command)
        result = json.loads(output[output.index("{") :])
        self.about = {k: result[k] for k in ("isa", "block_frames", "threads", "digest")}
        return result["vocoder_rtf"][0], result["vocoder_cpu_rtf"][0]


class Peer:
    """A function in this process, called once to warm up."""

    def __init__(self, name, about, audio_seconds, call):
        self.name, self.about, self.seconds, self.call = name, about, audio_seconds, call
        call()

    def measure(self):
        wall, cpu = time.perf_counter(), time.process_time()
        self.call()
        return (time.perf_counter() - wall) / self.seconds, (time.process_time() - cpu) / self.seconds


def torch_peers(arguments, seconds):
    """(peers, the f32 module, its input)"""
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    torch.set_num_threads(arguments.threads)
    torch.set_grad_enabled(False)
    about = {"version": torch.__version__, "threads": torch.get_num_threads()}
    model = transformers.SpeechT5HifiGan.from_pretrained(arguments.checkpoint, dtype=torch.float32).eval()
    mel = torch.randn(arguments.frames, model.config.model_in_dim, generator=torch.Generator().manual_seed(0))
    half = transformers.SpeechT5HifiGan.from_pretrained(arguments.checkpoint, dtype=torch.bfloat16).eval()
    half_mel = mel.bfloat16()
    peers = [
        Peer("PyTorch f32", about, seconds, lambda: model(mel)),
        Peer("PyTorch bf16", about, seconds, lambda: half(half_mel)),
    ]
    return peers, model, mel


def onnx_peer(arguments, seconds, model, mel):
    import onnxruntime
    import torch

    file = io.BytesIO()
    torch.onnx.export(model, (mel,), file, input_names=["mel"], output_names=["samples"], dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = arguments.threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # or it takes time from the others' turns
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    inputs = {"mel": mel.numpy()}
    expected, found = model(mel).numpy(), session.run(None, inputs)[0]
    assert abs(expected - found).max() < 1e-3, "onnxruntime and PyTorch disagree"
    about = {"version": onnxruntime.__version__, "threads": arguments.threads}
    return Peer("onnxruntime f32", about, seconds, lambda: session.run(None, inputs))


def make_programs(arguments):
    config = json.loads((arguments.checkpoint / "config.json").read_text())
    hop = 1
    for rate in config["upsample_rates"]:
        hop *= rate
    seconds = arguments.frames * hop / config["sampling_rate"]
    programs, missing = [Parley(arguments, precision) for precision in arguments.precision], []
    try:
        peers, model, mel = torch_peers(arguments, seconds)
        programs += peers
        try:
            programs.append(onnx_peer(arguments, seconds, model, mel))
        except ImportError as error:
            missing.append(f"onnxruntime ({error})")
    except ImportError as error:
        missing.append(f"PyTorch, onnxruntime ({error})")
    return programs, missing, seconds


def print_report(facts, programs, values, seconds):
    print(f"{facts['cpu']}, {facts['cores']} cores, {' '.join(facts['features'])}")
    print(f"load average {facts['load_average']:.2f} before; one utterance of {seconds:.1f} s; medians (minima)")
    for program in programs:
        print(f"- {program.name}: " + ", ".join(f"{k} {v}" for k, v in program.about.items()))

    def median(name, kind=0):
        return statistics.median(value[kind] for value in values[name])

    f32_peers = [p.name for p in programs if not isinstance(p, Parley) and p.name.endswith("f32")]
    best = min(f32_peers, key=median) if f32_peers else None
    print("\n| | real-time factor | processor seconds per second | times as fast as the best f32 peer |")
    print("|---|---|---|---|")
    for program in programs:
        name = program.name
        ratio = f"{median(best) / median(name):.2f}" if best else ""
        minima = [min(value[kind] for value in values[name]) for kind in (0, 1)]
        print(f"| {name} | {median(name):.4f} ({minima[0]:.4f}) | {median(name, 1):.4f} ({minima[1]:.4f}) | {ratio} |")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path, help="folder of transformers' SpeechT5HifiGan")
    parser.add_argument("--model", type=Path, required=True, help="the same after `parley convert`")
    parser.add_argument("--program", default="build/bench_tts", help="our benchmark (build/bench_tts)")
    parser.add_argument("--precision", nargs="+", default=["auto"])
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--frames", type=int, default=480)
    parser.add_argument("--runs", type=int, default=5)
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    facts = machine()
    programs, missing, seconds = make_programs(arguments)
    for peer in missing:
        print(f"left out: {peer}", file=sys.stderr)
    values = {program.name: [] for program in programs}
    for _ in range(arguments.runs):
        for program in programs:
            values[program.name].append(program.measure())
    print_report(facts, programs, values, seconds)


if __name__ == "__main__":
    main()
