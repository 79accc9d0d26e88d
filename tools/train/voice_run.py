"""What training the voice and training its vocoder share: options, checkpoints, the clock and the log."""

import argparse
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor


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


def stage_tensors(folder: Path) -> dict[str, Tensor]:
    """The tensors of a converted model's stage in f32, under their names; int8 is scale x q (docs/formats.md)."""
    stored = load_file(folder / "weights.safetensors")
    tensors = {}
    for name, tensor in stored.items():
        scale = stored.get(name + ".scale")
        if scale is not None:
            tensors[name] = tensor.view(torch.int8).float() * scale[:, None]
        elif tensor.dtype == torch.uint8:
            raise SystemExit(f"{folder}: {name} is stored in a form other than f32, f16 and int8")
        elif not (name.endswith(".scale") and name.removesuffix(".scale") in stored):
            tensors[name] = tensor.float()
    return tensors


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
        """Modules and optimizers, by their names in the checkpoint, as it has them; what it lacks stays."""
        for name, part in parts.items():
            if name in self.state:
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

    def log(self, **facts: Tensor) -> None:
        """Every 20th step is written down; only then is the device waited for. Without numbers left the checkpoint is not overwritten."""
        if (self.step + 1) % 20 == 0:
            values = {name: round(value.item(), 4) for name, value in facts.items()}
            if not all(map(math.isfinite, values.values())):
                raise SystemExit(f"{values} in step {self.step}: start again to go on from the checkpoint")
            row = {"step": self.step + 1, "minutes": round(self.seconds / 60, 3), **values}
            with open(self.path.with_suffix(".jsonl"), "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
