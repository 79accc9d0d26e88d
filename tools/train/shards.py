"""Shards of utterances: NAME-0000.i16 (16 kHz mono samples, back to back) and NAME-0000.jsonl (one line an utterance).

pack turns them into Ogg Opus for travelling (a tenth of the bytes), unpack turns them back:
    python shards.py pack FOLDER PACKED [--kbps 14]     python shards.py unpack PACKED FOLDER
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

RATE = 16000


def at_rate(audio: np.ndarray, rate: int) -> np.ndarray:
    """Resampled to RATE."""
    gcd = math.gcd(RATE, rate)
    return audio if rate == RATE else resample_poly(audio, RATE // gcd, rate // gcd)


class ShardWriter:
    """The .jsonl appears last and at once, so a shard is either whole or absent."""

    def __init__(self, folder: Path, prefix: str, number: int):
        folder.mkdir(parents=True, exist_ok=True)
        self.base = folder / f"{prefix}-{number:04}"
        self.audio = open(self.base.with_suffix(".i16"), "wb")
        self.lines: list[str] = []
        self.position = 0

    def add(self, audio: np.ndarray, text: str, speaker: str, source: str, **facts) -> None:
        assert audio.dtype == np.int16 and audio.ndim == 1
        self.audio.write(audio.tobytes())
        row = {"at": self.position, "samples": len(audio), "text": text, "speaker": speaker, "source": source, **facts}
        self.lines.append(json.dumps(row))
        self.position += len(audio)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace) -> None:
        self.audio.close()
        if kind is None:
            part = self.base.with_suffix(".part")
            part.write_text("".join(line + "\n" for line in self.lines), encoding="utf-8")
            part.rename(self.base.with_suffix(".jsonl"))


def finished_shards(folder: Path, prefix: str) -> set[int]:
    return {int(path.stem[-4:]) for path in folder.glob(f"{prefix}-[0-9][0-9][0-9][0-9].jsonl")}


def read_index(base: Path) -> list[dict]:
    """The rows of a shard: where its samples lie, how many, the text, the speaker."""
    return [json.loads(line) for line in base.with_suffix(".jsonl").read_text(encoding="utf-8").splitlines()]


class Utterances:
    """All utterances of the shards whose name begins with one of the prefixes; audio is mapped, not read."""

    def __init__(self, folder: Path, prefixes: list[str]):
        self.rows: list[tuple[np.memmap, dict]] = []
        for prefix in prefixes:
            for number in sorted(finished_shards(folder, prefix)):
                base = folder / f"{prefix}-{number:04}"
                audio = np.memmap(base.with_suffix(".i16"), dtype=np.int16, mode="r")
                self.rows += [(audio, row) for row in read_index(base)]

    def __len__(self) -> int:
        return len(self.rows)

    def audio(self, i: int) -> np.ndarray:  # float32, [-1, 1]
        audio, row = self.rows[i]
        return audio[row["at"]: row["at"] + row["samples"]].astype(np.float32) / 32768

    def row(self, i: int) -> dict:
        return self.rows[i][1]


def pack(folder: Path, packed: Path, kbps: int) -> None:
    packed.mkdir(parents=True, exist_ok=True)
    level = 1 - (kbps - 6) / 250  # libsndfile: 0 is 256 kbit/s, 1 is 6
    for index in sorted(folder.glob("*.jsonl")):
        target = packed / (index.stem + ".opus")
        if not target.exists():
            audio = np.fromfile(index.with_suffix(".i16"), np.int16)
            soundfile.write(target, audio, RATE, format="OGG", subtype="OPUS", compression_level=level)
        (packed / index.name).write_bytes(index.read_bytes())


def unpack(packed: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index in sorted(packed.glob("*.jsonl")):
        audio, _ = soundfile.read(index.with_suffix(".opus"), dtype="int16")
        audio.tofile(folder / (index.stem + ".i16"))
        (folder / index.name).write_bytes(index.read_bytes())


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("action", choices=["pack", "unpack"])
    arguments.add_argument("source", type=Path)
    arguments.add_argument("target", type=Path)
    arguments.add_argument("--kbps", type=int, default=14)
    options = arguments.parse_args()
    if options.action == "pack":
        pack(options.source, options.target, options.kbps)
    else:
        unpack(options.source, options.target)


if __name__ == "__main__":
    main()
