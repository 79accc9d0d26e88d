"""Trains the speech-to-text model: joint CTC (letters, on the encoder) and attention. Restartable: the newest checkpoint in
--run is continued. One command on a CPU or a GPU; the learning rate follows the time budget, so any budget ends properly.

python train_stt.py --data DIR --tokens DIR --run DIR --minutes 90 [--start-from CHECKPOINT]
"""

import argparse
import copy
import dataclasses
import json
import queue
import threading
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import features
from pilot_start import start_from
from stt_model import SttConfig, SttModel, start_near_the_diagonal
from tokens import SttTokens
from windows import CTC_SYMBOLS, IGNORED, Batch, WindowSource, lengths, mixes


def parse_options() -> argparse.Namespace:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--data", type=Path, required=True, help="shards (synthesize.py, corpora.py)")
    arguments.add_argument("--tokens", type=Path, required=True, help="folder of tokenizer.json (tokens.py)")
    arguments.add_argument("--run", type=Path, required=True, help="checkpoints and log")
    arguments.add_argument("--minutes", type=float, default=90, help="time budget, all restarts together")
    arguments.add_argument("--start-from", type=Path, help="transformers checkpoint of the same width")
    arguments.add_argument("--encoder-layers", type=int, default=6)
    arguments.add_argument("--decoder-layers", type=int, default=4)
    arguments.add_argument("--lr", type=float, default=6e-4)
    arguments.add_argument("--warm-up", type=int, default=200, help="steps")
    arguments.add_argument("--fall-from", type=float, default=0.33, help="share of the time after which the learning rate falls")
    arguments.add_argument("--batch-seconds", type=float, default=64)
    arguments.add_argument("--short", type=float, nargs=2, default=[5, 13], help="seconds of the windows that are not 30 s long")
    arguments.add_argument("--shares", default="", help="of the sources: own=0.4,lj=0.3,... (windows.py)")
    arguments.add_argument("--empty", type=float, default=0.04, help="share of windows without speech")
    arguments.add_argument("--decoder-only-minutes", type=float, default=0,
                           help="the encoder of --start-from stays as it is at first: quick adaptation to new text")
    arguments.add_argument("--ctc-only-minutes", type=float, default=0, help="CTC alone at first (from scratch: a tenth of all)")
    arguments.add_argument("--strength", type=float, default=0.7, help="of noise, rooms and telephones")
    arguments.add_argument("--spec-augment", action="store_true", help="masks in the log-mel (long runs, not from the start)")
    arguments.add_argument("--save-minutes", type=float, default=10)
    arguments.add_argument("--loaders", type=int, default=1, help="threads that prepare batches")
    arguments.add_argument("--threads", type=int, default=1, help="inside one product")
    arguments.add_argument("--workers", type=int, default=1, help="batches learned from at once (CPU)")
    arguments.add_argument("--seed", type=int, default=6)
    arguments.add_argument("--bf16", action="store_true", help="bf16 products (always on a GPU)")
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


def long_share(share_done: float) -> float:
    """Some windows of 30 s always; more of them in the last third."""
    return 0.06 if share_done < 0.66 else 0.25


def ctc_loss(head: nn.Linear, audio: Tensor, letters: list[list[int]]) -> Tensor:
    """audio: [batch, positions, d]."""
    log_probs = head(audio).float().log_softmax(-1).transpose(0, 1)
    positions, batch, _ = log_probs.shape
    targets = torch.tensor([letter for row in letters for letter in row], dtype=torch.long)
    sizes = torch.tensor([len(row) for row in letters])
    # On the CPU also on a GPU machine: targets of this size are nothing.
    loss = F.ctc_loss(log_probs.cpu(), targets, torch.full((batch,), positions), sizes, reduction="sum", zero_infinity=True)
    return loss.to(audio.device) / max(1, int(sizes.sum()))


def losses(model: nn.ModuleDict, batch: Batch, device: str, masks: bool, attention: bool,
           encoder_learns: bool) -> tuple[Tensor, Tensor]:
    """Of CTC and of attention. An encoder that does not learn has no CTC loss."""
    mel = features.log_mel(batch.samples.to(device))
    if masks:
        mel = features.spec_augment(mel)
    with torch.set_grad_enabled(encoder_learns):
        audio = model["stt"].encoder(mel)
    by_ctc = ctc_loss(model["head"], audio, batch.letters) if encoder_learns else torch.zeros((), device=device)
    if not attention:
        return by_ctc, torch.zeros_like(by_ctc)
    logits = model["stt"].decoder(batch.tokens.to(device), audio)
    by_attention = F.cross_entropy(logits.float().flatten(0, 1), batch.targets.to(device).flatten(), ignore_index=IGNORED,
                                   label_smoothing=0.05)
    return by_ctc, by_attention


class Prefetcher:
    """Threads that make batches; each has its own random numbers, and looks for new shards now and then."""

    def __init__(self, options: argparse.Namespace, tokens: SttTokens, first_step: int):
        self.ready: queue.Queue[Batch] = queue.Queue(2 * options.loaders)
        self.long_share = 0.0
        for i in range(options.loaders):
            seed = options.seed + 1000003 * (first_step + 1) + i
            threading.Thread(target=self.fill, args=(options, tokens, seed), daemon=True).start()

    def fill(self, options: argparse.Namespace, tokens: SttTokens, seed: int) -> None:
        source = WindowSource(options.data, tokens, seed, options.strength, mixes(options.shares), options.empty)
        rng = np.random.default_rng(seed)
        loaded = time.time()
        while True:
            count, seconds = next(lengths(rng, self.long_share, options.short, options.batch_seconds))
            self.ready.put(source.batch(count, seconds))
            if time.time() - loaded > 300:
                source.reload()
                loaded = time.time()


class Trainer:
    """The model and what trains it. On a CPU several workers each learn from a batch of their own, on a copy of the model; the
    gradients of whoever is ready move the one model. Threads inside one small product would mostly wait for each other."""

    def __init__(self, options: argparse.Namespace, model: nn.ModuleDict, device: str, state: dict | None):
        self.options, self.model, self.device = options, model, device
        self.progress = Progress(**state["progress"]) if state else Progress()
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=options.lr, betas=(0.9, 0.98), weight_decay=0.01)
        if state:
            self.optimizer.load_state_dict(state["optimizer"])
        self.log = open(options.run / "log.jsonl", "a", encoding="utf-8")
        self.last = self.saved = time.time()
        self.lock = threading.Lock()

    def share_done(self) -> float:
        return self.progress.seconds / (self.options.minutes * 60)

    def save(self) -> None:
        part = self.options.run / "checkpoint.part"
        torch.save({"config": dataclasses.asdict(self.model["stt"].config), "model": self.model["stt"].state_dict(),
                    "head": self.model["head"].state_dict(), "optimizer": self.optimizer.state_dict(),
                    "progress": dataclasses.asdict(self.progress)}, part)
        part.rename(self.options.run / "checkpoint.pt")
        self.saved = time.time()

    def work(self, prefetcher: "Prefetcher") -> None:
        own = self.model if self.options.workers == 1 else copy.deepcopy(self.model)
        parameters = [p for p in own.parameters() if p.requires_grad]
        while self.share_done() < 1:
            prefetcher.long_share = long_share(self.share_done())
            batch = prefetcher.ready.get()
            attention = self.progress.seconds >= self.options.ctc_only_minutes * 60
            encoder_learns = self.progress.seconds >= self.options.decoder_only_minutes * 60
            with torch.autocast(self.device, torch.bfloat16, enabled=self.options.bf16 or self.device == "cuda"):
                by_ctc, by_attention = losses(own, batch, self.device, self.options.spec_augment, attention, encoder_learns)
            gradients = torch.autograd.grad(by_attention + 0.3 * by_ctc, parameters, allow_unused=True)
            with self.lock:
                self.step(gradients, batch, by_ctc.item(), by_attention.item())
                if own is not self.model:
                    own.load_state_dict(self.model.state_dict())

    def step(self, gradients: tuple[Tensor | None, ...], batch: Batch, by_ctc: float, by_attention: float) -> None:
        progress, options = self.progress, self.options
        for parameter, gradient in zip(self.parameters, gradients):
            parameter.grad = gradient
        rate = learning_rate(options, progress.step, self.share_done())
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        norm = nn.utils.clip_grad_norm_(self.parameters, 1.0).item()
        self.optimizer.step()
        now = time.time()
        progress.step += 1
        progress.seconds += now - self.last
        progress.audio_seconds += batch.samples.numel() / features.RATE
        self.last = now
        if progress.step % 10 == 0:
            row = {"step": progress.step, "minutes": progress.seconds / 60, "window": batch.samples.shape[1] / features.RATE,
                   "audio_hours": progress.audio_seconds / 3600, "ctc": by_ctc, "attention": by_attention, "norm": norm,
                   "lr": rate}
            self.log.write(json.dumps({name: float(f"{value:.4g}") for name, value in row.items()}) + "\n")
            self.log.flush()
        if now - self.saved > options.save_minutes * 60:
            self.save()


def load_or_start(options: argparse.Namespace, tokens: SttTokens) -> tuple[nn.ModuleDict, dict | None]:
    """The model with its CTC head, and the checkpoint that they come from, if there is one."""
    stt = SttModel(SttConfig(tokens.size, encoder_layers=options.encoder_layers, decoder_layers=options.decoder_layers))
    head = nn.Linear(stt.config.d_model, len(CTC_SYMBOLS) + 1)
    newest = options.run / "checkpoint.pt"
    state = torch.load(newest, map_location="cpu", weights_only=True) if newest.exists() else None
    if state:
        stt.load_state_dict(state["model"])
        head.load_state_dict(state["head"])
    elif options.start_from:
        start_from(stt, options.start_from, tokens)
    else:
        start_near_the_diagonal(stt.encoder)
    return nn.ModuleDict({"stt": stt, "head": head}), state


def main() -> None:
    options = parse_options()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokens = SttTokens(options.tokens)
    options.run.mkdir(parents=True, exist_ok=True)
    model, state = load_or_start(options, tokens)
    trainer = Trainer(options, model.to(device), device, state)
    prefetcher = Prefetcher(options, tokens, trainer.progress.step)
    workers = [threading.Thread(target=trainer.work, args=(prefetcher,)) for _ in range(options.workers)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    trainer.save()


if __name__ == "__main__":
    main()
