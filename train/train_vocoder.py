"""Trains the voice's vocoder: transformers' SpeechT5HifiGan with the channels of HiFi-GAN V2 (Kong et al. 2020), on its losses:
log-mel, least-squares adversarial, and feature matching against period and resolution discriminators. Restartable.

    python train_vocoder.py --data DATA --run RUN --minutes 90 [--prefixes voice human_librispeech]
    python train_vocoder.py --run RUN --export OUT
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm
from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

import features
from shards import Utterances

HOP = 256
SIZE = {"upsample_initial_channel": 128}  # rates 4,4,4,4 and the residual blocks of V1 and V2


class PeriodDiscriminator(nn.Module):
    """Looks at every `period`-th sample (HiFi-GAN §2.3), a quarter of its channels."""

    def __init__(self, period: int):
        super().__init__()
        self.period = period
        channels = [1, 16, 64, 128, 256]
        self.layers = nn.ModuleList(weight_norm(nn.Conv2d(a, b, (5, 1), (3, 1), (2, 0))) for a, b in zip(channels, channels[1:]))
        self.last = weight_norm(nn.Conv2d(channels[-1], 1, (3, 1), 1, (1, 0)))

    def forward(self, audio: Tensor) -> list[Tensor]:  # [batch, samples] -> features, score last
        audio = F.pad(audio[:, None], (0, -audio.shape[1] % self.period), "reflect")
        x, found = audio.unflatten(2, (-1, self.period)), []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.1)
            found.append(x)
        return [*found, self.last(x)]


class ResolutionDiscriminator(nn.Module):
    """Looks at a magnitude spectrogram (UnivNet, Jang et al. 2021)."""

    def __init__(self, n_fft: int):
        super().__init__()
        self.n_fft = n_fft
        strides = [(1, 1), (1, 2), (1, 2), (1, 2)]
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(1 if i == 0 else 32, 32, (3, 9), stride, (1, 4))) for i, stride in enumerate(strides))
        self.last = weight_norm(nn.Conv2d(32, 1, (3, 3), 1, 1))

    def forward(self, audio: Tensor) -> list[Tensor]:
        window = torch.hann_window(self.n_fft, device=audio.device)
        x = torch.stft(audio, self.n_fft, self.n_fft // 4, window=window, return_complex=True).abs().transpose(1, 2)[:, None]
        found = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.1)
            found.append(x)
        return [*found, self.last(x)]


class Discriminators(nn.ModuleList):
    def __init__(self):
        super().__init__([*(PeriodDiscriminator(period) for period in (2, 3, 5, 7, 11)),
                          *(ResolutionDiscriminator(n_fft) for n_fft in (512, 1024, 2048))])

    def judge(self, audio: Tensor) -> list[list[Tensor]]:
        return [judge(audio) for judge in self]


def discriminator_loss(real: list[list[Tensor]], made: list[list[Tensor]]) -> Tensor:
    return sum(((1 - r[-1]) ** 2).mean() + (m[-1] ** 2).mean() for r, m in zip(real, made))


def generator_losses(real: list[list[Tensor]], made: list[list[Tensor]]) -> tuple[Tensor, Tensor]:
    """adversarial, feature matching"""
    adversarial = sum(((1 - m[-1]) ** 2).mean() for m in made)
    matching = sum((a.detach() - b).abs().mean() for r, m in zip(real, made) for a, b in zip(r[:-1], m[:-1]))
    return adversarial, matching


class Segments:
    """Random pieces of speech: mel frames as the mel decoder makes them, and the samples that they stand for."""

    def __init__(self, data: Path, prefixes: list[str], frames: int, seed: int):
        self.utterances, self.frames = Utterances(data, prefixes), frames
        self.rng = np.random.default_rng(seed)

    def batch(self, count: int) -> tuple[Tensor, Tensor]:  # [count, frames, 80], [count, frames * 256]
        mels, audios = [], []
        while len(mels) < count:
            audio = torch.from_numpy(self.utterances.audio(int(self.rng.integers(len(self.utterances)))))
            mel = features.voice_mel(audio[None])[0]
            if len(mel) < self.frames + 2:
                continue
            first = int(self.rng.integers(1, len(mel) - self.frames))
            at = first * HOP - HOP // 2  # frame i is centred at sample 256 i
            piece = audio[at: at + self.frames * HOP]
            if len(piece) == self.frames * HOP:
                mels.append(mel[first: first + self.frames])
                audios.append(piece)
        return torch.stack(mels), torch.stack(audios)

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation of the mels: what normalize_before takes away."""
        mels, _ = self.batch(64)
        return mels.mean((0, 1)), mels.std((0, 1)).clamp(min=0.1)


def new_generator(mean: Tensor, scale: Tensor) -> SpeechT5HifiGan:
    generator = SpeechT5HifiGan(SpeechT5HifiGanConfig(**SIZE))
    generator.mean.copy_(mean)
    generator.scale.copy_(scale)
    return generator


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--data", type=Path)
    arguments.add_argument("--run", type=Path, required=True)
    arguments.add_argument("--prefixes", nargs="+", default=["voice"])
    arguments.add_argument("--minutes", type=float, default=90)
    arguments.add_argument("--mel-only-minutes", type=float, default=10, help="without discriminators at first")
    arguments.add_argument("--lr", type=float, default=5e-4)
    arguments.add_argument("--batch", type=int, default=8)
    arguments.add_argument("--frames", type=int, default=32)
    arguments.add_argument("--save-minutes", type=float, default=10)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--seed", type=int, default=6)
    arguments.add_argument("--export", type=Path)
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    options.run.mkdir(parents=True, exist_ok=True)
    newest = options.run / "vocoder.pt"
    state = torch.load(newest, map_location="cpu", weights_only=True) if newest.exists() else None
    if options.export:
        generator = new_generator(torch.zeros(80), torch.ones(80))
        generator.load_state_dict(state["generator"])
        return generator.half().save_pretrained(options.export)

    step, seconds = (state["step"], state["seconds"]) if state else (0, 0.0)
    segments = Segments(options.data, options.prefixes, options.frames, options.seed + 1000003 * step)
    generator, judges = new_generator(*segments.statistics()), Discriminators()
    if state:
        generator.load_state_dict(state["generator"])
        judges.load_state_dict(state["judges"])
    generator.to(device)
    judges.to(device)
    optimizers = {"generator_optimizer": torch.optim.AdamW(generator.parameters(), options.lr, betas=(0.8, 0.99)),
                  "judges_optimizer": torch.optim.AdamW(judges.parameters(), options.lr, betas=(0.8, 0.99))}
    if state:
        for name, optimizer in optimizers.items():
            optimizer.load_state_dict(state[name])
    log = open(options.run / "vocoder.jsonl", "a", encoding="utf-8")

    def save() -> None:
        part = options.run / "vocoder.part"
        torch.save({"generator": generator.state_dict(), "judges": judges.state_dict(), "step": step, "seconds": seconds,
                    **{name: optimizer.state_dict() for name, optimizer in optimizers.items()}}, part)
        part.rename(newest)

    saved = last = time.time()
    while seconds < options.minutes * 60:
        mel, audio = (tensor.to(device) for tensor in segments.batch(options.batch))
        for optimizer in optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = options.lr * max(0.05, 1 - seconds / (options.minutes * 60))
        made = generator(mel)
        adversaries = seconds >= options.mel_only_minutes * 60
        if adversaries:
            worse = discriminator_loss(judges.judge(audio), judges.judge(made.detach()))
            optimizers["judges_optimizer"].zero_grad(set_to_none=True)
            worse.backward()
            optimizers["judges_optimizer"].step()
        by_mel = (features.voice_mel(made) - features.voice_mel(audio)).abs().mean()
        loss = 45 * by_mel
        if adversaries:
            adversarial, matching = generator_losses(judges.judge(audio), judges.judge(made))
            loss = loss + adversarial + 2 * matching
        optimizers["generator_optimizer"].zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(generator.parameters(), 20.0)
        optimizers["generator_optimizer"].step()
        now = time.time()
        step, seconds, last = step + 1, seconds + now - last, now
        if step % 20 == 0:
            log.write(json.dumps({"step": step, "minutes": round(seconds / 60, 2), "mel": round(by_mel.item(), 4),
                                  "loss": round(loss.item(), 3)}) + "\n")
            log.flush()
        if now - saved > options.save_minutes * 60:
            save()
            saved = now
    save()


if __name__ == "__main__":
    main()
