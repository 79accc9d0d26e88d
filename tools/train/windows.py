"""Windows to learn from: utterances with silences between them, their text with timestamps, batches of one length.

All sound lies in one tensor on the device that learns. What a batch consists of is planned on the CPU, as a few numbers a
window; its samples are put together on the device.
"""

import dataclasses
import math
import random
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import features
from features import Chance
from shards import RATE, finished_shards, read_index
from tokens import SttTokens

IGNORED = -100
CTC_SYMBOLS = " 'abcdefghijklmnopqrstuvwxyz"  # of the encoder's helper; 0 is blank
LENGTH = 448  # tokens that a decoder takes
PIECES = 12  # utterances in a window at most
QUIET_ENDS = 0.06  # seconds of silence that shards keep at both ends of an utterance, about


@dataclasses.dataclass
class Mix:
    """How often a window's utterances come from a source; `speed`: how far their speed is varied."""
    name: str
    prefixes: list[str]
    share: float
    speed: float

    @property
    def synthetic(self) -> bool:
        return all(prefix.startswith("synth_") for prefix in self.prefixes)


MIXES = [Mix("own", ["synth_own"], 0.1, 0.06), Mix("book", ["synth_lj", "synth_book"], 0.2, 0.08), Mix("neural", ["synth_neural"], 0.25, 0.14),
         Mix("human", ["human_librispeech", "human_251", "human_lj", "human_pm", "human_more", "human_told"], 0.38, 0.14),
         Mix("spelled", ["human_an4", "human_fsdd"], 0.07, 0.1), Mix("untold", ["human_untold"], 0.0, 0.14)]
UNTOLD_SECONDS = 6  # speech without a text may be cut anywhere


def mixes(shares: str) -> list[Mix]:
    """MIXES with other shares, "own=0.7,book=0.1": what is not named gets none. Empty: as they are."""
    if not shares:
        return MIXES
    named = {name: float(share) for name, share in (pair.split("=") for pair in shares.split(","))}
    if unknown := named.keys() - {mix.name for mix in MIXES}:
        raise ValueError(f"no such source: {sorted(unknown)}")
    return [dataclasses.replace(mix, share=named[mix.name]) for mix in MIXES if named.get(mix.name)]


def letters(text: str) -> list[int]:
    return [CTC_SYMBOLS.index(c) + 1 for c in text.lower() if c in CTC_SYMBOLS]


class Sounds:
    """Samples of many shards back to back on a device: [capacity] int16."""

    def __init__(self, device: str, hours: float):
        self.samples = torch.empty(int(hours * 3600 * RATE), dtype=torch.int16, device=device)
        self.used = 0

    def append(self, audio: np.ndarray) -> int | None:
        """Where it lies; nothing when there is no room left."""
        at = self.used
        if at + len(audio) > len(self.samples):
            return None
        self.samples[at: at + len(audio)] = torch.from_numpy(audio).to(self.samples.device)
        self.used += len(audio)
        return at


@dataclasses.dataclass
class Utterance:
    at: int         # in Sounds
    samples: int
    peak: int       # of the int16 samples
    tokens: list[int]
    letters: list[int]


class Pool:
    """The utterances of one mix, shortest first."""

    def __init__(self, mix: Mix, utterances: list[Utterance]):
        self.mix = mix
        self.utterances = sorted(utterances, key=lambda utterance: utterance.samples)
        self.samples = np.array([utterance.samples for utterance in self.utterances])

    def choose(self, rng: random.Random, most: int) -> Utterance | None:
        """Any that is not longer than `most` samples."""
        count = int(np.searchsorted(self.samples, most, side="right"))
        return self.utterances[rng.randrange(count)] if count else None


@dataclasses.dataclass
class Piece:
    utterance: Utterance
    at: int         # in the window, in samples
    speed: float
    gain: float

    def end(self) -> int:
        return self.at + int(self.utterance.samples / self.speed)


@dataclasses.dataclass
class Window:
    pieces: list[Piece]
    sound_end: int          # in samples: digital silence from there on
    into: list[int]         # prompt and tokens into the decoder
    out: list[int]          # what comes out of it; IGNORED where nothing is to be learned
    letters: list[int]      # for CTC
    synthetic: bool = False  # a synthesizer speaks


@dataclasses.dataclass
class Batch:
    samples: Tensor         # [batch, samples], augmented
    tokens: Tensor          # [batch, length], into the decoder
    targets: Tensor         # [batch, length], out of it; IGNORED beyond the end
    letters: Tensor         # [batch, letters], for CTC
    letter_counts: list[int]
    synthetic: Tensor       # [batch], bool


class WindowSource:
    """Endless random batches of what lies in a folder of shards. Those that appear later are found by look_for_shards()."""

    def __init__(self, folder: Path, tokens: SttTokens, device: str, seed: int, hours: float, strength: float = 1.0,
                 sources: list[Mix] = MIXES, empty: float = 0.04):
        self.folder, self.tokens, self.strength, self.empty_share = folder, tokens, strength, empty
        self.rng, self.chance = random.Random(seed), Chance(device, seed)
        self.sounds, self.noises = Sounds(device, hours), Sounds(device, 1.0)
        self.found: dict[str, list[Utterance]] = {mix.name: [] for mix in sources}
        self.sources, self.seen = sources, set()
        self.noise_spans: list[tuple[int, int]] = []
        self.look_for_shards()

    def look_for_shards(self) -> int:
        """How many were new."""
        new = 0
        for mix in self.sources:
            for base in self.unseen(mix.prefixes):
                audio = np.fromfile(base.with_suffix(".i16"), np.int16)
                at = self.sounds.append(audio)
                if at is None:
                    break
                self.found[mix.name] += self.utterances(base, audio, at)
                new += 1
        for base in self.unseen(["noise"]):
            at = self.noises.append(np.fromfile(base.with_suffix(".i16"), np.int16))
            self.noise_spans += [(at + row["at"], row["samples"]) for row in read_index(base)]
        if new:
            self.pools = [Pool(mix, self.found[mix.name]) for mix in self.sources if self.found[mix.name]]
        return new

    def unseen(self, prefixes: list[str]) -> list[Path]:
        names = [f"{prefix}-{number:04}" for prefix in prefixes for number in sorted(finished_shards(self.folder, prefix))]
        new = [name for name in names if name not in self.seen]
        self.seen.update(new)
        return [self.folder / name for name in new]

    def utterances(self, base: Path, audio: np.ndarray, at: int) -> list[Utterance]:
        rows = read_index(base)
        if base.name.startswith("human_untold"):
            cuts = [np.linspace(row["at"], row["at"] + row["samples"], 1 + math.ceil(row["samples"] / (UNTOLD_SECONDS * RATE))).astype(int) for row in rows]
            return [Utterance(at + start, end - start, int(np.abs(audio[start: end]).max()) + 3, [], [])
                    for cut in cuts for start, end in zip(cut, cut[1:])]
        encoded = self.tokens.encode_all([" " + row["text"] for row in rows])
        return [Utterance(at + row["at"], row["samples"], int(np.abs(audio[row["at"]: row["at"] + row["samples"]]).max()) + 3,
                          ids, letters(row["text"])) for row, ids in zip(rows, encoded)]

    def window(self, seconds: float) -> Window:
        samples, rng, t = int(seconds * RATE), self.rng, self.tokens
        if rng.random() < self.empty_share:
            return self.empty(samples)
        pools = self.pools
        pool = rng.choices(pools, [pool.mix.share for pool in pools])[0]
        # Most speech starts within a second, as it does behind a voice detector.
        at = int(rng.uniform(0, 0.4 if rng.random() < 0.5 else 1.0) * RATE)
        loudness = rng.uniform(0.3, 1)
        pieces: list[Piece] = []
        length = 0
        while len(pieces) < PIECES and length < 200:
            speed = 1 + rng.uniform(-pool.mix.speed, pool.mix.speed)
            chosen = pool.choose(rng, int((samples - at) * speed) - 1)
            if chosen is None:
                break
            pieces.append(Piece(chosen, at, speed, loudness * rng.uniform(0.7, 1) * 32768 / chosen.peak))
            length += len(chosen.tokens) + 2
            if rng.random() < 0.06:
                break
            at = pieces[-1].end() + int(rng.uniform(0.05, 0.6) * RATE if rng.random() < 0.5 else rng.uniform(0.3, 2.5) * RATE)
        if not pieces:
            return self.empty(samples)
        sound_end = samples if rng.random() < 0.3 else min(samples, pieces[-1].end() + int(rng.uniform(0, 0.8) * RATE))
        spoken = [letter for piece in pieces for letter in [*piece.utterance.letters, 1]][:-1]
        plain = [token for piece in pieces for token in piece.utterance.tokens]
        if pool.mix.name == "untold":
            return Window(pieces, sound_end, [t.start], [IGNORED], [])
        if rng.random() < 0.25:
            into, out = [t.start, t.no_timestamps, *plain], [IGNORED, *plain, t.end]
        else:
            stamped = [token for piece in pieces for token in [
                t.timestamp(piece.at / RATE + QUIET_ENDS), *piece.utterance.tokens, t.timestamp(piece.end() / RATE - QUIET_ENDS)]]
            into, out = [t.start, *stamped], [*stamped, t.end]
        if rng.random() < 0.1:  # a prompt: text that is to be carried on, and says nothing about this sound
            before = [t.previous, *rng.choice(pool.utterances).tokens[-100:]]
            into, out = before + into, [IGNORED] * len(before) + out
        return Window(pieces, sound_end, into[:LENGTH], out[:LENGTH], spoken, pool.mix.synthetic)

    def empty(self, samples: int) -> Window:
        """Noise or silence: <|nospeech|>, and where that is forbidden, <|0.00|> and the end."""
        t, kind = self.tokens, self.rng.random()
        end = int(self.rng.uniform(0.05, 1.2) * samples)
        if kind < 0.7:
            return Window([], end, [t.start], [t.no_speech], [])
        if kind < 0.85:
            return Window([], end, [t.start, t.timestamp(0)], [t.timestamp(0), t.end], [])
        return Window([], end, [t.start, t.no_timestamps], [IGNORED, t.end], [])

    def plan(self, count: int, seconds: float) -> list[Window]:
        return [self.window(seconds) for _ in range(count)]

    def batch(self, windows: list[Window], seconds: float) -> Batch:
        device, count = self.chance.device, len(windows)
        tokens = filled([window.into for window in windows], self.tokens.end, device)
        targets = filled([window.out for window in windows], IGNORED, device)
        letter_rows = filled([window.letters for window in windows], 0, device)
        samples = int(seconds * RATE)
        clean = self.assemble(windows, samples)
        heard = features.augment(clean, self.noise(count, samples), self.chance, self.strength)
        # Windows without speech: noise alone, as loud as it likes.
        speechless = sent(np.array([not window.pieces for window in windows]), device)[:, None]
        alone = torch.where(self.chance.below(0.7, count, 1), self.noise(count, samples), 0.2 * self.chance.normal(count, samples))
        alone = torch.where(self.chance.below(0.5, count, 1), torch.fft.irfft(features.coloured(torch.fft.rfft(alone), self.chance), n=samples), alone)
        alone = alone * self.chance.below(0.9, count, 1)
        heard = torch.where(speechless, alone, heard)
        ends = sent(np.array([window.sound_end for window in windows]), device)[:, None]
        within = torch.arange(samples, device=device) < ends
        gain = within * 10 ** self.chance.uniform(-1.7, 0, count, 1)
        return Batch(heard * gain, tokens, targets, letter_rows, [len(window.letters) for window in windows],
                     sent(np.array([window.synthetic for window in windows]), device))

    def assemble(self, windows: list[Window], samples: int) -> Tensor:
        """[batch, samples]: the pieces at their places, nothing in between."""
        device, pieces = self.chance.device, max([1, *(len(window.pieces) for window in windows)])
        table = np.zeros((5, len(windows), pieces))  # where it starts and ends, where it comes from, speed, gain
        table[0:2] = samples
        table[3] = 1
        for i, window in enumerate(windows):
            for j, piece in enumerate(window.pieces):
                table[:, i, j] = piece.at, min(samples, piece.end()), piece.utterance.at, piece.speed, piece.gain
        starts, ends, sources, speeds, gains = sent(table, device)
        places = torch.arange(samples, device=device, dtype=torch.float64).expand(len(windows), samples).contiguous()
        which = (torch.searchsorted(starts.contiguous(), places, right=True) - 1).clamp(min=0)

        def of_piece(values: Tensor) -> Tensor:
            return values.gather(1, which)

        since = places - of_piece(starts)
        inside = (since >= 0) & (places < of_piece(ends))
        sound = features.resampled(self.sounds.samples[: max(self.sounds.used, 1)],
                                   torch.where(inside, of_piece(sources) + since * of_piece(speeds), 0.0))
        return sound * of_piece(gains).float() * inside

    def noise(self, count: int, samples: int) -> Tensor:
        """[count, samples] recorded noises from any place on, slower or faster, repeated as needed."""
        if not self.noise_spans:
            return self.chance.normal(count, samples) * 0.1
        spans = sent(np.array(self.rng.choices(self.noise_spans, k=count)), self.chance.device)
        offset = (self.chance.uniform(0, 1, count) * spans[:, 1]).long()
        steps = torch.arange(samples, device=self.chance.device) * 2 ** self.chance.uniform(-0.6, 0.6, count, 1)
        places = (steps.long() + offset[:, None]) % spans[:, 1:2] + spans[:, 0:1]
        return self.noises.samples[places].float() / 32768


def filled(rows: list[list[int]], value: int, device: str) -> Tensor:
    """Rows of different lengths as one tensor."""
    table = np.full((len(rows), max([1, *(len(row) for row in rows)])), value)
    for i, row in enumerate(rows):
        table[i, : len(row)] = row
    return sent(table, device)


def sent(values: np.ndarray, device: str) -> Tensor:
    """On the device, which need not be waited for."""
    tensor = torch.from_numpy(values)
    return tensor.pin_memory().to(device, non_blocking=True) if device == "cuda" else tensor.to(device)
