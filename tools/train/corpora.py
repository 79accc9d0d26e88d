"""Human speech into shards: python corpora.py --corpus DIR --out DIR [--transcripts FILE] [--more FOLDER ...] [--untold FOLDER ...].

What measures is never written into a training shard: librispeech_test_*, commands, the dev-clean speakers 1272 and 2035,
a third of the noises; nor, of --more, what shares six words in a row with it.
"""

import argparse
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

import sentences
from sentences import MEASURING_SPEAKERS
from shards import RATE, ShardWriter, at_rate, finished_shards
from synthesize import speech

MEASURING_NOISES = {"bg_noise3", "bg_noise4", "bg_noise9", "exercise_bike", "running_tap"}
# folder -> (shard prefix, speakers taken)
TRAINING = {
    "librispeech_dev_clean_mp3": ("human_librispeech", lambda speaker: speaker not in MEASURING_SPEAKERS),
    "librispeech_train_clean_100_251spk": ("human_251", lambda speaker: True),
    "an4": ("human_an4", lambda speaker: True),
    "fsdd": ("human_fsdd", lambda speaker: True),
    "ljspeech_33": ("human_lj", lambda speaker: True),
    "philippmatthes_lj_sentences": ("human_pm", lambda speaker: True),
}
MEASURING = {
    "librispeech_dev_clean_mp3": ("held_out_dev", lambda speaker: speaker in MEASURING_SPEAKERS),
    "librispeech_test_other_100": ("held_out_other", lambda speaker: True),
    "librispeech_test_clean_4": ("held_out_clean", lambda speaker: True),
    "commands": ("held_out_commands", lambda speaker: True),
}


def read_audio(path: Path) -> np.ndarray:
    """int16, 16 kHz, mono."""
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return (np.clip(at_rate(audio.mean(axis=1), rate), -1, 1) * 32767).astype(np.int16)


def read_transcripts(path: Path | None) -> dict[str, str]:
    """File name without its ending -> text, of lines NAME<TAB>TEXT."""
    return dict(line.split("\t", 1) for line in path.read_text(encoding="utf-8").splitlines()) if path else {}


def recordings(folder: Path, taken, transcripts: dict[str, str], measured: list[str] = []) -> Iterator[tuple[np.ndarray, str, str]]:
    """Samples, text and speaker of each that is taken, has a text, has it in words, and shares no run of words with what measures."""
    rows = [(row, row["transcript"] or transcripts.get(Path(row["relative_path"]).stem, "")) for row in sentences.manifest(folder) if taken(row["speaker"])]
    allowed = set(sentences.without_runs_of([text for _, text in rows], measured))
    for row, text in rows:
        if text and text in allowed and not any(map(str.isdigit, text)):
            yield read_audio(folder / row["relative_path"]), sentences.read_speech(sentences.clean(text)), row["speaker"]


def untold(folder: Path) -> Iterator[tuple[np.ndarray, str, str]]:
    """All recordings, without what is said in them."""
    for row in sentences.manifest(folder):
        yield read_audio(folder / row["relative_path"]), "", row["speaker"]


def digit_strings(digits: Iterator[tuple[np.ndarray, str, str]], count: int = 1500) -> Iterator[tuple[np.ndarray, str, str]]:
    """Single digits of a speaker become numbers of two to seven digits."""
    rng = random.Random(0)
    by_speaker: dict[str, list[tuple[np.ndarray, str]]] = {}
    for audio, text, speaker in digits:
        by_speaker.setdefault(speaker, []).append((audio[speech(audio, 0)], text.lower()))
    for _ in range(count):
        speaker = rng.choice(sorted(by_speaker))
        chosen = rng.choices(by_speaker[speaker], k=rng.randrange(2, 8))
        gap, edge = np.zeros(int(rng.uniform(0.02, 0.25) * RATE), np.int16), np.zeros(RATE // 10, np.int16)
        parts = [part for audio, _ in chosen for part in (audio, gap)]
        yield np.concatenate([edge, *parts[:-1], edge]), " ".join(text for _, text in chosen).capitalize(), speaker


def write(folder: Path, out: Path, prefix: str, number: int, found: Iterator[tuple[np.ndarray, str, str]]) -> None:
    """What trains is cut to its speech and 0.1 s around it, so that timestamps are true; what measures stays as it is."""
    if number in finished_shards(out, prefix):
        return
    if prefix == "human_fsdd":
        found = digit_strings(found)
    with ShardWriter(out, prefix, number) as writer:
        for audio, text, speaker in found:
            measures = prefix.startswith("held_out")
            audio = audio if measures else audio[speech(audio)]
            if measures or RATE // 4 < len(audio) < 28 * RATE:
                writer.add(audio, text, speaker, folder.name)
        if not writer.lines:
            raise SystemExit(f"{folder} has no recordings with transcripts that can be used; leave it out or give --transcripts")
        print(prefix, len(writer.lines), f"{writer.position / RATE / 3600:.2f} h", flush=True)


def noise(corpus: Path, out: Path) -> None:
    paths = sorted((corpus / "noise").rglob("*.flac"))
    for prefix, measuring in (("noise", False), ("held_out_noise", True)):
        if 0 in finished_shards(out, prefix):
            continue
        with ShardWriter(out, prefix, 0) as writer:
            for path in paths:
                if (path.stem in MEASURING_NOISES) == measuring:
                    writer.add(read_audio(path), "", path.stem, "noise")


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--corpus", type=Path, required=True)
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--transcripts", type=Path, help="NAME<TAB>TEXT a line, of recordings whose manifest says no text")
    arguments.add_argument("--more", type=Path, nargs="*", default=[], help="further folders with a manifest.tsv, to train on")
    arguments.add_argument("--untold", type=Path, nargs="*", default=[], help="folders of speech that nobody wrote down, for a teacher to explain")
    options = arguments.parse_args()
    transcripts = read_transcripts(options.transcripts)
    noise(options.corpus, options.out)
    for table in (TRAINING, MEASURING):
        for name, (prefix, taken) in table.items():
            write(options.corpus / name, options.out, prefix, 0, recordings(options.corpus / name, taken, transcripts))
    measured = sentences.measured_texts(options.corpus)
    for number, folder in enumerate(options.more):
        write(folder, options.out, "human_more", number, recordings(folder, lambda speaker: True, transcripts, measured))
    for number, folder in enumerate(options.untold):
        write(folder, options.out, "human_untold", number, untold(folder))


if __name__ == "__main__":
    main()
