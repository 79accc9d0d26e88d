"""What training the voice and training its vocoder share: options, checkpoints, the clock and the log."""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import torch


def options_parser(lr: float) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=90)
    parser.add_argument("--lr", type=float, default=lr)
    parser.add_argument("--save-minutes", type=float, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--export", type=Path)
    return parser


class Run:
    """A run in its folder: the newest checkpoint in NAME.pt, the log in NAME.jsonl. Restarts go on from the checkpoint."""

    def __init__(self, options: argparse.Namespace, name: str):
        torch.set_num_threads(options.threads)
        torch.manual_seed(options.seed)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.options, self.path = options, options.run / f"{name}.pt"
        options.run.mkdir(parents=True, exist_ok=True)
        self.state = torch.load(self.path, map_location="cpu", weights_only=True) if self.path.exists() else {}
        if options.export and not self.state:
            raise SystemExit(f"{self.path} is not there: train first")
        self.step, self.seconds = self.state.get("step", 0), self.state.get("seconds", 0.0)
        self.data_seed = options.seed + 1000003 * self.step

    def restore(self, **parts) -> None:
        """Modules and optimizers, by their names in the checkpoint, as it has them; if there is one."""
        for name, part in parts.items():
            if self.state:
                part.load_state_dict(self.state[name])

    def save(self, **parts) -> None:
        state = {name: part.state_dict() for name, part in parts.items()}
        unfinished = self.path.with_suffix(".part")
        torch.save({**state, "step": self.step, "seconds": self.seconds}, unfinished)
        unfinished.rename(self.path)

    def share_done(self) -> float:
        return self.seconds / (self.options.minutes * 60)

    def steps(self, **parts) -> Iterator[int]:
        """One number a step until the minutes, all restarts together, are over; saves now and then and at the end."""
        saved = last = time.time()
        while self.share_done() < 1:
            yield self.step
            now = time.time()
            self.step, self.seconds, last = self.step + 1, self.seconds + now - last, now
            if now - saved > self.options.save_minutes * 60:
                self.save(**parts)
                saved = now
        self.save(**parts)

    def log(self, **facts: float) -> None:
        """Every 20th step is written down."""
        if (self.step + 1) % 20 == 0:
            row = {"step": self.step + 1, "minutes": round(self.seconds / 60, 2), **{k: round(v, 4) for k, v in facts.items()}}
            with open(self.path.with_suffix(".jsonl"), "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
