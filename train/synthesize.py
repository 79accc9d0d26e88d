"""Speech from Debian's synthesizers: python synthesize.py --corpus DIR --out DIR. Restartable; a trainer may read along."""

import argparse
import random
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile

import sentences
from shards import ShardWriter, at_rate, finished_shards

FLITE = ["slt", "awb", "rms", "kal16"]
ESPEAK = ["en-us", "en-gb", "en-us+f1", "en-us+f2", "en-us+f4", "en-us+m1", "en-us+m3", "en-us+m7", "en-gb+f4", "en-gb+m1",
          "en-gb+m3",
          "en-gb-scotland", "en-us+m4", "en-gb+f2"]
VOICES = [("flite", voice) for voice in FLITE] + [("espeak", voice) for voice in ESPEAK]
TEACHER = ("flite", "slt")
RATE = 16000


def speak(engine: str, voice: str, text: str, rng: random.Random | None, folder: Path) -> np.ndarray:
    """16 kHz mono int16, silence at both ends cut to 0.1 s at most. Without rng in the voice's own pace and pitch."""
    wav = folder / "speech.wav"
    if engine == "flite":
        pace = ["--setf", f"duration_stretch={rng.uniform(0.85, 1.15):.3f}"] if rng else []
        command = ["flite", "-voice", voice, *pace, "-t", text, "-o", str(wav)]
    elif engine == "espeak":
        pace = ["-s", str(rng.randrange(140, 190)), "-p", str(rng.randrange(35, 65))] if rng else []
        command = ["espeak-ng", "-v", voice, *pace, "-w", str(wav), text]
    elif engine == "festival":
        script = folder / "speech.txt"
        script.write_text(text)
        command = ["text2wave", "-eval", f"(voice_{voice})", str(script), "-o", str(wav)]
    else:
        raise ValueError(engine)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    audio = read_wav(wav)
    return audio[speech(audio)]


def teach(voice: str, text: str, folder: Path) -> tuple[np.ndarray, list[tuple[str, float]]]:
    """A voice of flite in its own pace, and its phones with the second at which each ends."""
    wav = folder / "speech.wav"
    command = ["flite", "-voice", voice, "-psdur", "-t", text, "-o", str(wav)]
    phones = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.split()
    audio = read_wav(wav)
    part = speech(audio)
    ends = [(name, round(float(end) - part.start / RATE, 3)) for name, end in (phone.split(":") for phone in phones)]
    return audio[part], ends


def read_wav(path: Path) -> np.ndarray:
    audio, rate = soundfile.read(path, dtype="float32")
    return (np.clip(at_rate(audio, rate), -1, 1) * 32767).astype(np.int16)


def speech(audio: np.ndarray, keep: int = RATE // 10) -> slice:
    """Where the speech is, with 0.1 s of the silence at both ends."""
    loud = np.flatnonzero(np.abs(audio.astype(np.int32)) > max(200, np.abs(audio.astype(np.int32)).max() // 50))
    return slice(max(0, loud[0] - keep), loud[-1] + keep) if len(loud) else slice(0, 0)


def plan(corpus: Path, own: int, seed: int) -> dict[str, list[tuple[str, str, str]]]:
    """Shard prefix -> (engine, voice, text). Ours first, it is short; then every LJ sentence once."""
    rng = random.Random(seed)
    lj = [text for name, text in sentences.lj_sentences(corpus).items() if not sentences.held_out(name)]
    rng.shuffle(lj)
    voices = [("flite", v) for v in FLITE] * 4 + [("espeak", v) for v in ESPEAK]

    def spoken(texts: list[str]) -> list[tuple[str, str, str]]:
        return [(*rng.choice(voices), text) for text in texts if len(text) > 3]

    measured = commands_sentences(corpus) | set(held_out_own(corpus, seed))
    return {"synth_own": spoken(sentences.own_sentences(own, seed, measured)), "synth_lj": spoken(lj)}


def commands_sentences(corpus: Path) -> set[str]:
    return {line.split("\t")[3] for line in (corpus / "commands/manifest.tsv").read_text().splitlines()}


def held_out_own(corpus: Path, seed: int) -> list[str]:
    return sentences.own_sentences(60, seed + 1, commands_sentences(corpus))


def held_out_plan(corpus: Path, seed: int) -> dict[str, list[tuple[str, str, str]]]:
    """Unseen sentences, 60 of LJ and 60 of ours, over the training voices in turn."""
    lj = [text for name, text in sentences.lj_sentences(corpus).items() if sentences.held_out(name)][:60]

    def spoken(texts: list[str]) -> list[tuple[str, str, str]]:
        return [(*VOICES[i % len(VOICES)], text) for i, text in enumerate(texts)]

    return {"held_out_synth_own": spoken(held_out_own(corpus, seed)), "held_out_synth_lj": spoken(lj)}


def teacher_plan(corpus: Path, own: int, seed: int) -> dict[str, list[tuple[str, str, str]]]:
    """What the voice learns from: one speaker, every LJ sentence of a length that it will get, and ours."""
    lj = [(name, text) for name, text in sentences.lj_sentences(corpus).items() if 10 < len(text) < 160]
    ours = sentences.own_sentences(own, seed)
    texts = [text for name, text in lj if not sentences.held_out(name)] + ours
    random.Random(seed).shuffle(texts)

    def taught(texts: list[str]) -> list[tuple[str, str, str]]:
        return [(*TEACHER, text) for text in texts]

    held_out = [text for name, text in lj if sentences.held_out(name)][:100]
    held_out_ours = sentences.own_sentences(100, seed + 2, set(ours))
    return {"held_out_voice": taught(held_out), "held_out_voice_own": taught(held_out_ours), "voice": taught(texts)}


def write(out: Path, prefix: str, wanted: list[tuple[str, str, str]], per_shard: int, seed: int, vary: bool) -> None:
    done = finished_shards(out, prefix)
    with tempfile.TemporaryDirectory() as folder:
        for shard, first in enumerate(range(0, len(wanted), per_shard)):
            if shard in done:
                continue
            rng = random.Random(seed * 1000003 + shard)
            with ShardWriter(out, prefix, shard) as writer:
                for engine, voice, text in wanted[first: first + per_shard]:
                    if vary:
                        audio, facts = speak(engine, voice, text, rng, Path(folder)), {}
                    else:
                        audio, phones = teach(voice, text, Path(folder))
                        facts = {"phones": phones}
                    if 0 < len(audio) < 28 * RATE:
                        writer.add(audio, text, f"{engine}_{voice}", "synthetic", **facts)
            print(f"{prefix} {shard}: {min(first + per_shard, len(wanted))} of {len(wanted)}", flush=True)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--corpus", type=Path, required=True)
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--own", type=int, default=8000, help="sentences of our own")
    arguments.add_argument("--per-shard", type=int, default=250)
    arguments.add_argument("--seed", type=int, default=6)
    arguments.add_argument("--only", help="of the shards' prefixes only this one: several processes share the work")
    arguments.add_argument("--set", choices=["training", "held-out", "voice"], default="training")
    options = arguments.parse_args()

    if options.set == "held-out":
        wanted = held_out_plan(options.corpus, options.seed)
    else:
        wanted = (teacher_plan if options.set == "voice" else plan)(options.corpus, options.own, options.seed)
    for prefix, spoken in wanted.items():
        if options.only in (None, prefix):
            write(options.out, prefix, spoken, options.per_shard, options.seed, vary=options.set != "voice")


if __name__ == "__main__":
    main()
