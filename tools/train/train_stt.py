"""Trains the speech-to-text model: joint CTC (letters, on the encoder) and attention, with or without a teacher.
Restartable: the newest checkpoint in --run is continued. One command on a CPU or a GPU; everything that changes with time
follows the time budget, so any budget ends properly.

python train_stt.py --data DIR --tokens DIR --run DIR --minutes 90 [--teacher WHISPER]
"""

import argparse
import copy
import ctypes
import dataclasses
import json
import math
import queue
import random
import re
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import features
import words
from features import RATE, Chance
from muon import Muon
from shards import Utterances, finished_shards
from stt_model import SttConfig, SttModel, greedy, start_near_the_diagonal
from teacher import Teacher, unlike
from tokens import SttTokens
from windows import CTC_SYMBOLS, IGNORED, Batch, Window, WindowSource, filled, mixes

IN_FOUR_BITS = r"encoder\.layers.*fc[12]\.weight|decoder\.layers.*(fc[12]|_proj)\.weight|embed_tokens\.weight"  # as release_stt.sh stores them
MEASURES = ["held_out_dev", "held_out_other", "held_out_clean", "held_out_commands", "held_out_synth_own", "held_out_synth_lj"]


def parse_options() -> argparse.Namespace:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--data", type=Path, required=True, help="shards (synthesize.py, corpora.py)")
    arguments.add_argument("--tokens", type=Path, required=True, help="folder of tokenizer.json (tokens.py)")
    arguments.add_argument("--run", type=Path, required=True, help="checkpoints and log")
    arguments.add_argument("--minutes", type=float, default=90, help="time budget, all restarts together")
    arguments.add_argument("--teacher", type=Path, help="transformers folder of a Whisper checkpoint to learn from (teacher.py)")
    arguments.add_argument("--apart", type=float, default=0.7, help="share of the time at the beginning in which the teacher teaches part by part")
    arguments.add_argument("--replay", type=int, default=4, help="remembered windows that the decoder learns from for each new one, at first")
    arguments.add_argument("--led", type=float, default=0.4, help="share of the windows in which a part gets what the teacher's part gets")
    arguments.add_argument("--said", type=float, default=0.3, help="what the encoder gets of the text's gradient where the teacher is trusted, once all learns together")
    arguments.add_argument("--trust", type=float, default=0.1, help="in the teacher where a synthesizer speaks, once all learns together")
    arguments.add_argument("--d-model", type=int, default=384)
    arguments.add_argument("--encoder-layers", type=int, default=4)
    arguments.add_argument("--decoder-layers", type=int, default=4)
    arguments.add_argument("--lr", type=float, default=2e-3, help="of Muon; embeddings, biases and convolutions learn at half of it")
    arguments.add_argument("--warm-up", type=int, default=200, help="steps")
    arguments.add_argument("--fall-from", type=float, default=0.4, help="share of the time after which the learning rate falls")
    arguments.add_argument("--batch-seconds", type=float, default=64)
    arguments.add_argument("--shares", default="", help="of the sources: own=0.1,book=0.4,... (windows.py)")
    arguments.add_argument("--empty", type=float, default=0.03, help="share of windows without speech")
    arguments.add_argument("--ctc-only", type=float, default=0.08, help="share of the time at the beginning in which only CTC teaches")
    arguments.add_argument("--plain", type=float, default=0.12, help="share of the time at the beginning without masks and dropout")
    arguments.add_argument("--rounded", type=float, default=0.85, help="share of the time after which it computes with weights in four bits")
    arguments.add_argument("--strength", type=float, default=1.0, help="of noise, rooms and telephones")
    arguments.add_argument("--dropout", type=float, default=0.1, help="without a teacher")
    arguments.add_argument("--token-noise", type=float, default=0.08, help="share of the decoder's past that is replaced at random")
    arguments.add_argument("--hours", type=float, default=30, help="room for sound in memory: 115 MB an hour")
    arguments.add_argument("--save-minutes", type=float, default=10)
    arguments.add_argument("--measure", type=float, nargs="*", default=[1.0], help="shares of the time after which it is measured")
    arguments.add_argument("--threads", type=int, default=2, help="on a CPU")
    arguments.add_argument("--seed", type=int, default=6)
    arguments.add_argument("--f32", action="store_true", help="products in f32 (a CPU without AMX is faster so)")
    return arguments.parse_args()


@dataclasses.dataclass
class Progress:
    step: int = 0
    seconds: float = 0.0        # of training, all restarts together
    audio_seconds: float = 0.0  # heard


def learning_rate(options: argparse.Namespace, step: int, share_done: float) -> float:
    """Up during the warm-up; when the last part of the time begins, down to a fiftieth along a line."""
    left = (1 - share_done) / (1 - options.fall_from)
    return options.lr * min(1, (step + 1) / options.warm_up) * min(1, max(0.02, left))


def window_seconds(rng: np.random.Generator, share_done: float) -> float:
    """Short windows at first; in the last third many are whole ones of 30 s."""
    if share_done < 0.1:
        return 8.0
    shares = [0.4, 0.6, 0.0] if share_done < 0.45 else [0.25, 0.65, 0.1] if share_done < 0.66 else [0.15, 0.4, 0.45]
    return rng.choice([8.0, 16.0, 30.0], p=shares)


def ctc_loss(head: nn.Linear, audio: Tensor, batch: Batch) -> Tensor:
    """audio: [batch, positions, d]. Of a letter, on the average."""
    log_probs = head(audio).float().log_softmax(-1).transpose(0, 1)
    positions, rows, _ = log_probs.shape
    loss = F.ctc_loss(log_probs, batch.letters, [positions] * rows, batch.letter_counts, reduction="sum", zero_infinity=True)
    return loss / max(1, sum(batch.letter_counts))


def noisy(tokens: Tensor, share: float, pieces: int, chance: Chance) -> Tensor:
    """Some pieces of text become others: the decoder is not to trust its past more than its ears."""
    others = chance.uniform(0, pieces, *tokens.shape).long()
    return torch.where((tokens < pieces) & chance.below(share, *tokens.shape), others, tokens)


def in_four_bits(matrix: Tensor) -> Tensor:
    """As parley compress --weights int4 stores it, about: blocks of 32 weights of an output, 16 steps each."""
    blocks = matrix.float().unflatten(-1, (-1, 32))
    largest = blocks.gather(-1, blocks.abs().argmax(-1, keepdim=True))
    step = torch.where(largest == 0, 1.0, -largest / 8)
    return ((blocks / step).round().clamp(-8, 7) * step).flatten(-2)


class Memory:
    """What pupil and teacher made of the last windows, for the decoder: it learns from many windows while the encoder learns from one."""

    POSITIONS = 500_000  # of each length of window

    def __init__(self, seed: int):
        self.rng = random.Random(seed)
        self.audio: dict[int, Tensor] = {}  # positions -> [windows, pupil's and teacher's, positions, d]
        self.texts: dict[int, list[tuple[list[int], list[int]]]] = defaultdict(list)

    def keep(self, audio: Tensor, teachers: Tensor, tokens: Tensor, targets: Tensor) -> None:
        positions, d = audio.shape[1:]
        if positions not in self.audio:
            self.audio[positions] = audio.new_empty(self.POSITIONS // positions, 2, positions, d)
        store, texts = self.audio[positions], self.texts[positions]
        for row in ((targets != IGNORED).sum(1) > 1).nonzero().flatten().tolist():
            length = int((targets[row] != IGNORED).nonzero().max()) + 1
            text = tokens[row, :length].tolist(), targets[row, :length].tolist()
            at = len(texts) if len(texts) < len(store) else self.rng.randrange(len(store))
            store[at, 0], store[at, 1] = audio[row].detach(), teachers[row]
            texts[at: at + 1] = [text]

    def some(self, positions: int, count: int, end: int) -> tuple[Tensor, Tensor, Tensor, Tensor] | None:
        """The pupil's and the teacher's audio, tokens, targets of windows of that many positions, once there are enough of them."""
        store, texts = self.audio.get(positions), self.texts[positions]
        if count == 0 or len(texts) < 10:
            return None
        chosen = [self.rng.randrange(len(texts)) for _ in range(count)]
        tokens, targets = ([texts[i][side] for i in chosen] for side in (0, 1))
        device = str(store.device)
        return store[chosen, 0], store[chosen, 1], filled(tokens, end, device), filled(targets, IGNORED, device)


class Planner:
    """A thread that plans windows ahead, and one that brings new shards in."""

    def __init__(self, source: WindowSource, options: argparse.Namespace, first_step: int):
        self.source, self.options, self.share_done = source, options, 0.0
        self.rng = np.random.default_rng(options.seed + first_step)
        self.ready: queue.Queue[tuple[list[Window], float]] = queue.Queue(6)
        for work in (self.plan, self.look):
            threading.Thread(target=work, daemon=True).start()

    def plan(self) -> None:
        while True:
            seconds = window_seconds(self.rng, self.share_done)
            self.ready.put((self.source.plan(max(1, round(self.options.batch_seconds / seconds)), seconds), seconds))

    def look(self) -> None:
        while True:
            time.sleep(5)
            self.source.look_for_shards()


class Trainer:
    """`model` holds the weights in f32; `fast` is the copy that computes, in bf16."""

    def __init__(self, options: argparse.Namespace, tokens: SttTokens, device: str):
        self.options, self.tokens, self.device = options, tokens, device
        self.state = load(options.run)
        stt = SttModel(SttConfig(tokens.size, options.d_model, options.d_model // 64, options.encoder_layers,
                                 options.decoder_layers, 4 * options.d_model))
        if not options.teacher:
            start_near_the_diagonal(stt.encoder)
        head = nn.Linear(stt.config.d_model, len(CTC_SYMBOLS) + 1)
        dtype = torch.float32 if options.f32 else torch.bfloat16
        self.teacher = Teacher(options.teacher, tokens, device, dtype) if options.teacher else None
        self.memory = Memory(options.seed)
        self.model = nn.ModuleDict({"stt": stt, "head": head}).to(device)
        if self.state:
            self.model["stt"].load_state_dict(self.state["model"])
            self.model["head"].load_state_dict(self.state["head"])
        self.progress = Progress(**self.state["progress"]) if self.state else Progress()
        self.fast = copy.deepcopy(self.model).to(dtype)
        self.slow_parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.fast_parameters = [p for p in self.fast.parameters() if p.requires_grad]
        for parameter in self.slow_parameters:
            parameter.grad = torch.zeros_like(parameter)
        self.optimizers = self.make_optimizers()
        self.chance = Chance(device, options.seed + self.progress.step)
        self.noted: dict[str, list[Tensor]] = defaultdict(list)  # losses since the last line of the log
        self.last = self.saved = time.time()

    def make_optimizers(self) -> list[torch.optim.Optimizer]:
        hidden = {id(p) for name, p in self.model["stt"].named_parameters() if ".layers." in name and p.ndim == 2}
        matrices = [p for p in self.slow_parameters if id(p) in hidden]
        others = [p for p in self.slow_parameters if id(p) not in hidden]
        optimizers = [Muon(matrices, self.options.lr),
                      torch.optim.AdamW(others, self.options.lr, betas=(0.9, 0.98), weight_decay=0.01, fused=self.device == "cuda")]
        if self.state:
            for optimizer, state in zip(optimizers, self.state.get("optimizers", [])):  # weights may travel alone
                optimizer.load_state_dict(state)
        return optimizers

    def share_done(self) -> float:
        return self.progress.seconds / (self.options.minutes * 60)

    def save(self) -> None:
        part = self.options.run / "checkpoint.part"
        torch.save({"config": dataclasses.asdict(self.model["stt"].config), "model": self.model["stt"].state_dict(),
                    "head": self.model["head"].state_dict(), "optimizers": [o.state_dict() for o in self.optimizers],
                    "progress": dataclasses.asdict(self.progress)}, part)
        part.rename(self.options.run / "checkpoint.pt")
        self.saved = time.time()

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Each with its weight in it."""
        share, options, stt = self.share_done(), self.options, self.fast["stt"]
        stt.set_dropout(0.0 if share < options.plain or self.teacher else options.dropout)
        warps = features.NO_WARP + (6 * self.chance.normal(len(batch.samples))).round().long().clamp(-15, 15)
        mel = features.log_mel(batch.samples, warps).to(self.fast["head"].weight.dtype)
        if self.teacher:
            return self.taught_apart(batch, mel) if share < options.apart else self.taught_together(batch, mel)
        audio = stt.encoder(features.spec_augment(mel, self.chance) if share >= options.plain else mel)
        found = {"ctc": 0.4 * ctc_loss(self.fast["head"], audio, batch)}
        if share >= options.ctc_only:
            logits = self.read(audio, batch.tokens).flatten(0, 1)
            found["said"] = F.cross_entropy(logits, batch.targets.flatten(), ignore_index=IGNORED, label_smoothing=0.1)
        return found

    def read(self, audio: Tensor, tokens: Tensor) -> Tensor:
        """Logits of the next pieces, after tokens some of which are wrong."""
        return self.fast["stt"].decoder(noisy(tokens, self.options.token_noise, self.tokens.end, self.chance), audio).float()

    def taught_together(self, batch: Batch, mel: Tensor) -> dict[str, Tensor]:
        """What was said, what the teacher expects to be said, and how its encoder hears it. Without any text in the batch the first two are 0."""
        trust = torch.where(batch.synthetic, self.options.trust, 1.0)
        found, audio = self.teacher.listening(self.fast["stt"].encoder, mel, 0, apart=False, trust=trust)
        from_text = (1 - trust * (1 - self.options.said)).to(audio.dtype)[:, None, None]
        heard = audio.detach() + from_text * (audio - audio.detach())
        log_probs, asked = self.read(heard, batch.tokens).log_softmax(-1), batch.targets != IGNORED
        count = asked.sum().clamp(min=1)
        found["said"] = F.nll_loss(log_probs.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORED, reduction="sum") / count
        expected = torch.where(asked, unlike(self.teacher.expected(batch.tokens), log_probs), 0)
        found["expected"] = 0.5 * (trust[:, None] * expected).sum() / count
        return found

    def taught_apart(self, batch: Batch, mel: Tensor) -> dict[str, Tensor]:
        """Every part by the teacher's; of the windows, some get what the teacher's part gets."""
        options, stt = self.options, self.fast["stt"]

        def led(rows: int) -> int:
            return min(math.ceil(options.led * rows), rows - 1)

        def read(audio: Tensor, teachers: Tensor, tokens: Tensor, targets: Tensor) -> dict[str, Tensor]:
            into = noisy(tokens, options.token_noise, self.tokens.end, self.chance)
            return self.teacher.reading(stt.decoder, audio, teachers, into, targets, led(len(into)))

        first = led(len(mel))
        found, audio = self.teacher.listening(stt.encoder, mel, first, apart=True)
        own = audio[first:].detach(), self.teacher.states[-1][first:], batch.tokens[first:], batch.targets[first:]
        self.memory.keep(*own)
        found |= {f"fresh_{name}": loss for name, loss in read(*own).items()}
        remembered = self.memory.some(audio.shape[1], options.replay * len(mel), self.tokens.end)
        return {**found, **read(*remembered)} if remembered else found

    def step(self, batch: Batch) -> None:
        progress, options = self.progress, self.options
        found = self.losses(batch)
        sum(found.values()).backward()
        learned = [(slow, fast) for slow, fast in zip(self.slow_parameters, self.fast_parameters) if fast.grad is not None]
        torch._foreach_copy_([slow.grad for slow, _ in learned], [fast.grad for _, fast in learned])
        norm = nn.utils.clip_grad_norm_(self.slow_parameters, 1.0)
        rate = learning_rate(options, progress.step, self.share_done())
        for optimizer, factor in zip(self.optimizers, (1.0, 0.5)):
            for group in optimizer.param_groups:
                group["lr"] = factor * rate
            if norm.isfinite():
                optimizer.step()
        with torch.no_grad():
            torch._foreach_copy_(self.fast_parameters, self.slow_parameters)
            if self.share_done() >= options.rounded:
                for name, parameter in self.fast["stt"].named_parameters():
                    if re.search(IN_FOUR_BITS, name):
                        parameter.copy_(in_four_bits(parameter))
        for parameter in self.fast_parameters:
            parameter.grad = None
        now = time.time()
        progress.step += 1
        progress.seconds += now - self.last
        progress.audio_seconds += batch.samples.numel() / RATE
        self.last = now
        for name, loss in found.items():
            self.noted[name].append(loss.detach())
        if progress.step % 20 == 0 or self.share_done() >= 1:
            self.note(step=progress.step, minutes=progress.seconds / 60, window=batch.samples.shape[1] / RATE,
                      audio_hours=progress.audio_seconds / 3600, norm=norm.item(), lr=rate,
                      **{name: torch.stack(each).mean().item() for name, each in self.noted.items()})
            self.noted.clear()

    def note(self, **facts) -> None:
        row = {name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in facts.items()}
        with open(self.options.run / "log.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def run(self, source: WindowSource) -> None:
        planner = Planner(source, self.options, self.progress.step)
        moments = sorted(moment for moment in self.options.measure if moment >= self.share_done())
        while self.share_done() < 1:
            planner.share_done = self.share_done()
            windows, seconds = planner.ready.get()
            self.step(source.batch(windows, seconds))
            if moments and self.share_done() >= moments[0]:
                moments.pop(0)
                self.measure()
                self.last = time.time()  # measuring is no learning
            if time.time() - self.saved > self.options.save_minutes * 60:
                self.save()
        self.save()

    @torch.no_grad()
    def measure(self, rows: int = 150) -> None:
        """Word error rates of what was held out, greedy and without timestamps."""
        self.fast.eval()
        for name in MEASURES:
            if not finished_shards(self.options.data, name):
                continue
            utterances = Utterances(self.options.data, [name])
            chosen = np.unique(np.linspace(0, len(utterances) - 1, min(rows, len(utterances))).astype(int))
            pairs = []
            for first in range(0, len(chosen), 25):
                some = [int(i) for i in chosen[first: first + 25]]
                padded = np.stack([np.pad(audio, (0, 30 * RATE - len(audio))) for i in some for audio in [utterances.audio(i)[: 30 * RATE]]])
                mel = features.log_mel(torch.from_numpy(padded).to(self.device)).to(self.fast["head"].weight.dtype)
                heard = greedy(self.fast["stt"], mel, [self.tokens.start, self.tokens.no_timestamps], self.tokens.end, limit=150)
                pairs += [(utterances.row(i)["text"], self.tokens.decode(ids)) for i, (ids, _) in zip(some, heard)]
            self.note(measured=name, step=self.progress.step, wer=round(100 * words.rate(pairs), 2), example=pairs[0])
        self.fast.train()


def load(run: Path) -> dict | None:
    newest = run / "checkpoint.pt"
    return torch.load(newest, map_location="cpu", weights_only=True) if newest.exists() else None


def keep_memory() -> None:
    """glibc gives large blocks back to the system and asks for them again, page by page: three times the work of a matrix product."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        mmap_max, trim_threshold, top_pad = -4, -1, -2
        for option, value in ((mmap_max, 0), (trim_threshold, 2 ** 31 - 1), (top_pad, 2 ** 28)):
            libc.mallopt(option, value)


def main() -> None:
    options = parse_options()
    sys.setswitchinterval(2e-5)  # every operation lets go of the interpreter; the planner must not keep it for 5 ms
    keep_memory()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokens = SttTokens(options.tokens)
    options.run.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(options, tokens, device)
    source = WindowSource(options.data, tokens, device, options.seed + 1000003 * trainer.progress.step, options.hours,
                          options.strength, mixes(options.shares), options.empty)
    trainer.run(source)


if __name__ == "__main__":
    main()
