"""Speech from Debian's synthesizers: python synthesize.py --corpus DIR --out DIR [--books DIR]. Restartable; a trainer may read along."""

import argparse
import functools
import multiprocessing
import random
import shutil
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
VOICES = [("flite", voice) for voice in FLITE] + [("espeak", voice) for voice in ESPEAK]  # these measure, too
FESTIVAL = ["cmu_us_slt_arctic_hts", "kal_diphone", "ked_diphone"]
DIPHONES = ["kal16", "kal"]  # flite's; the others are statistical voices
ACCENTS = """en-us en-us en-us en-us en-gb en-gb en-gb-x-rp en-gb-scotland en-gb-x-gbclan en-gb-x-gbcwmd en-029 en-us-nyc""".split()
VARIANTS = """f1 f2 f3 f4 f5 m1 m2 m3 m4 m5 m6 m7 m8 Alex Alicia Andrea Andy Annie Antonio Auntie Belinda Benjamin Boris Caleb David
Denis Diogo Ed Edward Edward2 Gene Gene2 Gustave Henrique Hugo Iven Iven2 Jacky John Lee Linda Marcelo Marco Mario Max Michael
Michel Miguel Mike Nguyen Pablo Paul Pedro Quincy Rob Robert Steph Steph2 Zac anika grandma grandpa klatt klatt2 klatt4 norbert
sandro shelby travis victor""".split()
TEACHER = ("flite", "slt")
RATE = 16000


def speak(engine: str, voice: str, text: str, rng: random.Random | None, folder: Path) -> np.ndarray:
    """16 kHz mono int16, silence at both ends cut to 0.1 s at most. Without rng in the voice's own pace and pitch."""
    wav = folder / "speech.wav"
    if engine == "flite":
        pace = ["--setf", f"duration_stretch={rng.uniform(0.8, 1.25):.3f}"] if rng else []
        if rng:
            pace += ["--setf", f"int_f0_target_mean={rng.uniform(80, 140):.0f}" if voice in DIPHONES
                     else f"f0_shift={rng.uniform(0.8, 1.25):.3f}"]
        command = ["flite", "-voice", voice, *pace, "-t", text, "-o", str(wav)]
    elif engine == "espeak":
        pace = ["-s", str(rng.randrange(130, 200)), "-p", str(rng.randrange(20, 80))] if rng else []
        command = ["espeak-ng", "-v", voice, *pace, "-w", str(wav), text]
    elif engine == "festival":
        script = folder / "speech.txt"
        script.write_text(text)
        pace = f"(Parameter.set 'Duration_Stretch {rng.uniform(0.85, 1.2):.3f})" if rng else ""
        command = ["text2wave", "-eval", f"(begin (voice_{voice}) {pace})", str(script), "-o", str(wav)]
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


PROGRAMS = {"espeak": "espeak-ng", "flite": "flite", "festival": "text2wave"}


def any_voice(rng: random.Random, engines: list[str]) -> tuple[str, str]:
    """Of flite's (its statistical voices most), espeak's (half of them those that measure, half in any accent), festival's."""
    engine = rng.choices(engines, [{"espeak": 0.7, "flite": 0.26, "festival": 0.04}[engine] for engine in engines])[0]
    if engine == "espeak":
        if rng.random() < 0.5:
            return engine, rng.choice(ESPEAK)
        return engine, f"{rng.choice(ACCENTS)}+{rng.choice(VARIANTS)}"
    if engine == "festival":
        return engine, rng.choice(FESTIVAL)
    return engine, rng.choice(DIPHONES if rng.random() < 0.12 else ["slt", "awb", "rms"])


def plan(options: argparse.Namespace) -> dict[str, list[tuple[str, str, str]]]:
    """Shard prefix -> (engine, voice, text): sentences of our own, LJ Speech's, and those of books. Ours and those of books once each."""
    rng = random.Random(options.seed)
    lj = [text for name, text in sentences.lj_sentences(options.corpus).items() if not sentences.held_out(name)]
    engines = [engine for engine, program in PROGRAMS.items() if shutil.which(program)]
    if missing := PROGRAMS.keys() - set(engines):
        print("not installed, left out:", *sorted(missing))
    measured = commands_sentences(options.corpus) | set(held_out_own(options.corpus))
    book = sentences.without_runs_of(sentences.book_sentences(options.books), sentences.measured_texts(options.corpus))
    lj = [text for _ in range(options.lj_times) for text in rng.sample(lj, len(lj))]
    rng.shuffle(book)

    def spoken(texts: list[str]) -> list[tuple[str, str, str]]:
        return [(*any_voice(rng, engines), text) for text in texts if len(text) > 3]

    return {"synth_own": spoken(sentences.own_sentences(options.own, options.seed, measured)), "synth_lj": spoken(lj),
            "synth_book": spoken(book)}


def commands_sentences(corpus: Path) -> set[str]:
    return {row["transcript"] for row in sentences.manifest(corpus / "commands")}


def held_out_own(corpus: Path) -> list[str]:
    return sentences.own_sentences(60, 7, commands_sentences(corpus))  # the same for any --seed


def held_out_plan(options: argparse.Namespace) -> dict[str, list[tuple[str, str, str]]]:
    """Unseen sentences, 60 of LJ and 60 of ours, over the training voices in turn."""
    lj = [text for name, text in sentences.lj_sentences(options.corpus).items() if sentences.held_out(name)][:60]

    def spoken(texts: list[str]) -> list[tuple[str, str, str]]:
        return [(*VOICES[i % len(VOICES)], text) for i, text in enumerate(texts)]

    return {"held_out_synth_own": spoken(held_out_own(options.corpus)), "held_out_synth_lj": spoken(lj)}


def teacher_plan(options: argparse.Namespace) -> dict[str, list[tuple[str, str, str]]]:
    """What the voice learns from: one speaker, every LJ sentence of a length that it will get, and ours."""
    lj = [(name, text) for name, text in sentences.lj_sentences(options.corpus).items() if 10 < len(text) < 160]
    ours = sentences.own_sentences(options.own, options.seed)
    texts = [text for name, text in lj if not sentences.held_out(name)] + ours
    random.Random(options.seed).shuffle(texts)

    def taught(texts: list[str]) -> list[tuple[str, str, str]]:
        return [(*TEACHER, text) for text in texts]

    held_out = [text for name, text in lj if sentences.held_out(name)][:100]
    held_out_ours = sentences.own_sentences(100, options.seed + 2, set(ours))
    return {"held_out_voice": taught(held_out), "held_out_voice_own": taught(held_out_ours), "voice": taught(texts)}


def write_shard(job: tuple[str, int, list[tuple[str, str, str]]], out: Path, seed: int, vary: bool) -> str:
    """One shard; --set voice does not vary and notes the phones."""
    prefix, shard, wanted = job
    rng = random.Random(seed * 1000003 + shard)
    with tempfile.TemporaryDirectory() as folder, ShardWriter(out, prefix, shard) as writer:
        for engine, voice, text in wanted:
            if vary:
                audio, facts = speak(engine, voice, text, rng, Path(folder)), {}
            else:
                audio, phones = teach(voice, text, Path(folder))
                facts = {"phones": phones}
            if 0 < len(audio) < 28 * RATE:
                writer.add(audio, text, f"{engine}_{voice}", "synthetic", **facts)
    return f"{prefix} {shard}"


def jobs(options: argparse.Namespace, wanted: dict[str, list[tuple[str, str, str]]]) -> list[tuple[str, int, list]]:
    """Shards that are missing, of all prefixes evenly."""
    placed = []
    for prefix, spoken in wanted.items():
        done = finished_shards(options.out, prefix)
        firsts = range(0, len(spoken), options.per_shard)
        placed += [((shard + 1) / len(firsts), prefix, shard, spoken[first: first + options.per_shard])
                   for shard, first in enumerate(firsts) if shard not in done]
    return [job for _, *job in sorted(placed, key=lambda job: job[:2])]


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--corpus", type=Path, required=True)
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--books", type=Path, help="folder of plain texts, one book a file (Project Gutenberg's)")
    arguments.add_argument("--own", type=int, default=20000, help="sentences of our own")
    arguments.add_argument("--lj-times", type=int, default=1, help="how often each sentence of LJ Speech is spoken, each time by any voice")
    arguments.add_argument("--per-shard", type=int, default=250)
    arguments.add_argument("--processes", type=int, default=1)
    arguments.add_argument("--seed", type=int, default=6)
    arguments.add_argument("--set", choices=["training", "held-out", "voice"], default="training")
    options = arguments.parse_args()

    wanted = {"training": plan, "held-out": held_out_plan, "voice": teacher_plan}[options.set](options)
    write = functools.partial(write_shard, out=options.out, seed=options.seed, vary=options.set != "voice")
    missing = jobs(options, wanted)
    with multiprocessing.Pool(options.processes) as pool:
        for count, name in enumerate(pool.imap_unordered(write, missing), 1):
            print(f"{name}: {count} of {len(missing)} shards", flush=True)


if __name__ == "__main__":
    main()
