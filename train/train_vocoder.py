"""Trains the voice's vocoder: transformers' SpeechT5HifiGan with the channels of HiFi-GAN V2 (Kong et al. 2020), on its losses:
log-mel, least-squares adversarial, and feature matching against period and resolution discriminators. Restartable.

    python train_vocoder.py --data DATA --run RUN --minutes 90 [--prefixes voice human_librispeech]
    python train_vocoder.py --run RUN --export OUT
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm
from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

import features
from shards import Utterances
from voice_run import Run, options_parser

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
    arguments = options_parser(lr=5e-4)
    arguments.add_argument("--prefixes", nargs="+", default=["voice"])
    arguments.add_argument("--mel-only-minutes", type=float, default=10, help="without discriminators at first")
    arguments.add_argument("--batch", type=int, default=8)
    arguments.add_argument("--frames", type=int, default=32)
    options = arguments.parse_args()
    run = Run(options, "vocoder")
    if options.export:
        generator = new_generator(torch.zeros(80), torch.ones(80))
        run.restore(generator=generator)
        return generator.half().save_pretrained(options.export)

    segments = Segments(options.data, options.prefixes, options.frames, run.data_seed)
    generator, judges = new_generator(*segments.statistics()).to(run.device), Discriminators().to(run.device)
    of_generator = torch.optim.AdamW(generator.parameters(), options.lr, betas=(0.8, 0.99))
    of_judges = torch.optim.AdamW(judges.parameters(), options.lr, betas=(0.8, 0.99))
    parts = {"generator": generator, "judges": judges, "generator_optimizer": of_generator, "judges_optimizer": of_judges}
    run.restore(**parts)
    for _ in run.steps(**parts):
        mel, audio = (tensor.to(run.device) for tensor in segments.batch(options.batch))
        for group in of_generator.param_groups + of_judges.param_groups:
            group["lr"] = options.lr * max(0.05, 1 - run.share_done())
        made = generator(mel)
        adversaries = run.seconds >= options.mel_only_minutes * 60
        if adversaries:
            worse = discriminator_loss(judges.judge(audio), judges.judge(made.detach()))
            of_judges.zero_grad(set_to_none=True)
            worse.backward()
            of_judges.step()
        by_mel = (features.voice_mel(made) - features.voice_mel(audio)).abs().mean()
        loss = 45 * by_mel
        if adversaries:
            adversarial, matching = generator_losses(judges.judge(audio), judges.judge(made))
            loss = loss + adversarial + 2 * matching
        of_generator.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(generator.parameters(), 20.0)
        of_generator.step()
        run.log(mel=by_mel.item(), loss=loss.item())


if __name__ == "__main__":
    main()
