"""Measures a converted model with the program `transcribe`: word error rates, text in silence and noise, borders of segments.

python evaluate_stt.py --data DIR --model DIR --transcribe build/transcribe [--sets held_out_dev ...] [--limit N]
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile

import words
from shards import RATE, Utterances

SETS = ["quiet", "borders", "held_out_synth_own", "held_out_synth_lj", "held_out_commands", "held_out_dev",
        "held_out_clean", "held_out_other"]


def transcribe(options: argparse.Namespace, audios: list[np.ndarray], folder: Path) -> list[dict]:
    paths = [folder / f"{i:05}.wav" for i in range(len(audios))]
    for path, audio in zip(paths, audios):
        soundfile.write(path, audio, RATE)
    lines = subprocess.run(
        [options.transcribe, "--quiet", "-m", options.model, "--precision", options.precision, "-f", "jsonl", "--threads", "1",
         "--jobs-file", "-"], input="\n".join(map(str, paths)) + "\n", check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in lines.splitlines()]


def measure_set(options: argparse.Namespace, name: str, folder: Path) -> dict:
    utterances = Utterances(options.data, [name])
    # Evenly over the set, so that a limit still meets every speaker.
    chosen = np.unique(np.linspace(0, len(utterances) - 1, min(options.limit, len(utterances))).astype(int))
    results = transcribe(options, [utterances.audio(i) for i in chosen], folder)
    rows = [(utterances.row(i)["text"], result["text"]) for i, result in zip(chosen, results)]
    if options.show:
        for said, heard in rows[: options.show]:
            print(f"  {said}\n  > {heard.strip()}")
    groups: dict[str, list[tuple[str, str]]] = {}
    for i, row in zip(chosen, rows):
        groups.setdefault(utterances.row(i)["speaker"], []).append(row)
    by_speaker = {speaker: round(100 * words.rate(group), 1) for speaker, group in sorted(groups.items())}
    return {"utterances": len(rows), "wer": round(100 * words.rate(rows), 2), "by_speaker": by_speaker}


def quiet_audio(options: argparse.Namespace) -> list[np.ndarray]:
    """Silence, three loudnesses of white noise, hum, and up to 25 s of every recorded noise that was held out."""
    rng = np.random.default_rng(0)
    time = np.arange(10 * RATE) / RATE
    recorded = Utterances(options.data, ["held_out_noise"])
    return [np.zeros(10 * RATE, np.float32), *(level * rng.standard_normal(10 * RATE) for level in (1e-4, 1e-2, 0.1)),
            0.1 * np.sin(2 * np.pi * 50 * time), *(recorded.audio(i)[: 25 * RATE] for i in range(len(recorded)))]


def measure_quiet(options: argparse.Namespace, folder: Path) -> dict:
    results = transcribe(options, quiet_audio(options), folder)
    texts = [result["text"].strip() for result in results]
    return {"recordings": len(texts), "with_text": sum(map(bool, texts)), "texts": [text for text in texts if text]}


def measure_borders(options: argparse.Namespace, folder: Path) -> dict:
    """Two sentences a recording, 1.5 s between them; how far the first and last border that is heard lie from the true ones."""
    utterances = Utterances(options.data, ["held_out_synth_own"])
    gap, audios, borders = np.zeros(int(1.5 * RATE), np.float32), [], []
    for i in range(0, min(len(utterances), options.limit) - 1, 2):
        first, second = utterances.audio(i), utterances.audio(i + 1)
        audios.append(np.concatenate([gap[: RATE // 2], first, gap, second, gap[: RATE // 2]]))
        # Shards keep 0.1 s around speech.
        borders.append((0.6, 0.5 + len(first) / RATE + 1.5 + len(second) / RATE - 0.1))
    results = transcribe(options, audios, folder)
    errors = [abs(pair) for result, (start, end) in zip(results, borders) if result["segments"]
              for pair in (result["segments"][0]["start"] - start, result["segments"][-1]["end"] - end)]
    return {"borders": len(errors), "within_0.3_s": round(float(np.mean(np.array(errors) <= 0.3)), 3) if errors else 0.0,
            "median_s": round(float(np.median(errors)), 3) if errors else 0.0}


def describe(result: dict) -> str:
    if "wer" in result:
        return f"WER {result['wer']:.1f} % ({result['utterances']} utterances)"
    if "recordings" in result:
        return f"text in {result['with_text']} of {result['recordings']} recordings without speech"
    return f"{100 * result['within_0.3_s']:.0f} % of {result['borders']} borders within 0.3 s, median {result['median_s']} s"


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--data", type=Path, required=True)
    arguments.add_argument("--model", required=True)
    arguments.add_argument("--transcribe", required=True, help="the program")
    arguments.add_argument("--precision", default="auto")
    arguments.add_argument("--sets", nargs="*", default=SETS)
    arguments.add_argument("--limit", type=int, default=1000, help="utterances of each set at most")
    arguments.add_argument("--table", type=Path, help="write the results as a Markdown table")
    arguments.add_argument("--show", type=int, default=0, help="transcripts of each set to print")
    options = arguments.parse_args()
    measures = {"quiet": measure_quiet, "borders": measure_borders}
    rows = ["| set | |", "|---|---|"]
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.sets:
            folder = Path(scratch)
            result = measures[name](options, folder) if name in measures else measure_set(options, name, folder)
            print(name, json.dumps(result), flush=True)
            rows.append(f"| {name} | {describe(result)} |")
    if options.table:
        options.table.write_text("\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
