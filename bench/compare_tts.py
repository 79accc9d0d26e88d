#!/usr/bin/env python3
"""Runs our text to speech beside PyTorch and onnxruntime on the same weights and prints times and ratios.

    python3 bench/compare_tts.py --vocoder bench-models/hifigan-v1 --model bench-models/hifigan-v1.parley
    python3 bench/compare_tts.py --speecht5 bench-models/speecht5 --vocoder bench-models/hifigan-speecht5 \\
        --model bench-models/speecht5.parley

The folders are checkpoints as transformers' SpeechT5HifiGan and SpeechT5ForTextToSpeech load them, MODEL the same after `parley
convert`. Peers whose Python packages are missing (torch and transformers; onnxruntime and onnx beside them) are left out and named.
All get as many mel frames, characters, steps and threads, and take turns, so that whatever else the machine does meets all of them;
medians count.
"""

import argparse
import io
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import compare

MEASURES = {
    "vocoder_ms": "vocoder, 1 s of audio",
    "vocoder_cpu_ms": "vocoder, processor time",
    "text_encoder_ms": "text encoder, 100 characters",
    "mel_step_ms": "mel decoder step",
    "mel_step_cpu_ms": "mel decoder step, processor time",
    "speak_ms": "text to samples, 1 s of audio",
    "first_audio_ms": "time to first audio",
}
TEXT = "Good morning."  # 14 characters with the end: 140 steps, 4.5 s of audio
TOKENS, STEPS = 100, 200


class Speech(compare.Parley):
    """bench_tts for the stages and, with a whole model, speak."""

    def __init__(self, arguments, precision):
        super().__init__(arguments.program, arguments.model, precision, arguments.threads)
        options = {"--frames": arguments.frames, "--tokens": TOKENS, "--steps": STEPS, "--runs": 1}
        self.command += [str(x) for pair in options.items() for x in pair]
        self.speak = arguments.speecht5 and [
            arguments.speak, "-m", arguments.model, "--threads", str(arguments.threads), "--precision", precision,
            "--timings", "-", "--quiet", "-o",
        ]  # fmt: skip

    def measure(self):
        output, _ = compare.run(self.command)
        result = json.loads(output[output.index("{") :])
        self.about = {k: result[k] for k in ("isa", "block_frames", "threads", "digest")}
        times = {f"vocoder{kind}_ms": 1e3 * result[f"vocoder{kind}_rtf"][0] for kind in ("", "_cpu")}
        if self.speak:
            times |= {k: result[k][0] for k in ("text_encoder_ms", "mel_step_ms", "mel_step_cpu_ms")}
            with tempfile.TemporaryDirectory() as folder:
                spoken = json.loads(compare.run([*self.speak, f"{folder}/speech.wav", TEXT])[0])
            times |= {"speak_ms": 1e3 * spoken["real_time_factor"], "first_audio_ms": spoken["time_to_first_audio_ms"]}
        return times


class Peer:
    """Functions in this process, {measure: (what one call does of it, function)}, each called once to warm up."""

    def __init__(self, name, about, calls):
        self.name, self.about, self.calls = name, about, calls
        for _, call in calls.values():
            call()

    def measure(self):
        times = {}
        for name, (amount, call) in self.calls.items():
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            times[f"{name}_ms"] = 1e3 * (time.perf_counter() - wall) / amount
            times[f"{name}_cpu_ms"] = 1e3 * (time.process_time() - cpu) / amount
        if "speak_ms" in times:  # nothing is heard before the end
            times["first_audio_ms"] = times["speak_ms"] * self.calls["speak"][0]
        return times


def torch_peer(arguments, name, dtype):
    """PyTorch as transformers runs it; and the vocoder with its input, for the export."""
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    torch.set_num_threads(arguments.threads)
    torch.set_grad_enabled(False)
    vocoder = transformers.SpeechT5HifiGan.from_pretrained(arguments.vocoder, dtype=dtype).eval()
    mel = torch.randn(arguments.frames, vocoder.config.model_in_dim, generator=torch.Generator().manual_seed(0)).to(dtype)
    calls = {"vocoder": (seconds_of(arguments), lambda: vocoder(mel))}
    if arguments.speecht5:
        model = transformers.SpeechT5ForTextToSpeech.from_pretrained(arguments.speecht5, dtype=dtype).eval()
        calls |= acoustic_calls(model, vocoder, torch)
    about = {"version": torch.__version__, "threads": torch.get_num_threads()}
    return Peer(name, about, calls), vocoder, mel


def acoustic_calls(model, vocoder, torch):
    dtype = vocoder.dtype
    decoder, postnet = model.speecht5.decoder, model.speech_decoder_postnet
    speaker = torch.ones(1, model.config.speaker_embedding_dim, dtype=dtype)
    tokens = torch.arange(TOKENS)[None] % 70 + 5
    features = model.speecht5.encoder(input_values=tokens, return_dict=True).last_hidden_state

    def take_steps():
        """_generate_speech's, but the prenet sees only the last frame, not all of them at every step."""
        frame, past = torch.zeros(1, 1, model.config.num_mel_bins, dtype=dtype), None
        for _ in range(STEPS):
            out = decoder.wrapped_decoder(
                hidden_states=decoder.prenet(frame, speaker), encoder_hidden_states=features, past_key_values=past,
                use_cache=True, return_dict=True,
            )  # fmt: skip
            past = out.past_key_values
            frame = postnet.feat_out(out.last_hidden_state).view(1, -1, model.config.num_mel_bins)[:, -1:]
            torch.sigmoid(postnet.prob_out(out.last_hidden_state))

    text = tokens[:, : len(TEXT) + 1]
    samples = model.generate_speech(text, speaker, vocoder=vocoder)
    return {
        "text_encoder": (1, lambda: model.speecht5.encoder(input_values=tokens, return_dict=True)),
        "mel_step": (STEPS, take_steps),
        "speak": (len(samples) / vocoder.config.sampling_rate, lambda: model.generate_speech(text, speaker, vocoder=vocoder)),
    }


def onnx_peer(arguments, vocoder, mel):
    import onnx  # noqa: F401  the exporter needs it
    import onnxruntime
    import torch

    file = io.BytesIO()
    torch.onnx.export(vocoder, (mel,), file, input_names=["mel"], output_names=["samples"], dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = arguments.threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # or it takes time from the others' turns
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    inputs = {"mel": mel.numpy()}
    expected, found = vocoder(mel).numpy(), session.run(None, inputs)[0]
    assert abs(expected - found).max() < 1e-3, "onnxruntime and PyTorch disagree"
    about = {"version": onnxruntime.__version__, "threads": arguments.threads}
    return Peer("onnxruntime f32", about, {"vocoder": (seconds_of(arguments), lambda: session.run(None, inputs))})


def seconds_of(arguments):
    """Of the vocoder's frames."""
    config = json.loads((arguments.vocoder / "config.json").read_text())
    samples = arguments.frames
    for rate in config["upsample_rates"]:
        samples *= rate
    return samples / config["sampling_rate"]


def make_programs(arguments):
    programs, missing = [Speech(arguments, precision) for precision in arguments.precision], []
    try:
        import torch

        f32, vocoder, mel = torch_peer(arguments, "PyTorch f32", torch.float32)
        programs += [f32, torch_peer(arguments, "PyTorch bf16", torch.bfloat16)[0]]
        try:
            programs.append(onnx_peer(arguments, vocoder, mel))
        except ImportError as error:
            missing.append(f"onnxruntime ({error})")
    except ImportError as error:
        missing.append(f"PyTorch, onnxruntime ({error})")
    return programs, missing


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vocoder", type=Path, required=True, help="folder of transformers' SpeechT5HifiGan")
    parser.add_argument("--speecht5", type=Path, help="folder of transformers' SpeechT5ForTextToSpeech")
    parser.add_argument("--model", required=True, help="the same after `parley convert`")
    parser.add_argument("--program", default="build/bench_tts", help="our benchmark (build/bench_tts)")
    parser.add_argument("--speak", default="build/speak", help="our program (build/speak)")
    parser.add_argument("--precision", nargs="+", default=["auto"])
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--frames", type=int, default=480)
    parser.add_argument("--runs", type=int, default=5)
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    facts = compare.machine()
    programs, missing = make_programs(arguments)
    for peer in missing:
        print(f"left out: {peer}", file=sys.stderr)
    values = compare.measure(programs, arguments.runs)
    compare.print_report(facts, programs, values, arguments.runs, MEASURES)


if __name__ == "__main__":
    main()
