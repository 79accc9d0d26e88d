"""Measures a converted voice: what listeners understand of unseen sentences, of its teacher beside it; time; clicks.

python evaluate_voice.py --data DIR --voice DIR --build ../../build [--listeners pocketsphinx MODEL ...] [--table FILE] [--picture FILE]
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import matplotlib
import numpy as np
import soundfile
import torch

import features
from evaluate_stt import transcribe
from shards import RATE, Utterances
from words import rate

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

SETS = {"held_out_voice_own": "of our grammar", "held_out_voice": "of LJ Speech's book"}
SPHINX = Path("/usr/share/pocketsphinx/model/en-us")  # Debian: pocketsphinx pocketsphinx-en-us
BLOCK = 30 * features.VOICE_HOP  # samples that the vocoder makes at a time


def speak(options: argparse.Namespace, texts: list[str], folder: Path) -> tuple[list[np.ndarray], float, float]:
    """Samples of each text; real-time factor and median milliseconds to the first sample, on one core."""
    audios, seconds, first = [], 0.0, []
    for text in texts:
        wav, facts = folder / "said.wav", folder / "said.json"
        subprocess.run([options.build / "speak", "-m", options.voice, "--quiet", "--threads", "1", "--timings", facts, "-o", wav, text],
                       check=True)
        audio, rate_of_file = soundfile.read(wav, dtype="float32")
        assert rate_of_file == RATE
        audios.append(audio)
        timings = json.loads(facts.read_text())
        seconds += timings["wall_seconds"]
        first.append(timings["time_to_first_audio_ms"])
    return audios, seconds / (sum(map(len, audios)) / RATE), float(np.median(first))


def pocketsphinx(audios: list[np.ndarray], folder: Path) -> list[str]:
    """What Debian's PocketSphinx hears with its own US English models: a listener that knows nothing of ours."""
    names = [f"{i:05}" for i in range(len(audios))]
    for name, audio in zip(names, audios):
        soundfile.write(folder / f"{name}.wav", audio, RATE, subtype="PCM_16")
    (folder / "names").write_text("\n".join(names) + "\n")
    subprocess.run(["pocketsphinx_batch", "-hmm", SPHINX / "en-us", "-lm", SPHINX / "en-us.lm.bin", "-dict", SPHINX / "cmudict-en-us.dict",
                    "-cepdir", folder, "-cepext", ".wav", "-adcin", "yes", "-adchdr", "44", "-ctl", folder / "names",
                    "-hyp", folder / "heard"], check=True, capture_output=True)
    return [line.rpartition("(")[0] for line in (folder / "heard").read_text().splitlines()]


def heard_by(listener: str, options: argparse.Namespace, audios: list[np.ndarray], folder: Path) -> list[str]:
    if listener == "pocketsphinx":
        return pocketsphinx(audios, folder)
    options.model = listener
    return [result["text"] for result in transcribe(options, audios, folder)]


def clicks(audios: list[np.ndarray]) -> float:
    """The sharpest bend of the waveform at the vocoder's block borders, on average, beside that at other places: 1 without clicks."""
    at_borders, elsewhere = [], []
    for audio in audios:
        bends = np.abs(np.diff(audio, 2))
        for border in range(BLOCK, len(bends) - BLOCK // 2, BLOCK):
            at_borders.append(bends[border - 4: border + 4].max())
            for other in range(border - BLOCK // 2, border + BLOCK // 2, 8):
                if abs(other - border) > 16:
                    elsewhere.append(bends[other - 4: other + 4].max())
    return float(np.mean(at_borders) / np.mean(elsewhere))


def picture(voice: np.ndarray, teacher: np.ndarray, text: str, path: Path) -> None:
    """Log-mel spectrograms, the voice above its teacher."""
    figure, axes = pyplot.subplots(2, 1, figsize=(9, 5), sharex=True, layout="constrained")
    for axis, audio, name in zip(axes, (voice, teacher), ("parley-mini-voice", "its teacher, flite slt")):
        mel = features.voice_mel(torch.from_numpy(audio)[None])[0].T
        axis.imshow(mel, origin="lower", aspect="auto", vmin=-4, vmax=1, extent=(0, len(audio) / RATE, 0, 80))
        axis.set_ylabel(f"{name}\nmel band")
    axes[0].set_title(text, fontsize=9)
    axes[1].set_xlabel("seconds")
    figure.savefig(path, dpi=80)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--data", type=Path, required=True, help="shards (synthesize.py --set voice)")
    arguments.add_argument("--voice", required=True)
    arguments.add_argument("--listeners", nargs="+", default=["pocketsphinx"], help="that, or folders of speech-to-text models")
    arguments.add_argument("--build", type=Path, default=Path("../../build"))
    arguments.add_argument("--precision", default="auto")
    arguments.add_argument("--limit", type=int, default=100, help="sentences of each set at most")
    arguments.add_argument("--table", type=Path, help="write the results as a Markdown table")
    arguments.add_argument("--picture", type=Path, help="spectrograms of one sentence, PNG")
    arguments.add_argument("--show", type=int, default=0, help="transcripts of each set to print")
    options = arguments.parse_args()
    options.transcribe = options.build / "transcribe"
    table = ["| unseen sentences | listener | words misheard of the voice | of its teacher |", "|---|---|---|---|"]
    every: list[np.ndarray] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, about in SETS.items():
            utterances = Utterances(options.data, [name])
            chosen = range(min(options.limit, len(utterances)))
            texts, teacher = [utterances.row(i)["text"] for i in chosen], [utterances.audio(i) for i in chosen]
            said, real_time, first = speak(options, texts, folder)
            every += said
            longer = float(np.median([len(a) / len(b) for a, b in zip(said, teacher)]))
            for listener in options.listeners:
                heard = [heard_by(listener, options, audios, folder) for audios in (said, teacher)]
                rates = [100 * rate(list(zip(texts, of))) for of in heard]
                table.append(f"| {len(texts)} {about} | {Path(listener).name} | {rates[0]:.1f} % | {rates[1]:.1f} % |")
                print(json.dumps({"set": name, "listener": listener, "wer": rates[0], "teacher_wer": rates[1], "longer": longer}))
                for row in list(zip(texts, *heard))[: options.show]:
                    print("  " + "\n  > ".join(row))
            if options.picture and name == "held_out_voice":
                at = int(np.argmin([abs(len(audio) / RATE - 4) for audio in teacher]))
                picture(said[at], teacher[at], texts[at], options.picture)
    facts = (f"One core needs {real_time:.3f} s for a second of speech, {first:.0f} ms to the first sample. At the vocoder's block "
             f"borders the waveform bends {clicks(every):.2f} times as sharply as elsewhere.")
    print(facts)
    if options.table:
        options.table.write_text("\n".join(table) + "\n\n" + facts + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
