"""Windows to learn from: utterances with silences between them, their text with timestamps, batches of one length."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import features
from shards import RATE, Utterances
from tokens import SttTokens

IGNORED = -100
CTC_SYMBOLS = " 'abcdefghijklmnopqrstuvwxyz"  # of the encoder's helper; 0 is blank


@dataclasses.dataclass
class Mix:
    """How often a window's utterances come from a source; `speed`: how far their speed is varied."""
    name: str
    prefixes: list[str]
    share: float
    speed: float


MIXES = [Mix("own", ["synth_own"], 0.4, 0.04), Mix("lj", ["synth_lj"], 0.32, 0.04),
         Mix("human", ["human_librispeech", "human_251", "human_lj", "human_pm", "human_more"], 0.18, 0.15),
         Mix("an4", ["human_an4"], 0.05, 0.1), Mix("fsdd", ["human_fsdd"], 0.05, 0.1)]


def mixes(shares: str) -> list[Mix]:
    """MIXES with other shares, "own=0.7,lj=0.1": what is not named gets none. Empty: as they are."""
    if not shares:
        return MIXES
    named = {name: float(share) for name, share in (pair.split("=") for pair in shares.split(","))}
    if unknown := named.keys() - {mix.name for mix in MIXES}:
        raise ValueError(f"no such source: {sorted(unknown)}")
    return [dataclasses.replace(mix, share=named[mix.name]) for mix in MIXES if named.get(mix.name)]


@dataclasses.dataclass
class Batch:
    samples: Tensor       # [batch, samples]
    tokens: Tensor        # [batch, length], into the decoder
    targets: Tensor       # [batch, length], out of it; IGNORED beyond the end
    letters: list[list[int]]  # for CTC


def letters(text: str) -> list[int]:
    return [CTC_SYMBOLS.index(c) + 1 for c in text.lower() if c in CTC_SYMBOLS]


class WindowSource:
    """Endless random batches. Shards that appear later are found by reload()."""

    def __init__(self, folder: Path, tokens: SttTokens, seed: int, strength: float = 1.0,
                 sources: list[Mix] = MIXES, empty: float = 0.04):
        self.folder, self.tokens, self.strength = folder, tokens, strength
        self.sources, self.empty_share = sources, empty
        self.rng = np.random.default_rng(seed)
        self.reload()

    def reload(self) -> None:
        pools = [(mix, Utterances(self.folder, mix.prefixes)) for mix in self.sources]
        self.pools = [(mix, pool) for mix, pool in pools if len(pool)]
        self.shares = np.array([mix.share for mix, _ in self.pools])
        self.shares /= self.shares.sum()
        self.noises = Utterances(self.folder, ["noise"])

    def noise(self, samples: int) -> np.ndarray:
        audio = self.noises.audio(self.rng.integers(len(self.noises)))
        at = self.rng.integers(len(audio))
        return np.resize(np.roll(audio, -at)[:samples], samples)

    def utterance(self, mix: Mix, pool: Utterances) -> tuple[np.ndarray, str]:
        def one() -> tuple[np.ndarray, str]:
            i = self.rng.integers(len(pool))
            factor = 1 + self.rng.uniform(-mix.speed, mix.speed)
            return features.at_speed(pool.audio(i), factor), pool.row(i)["text"]

        if mix.name != "fsdd":
            return one()
        digits = [one() for _ in range(self.rng.integers(2, 8))]  # single digits become a number
        gap = np.zeros(int(self.rng.uniform(0.02, 0.25) * RATE), np.float32)
        text = " ".join(text.lower() for _, text in digits)
        return np.concatenate([part for audio, _ in digits for part in (audio, gap)]), text[0].upper() + text[1:]

    def window(self, seconds: float) -> tuple[np.ndarray, list[int], list[int], str]:
        """samples, prompt + tokens into the decoder, targets, text."""
        samples, t = int(seconds * RATE), self.tokens
        if self.rng.random() < self.empty_share:
            return self.empty(samples)
        audio = np.zeros(samples, np.float32)
        mix, pool = self.pools[self.rng.choice(len(self.pools), p=self.shares)]
        stamped, text = [], []
        # Most speech starts within a second, as it does behind a voice detector.
        at = int(self.rng.choice([self.rng.uniform(0, 0.4), self.rng.uniform(0, 1.0)]) * RATE)
        loudness = self.rng.uniform(0.3, 1)
        for attempt in range(12):
            speech, words = self.utterance(mix, pool)
            if at + len(speech) > samples:
                if attempt < 4:
                    continue  # another, shorter one
                break
            peak = np.abs(speech).max() + 1e-4
            audio[at: at + len(speech)] += speech / peak * loudness * self.rng.uniform(0.7, 1)
            start, end = at / RATE + 0.06, (at + len(speech)) / RATE - 0.06
            stamped += [t.timestamp(start), *t.encode(" " + words), t.timestamp(end)]
            text.append(words)
            if len(stamped) > 400 or (self.rng.random() < 0.06):
                break
            at += len(speech) + int(self.rng.choice([self.rng.uniform(0.05, 0.6), self.rng.uniform(0.3, 2.5)]) * RATE)
        audio = features.augment(audio, self.noise(samples), self.rng, self.strength)
        if not text:
            return self.empty(samples)
        if self.rng.random() < 0.75:
            into = [t.start, *stamped]
            return audio, into, [*stamped, t.end], " ".join(text)
        plain = t.encode(" " + " ".join(text))
        return audio, [t.start, t.no_timestamps, *plain], [IGNORED, *plain, t.end], " ".join(text)

    def empty(self, samples: int) -> tuple[np.ndarray, list[int], list[int], str]:
        """Noise or silence: <|nospeech|>, and where that is forbidden, <|0.00|> and the end."""
        t = self.tokens
        audio = self.noise(samples) if self.rng.random() < 0.7 else self.rng.standard_normal(samples).astype(np.float32)
        audio = audio / max(np.abs(audio).max(), 1e-4) * np.float32(10 ** self.rng.uniform(-4, -0.3))
        kind = self.rng.random()
        if kind < 0.7:
            return audio, [t.start], [t.no_speech], ""
        if kind < 0.85:
            return audio, [t.start, t.timestamp(0)], [t.timestamp(0), t.end], ""
        return audio, [t.start, t.no_timestamps], [IGNORED, t.end], ""

    def batch(self, count: int, seconds: float) -> Batch:
        rows = [self.window(seconds) for _ in range(count)]
        length = max(len(row[1]) for row in rows)
        tokens = torch.full((count, length), self.tokens.end)
        targets = torch.full((count, length), IGNORED)
        for i, (_, into, out, _) in enumerate(rows):
            tokens[i, : len(into)] = torch.tensor(into)
            targets[i, : len(out)] = torch.tensor(out)
        samples = torch.from_numpy(np.stack([row[0] for row in rows]).astype(np.float32))
        return Batch(samples, tokens, targets, [letters(row[3]) for row in rows])


def lengths(rng: np.random.Generator, long_share: float, short: list[float], batch_seconds: float) -> Iterator[tuple[int, float]]:
    """(windows, seconds each): short windows at first, whole ones of 30 s with the share that they have got by now."""
    while True:
        seconds = 30.0 if rng.random() < long_share else rng.uniform(*short)
        yield max(1, round(batch_seconds / seconds)), seconds
