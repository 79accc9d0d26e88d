"""Trains the voice's vocoder: transformers' SpeechT5HifiGan, 1.4 M parameters, on the losses of HiFi-GAN (Kong et al. 2020): log-mel,
least-squares adversarial, and feature matching against period and resolution discriminators; spectra of three resolutions
(Yamamoto et al. 2020) at first, when there is no adversary. Restartable.

    python train_vocoder.py --data DATA --run RUN --minutes 90 [--prefixes voice human_librispeech] [--start-from MODEL/vocoder]
                            [--voice RUN]
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
import train_voice
from features import VOICE_HOP
from shards import Utterances
from voice_run import Run, options_parser, stage_tensors

# Twice the channels of HiFi-GAN V2 and a third of its convolutions: on a CPU wider layers cost less than more layers.
SIZE = {"upsample_initial_channel": 256, "resblock_kernel_sizes": [3, 7], "resblock_dilation_sizes": [[1, 3], [1, 3]]}
JUDGES_A_STEP = 4  # of eight, drawn anew each step


def magnitude(audio: Tensor, n_fft: int) -> Tensor:  # [batch, samples] -> [batch, n_fft / 2 + 1, frames]
    window = torch.hann_window(n_fft, device=audio.device)
    spectrum = torch.stft(audio, n_fft, n_fft // 4, window=window, return_complex=True)
    return torch.sqrt(spectrum.real ** 2 + spectrum.imag ** 2 + 1e-9)  # abs() has no gradient at 0


def spectral_loss(made: Tensor, audio: Tensor) -> Tensor:
    """Spectral convergence and log magnitudes at three resolutions (Parallel WaveGAN, Yamamoto et al. 2020)."""
    loss = made.new_zeros(())
    for n_fft in (256, 512, 1024):
        a, b = magnitude(made, n_fft), magnitude(audio, n_fft)
        loss = loss + (a - b).norm() / b.norm().clamp(min=1e-3) + (a.log() - b.log()).abs().mean()
    return loss / 3


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
            weight_norm(nn.Conv2d(1 if i == 0 else 16, 16, (3, 9), stride, (1, 4))) for i, stride in enumerate(strides))
        self.last = weight_norm(nn.Conv2d(16, 1, (3, 3), 1, 1))

    def forward(self, audio: Tensor) -> list[Tensor]:
        x = magnitude(audio, self.n_fft).transpose(1, 2)[:, None]
        found = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.1)
            found.append(x)
        return [*found, self.last(x)]


class Discriminators(nn.ModuleList):
    def __init__(self):
        super().__init__([*(PeriodDiscriminator(period) for period in (2, 3, 5, 7, 11)),
                          *(ResolutionDiscriminator(n_fft) for n_fft in (512, 1024, 2048))])

    def judge(self, audio: Tensor, chosen: list[int]) -> list[list[Tensor]]:
        return [self[i](audio) for i in chosen]


def discriminator_loss(real: list[list[Tensor]], made: list[list[Tensor]]) -> Tensor:
    return sum(((1 - r[-1]) ** 2).mean() + (m[-1] ** 2).mean() for r, m in zip(real, made))


def generator_losses(real: list[list[Tensor]], made: list[list[Tensor]]) -> tuple[Tensor, Tensor]:
    """adversarial, feature matching"""
    adversarial = sum(((1 - m[-1]) ** 2).mean() for m in made)
    matching = sum((a.detach() - b).abs().mean() for r, m in zip(real, made) for a, b in zip(r[:-1], m[:-1]))
    return adversarial, matching


def smoothed(mels: Tensor) -> Tensor:
    """[batch, frames, 80] -> the same, each blurred in time, and then in frequency, by a share of its own: what the mel decoder makes is
    smoother than what is heard."""
    for axis in (1, 2):
        over = F.avg_pool1d(F.pad(mels.transpose(axis, 2), (1, 1), "replicate"), 3, 1).transpose(axis, 2)
        share = torch.rand(len(mels), 1, 1, device=mels.device) * (torch.rand(len(mels), 1, 1, device=mels.device) < 0.6)
        mels = mels + share * (over - mels)
    return mels


class Segments:
    """Random pieces of speech: mel frames, and the samples that they stand for. With `spoken`, a mel decoder's frames of each utterance,
    half of the mels are those."""

    def __init__(self, utterances: Utterances, frames: int, seed: int, spoken: list[Tensor] | None = None):
        self.utterances, self.frames, self.spoken = utterances, frames, spoken
        self.rng = np.random.default_rng(seed)

    def batch(self, count: int) -> tuple[Tensor, Tensor]:  # [count, frames, 80], [count, frames * 256]
        mels, audios = [], []
        while len(mels) < count:
            which = int(self.rng.integers(len(self.utterances)))
            audio = torch.from_numpy(self.utterances.audio(which))
            of_decoder = self.spoken is not None and self.rng.random() < 0.5
            mel = self.spoken[which].float() if of_decoder else features.voice_mel(audio[None])[0]
            if len(mel) < self.frames + 2:
                continue
            first = int(self.rng.integers(1, len(mel) - self.frames))
            at = first * VOICE_HOP - VOICE_HOP // 2  # frame i is centred at sample 256 i
            piece = audio[at: at + self.frames * VOICE_HOP]
            if len(piece) == self.frames * VOICE_HOP:
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


def restore_stage(generator: SpeechT5HifiGan, folder: Path) -> None:
    """The vocoder of a converted model; its tensors have transformers' names."""
    generator.load_state_dict(stage_tensors(folder))


def main() -> None:
    arguments = options_parser(lr=5e-4)
    arguments.add_argument("--prefixes", nargs="+", default=["voice"])
    arguments.add_argument("--mel-only-minutes", type=float, default=30, help="without discriminators at first")
    arguments.add_argument("--start-from", type=Path, help="a converted model's vocoder; then the judges learn from the first step")
    arguments.add_argument("--voice", type=Path, help="a run of train_voice.py, whose mels are learned from, too")
    arguments.add_argument("--batch", type=int, default=8)
    arguments.add_argument("--frames", type=int, default=32)
    options = arguments.parse_args()
    run = Run(options, "vocoder")
    if options.export:
        generator = new_generator(torch.zeros(80), torch.ones(80))
        run.restore(generator=generator)
        return generator.half().save_pretrained(options.export)

    utterances = Utterances(options.data, options.prefixes)
    spoken = train_voice.spoken_mels(options.voice, utterances, run.device) if options.voice else None
    segments = Segments(utterances, options.frames, run.data_seed, spoken)
    generator, judges = new_generator(*segments.statistics()).to(run.device), Discriminators().to(run.device)
    if options.start_from:
        restore_stage(generator, options.start_from)
    of_generator = torch.optim.AdamW(generator.parameters(), options.lr, betas=(0.8, 0.99))
    of_judges = torch.optim.AdamW(judges.parameters(), options.lr, betas=(0.8, 0.99))
    parts = {"generator": generator, "judges": judges, "generator_optimizer": of_generator, "judges_optimizer": of_judges}
    run.restore(**parts)
    for _ in run.steps(**parts):
        mel, audio = (tensor.to(run.device) for tensor in segments.batch(options.batch))
        for group in of_generator.param_groups + of_judges.param_groups:
            group["lr"] = options.lr * max(0.05, 1 - run.share_done())
        made = generator(smoothed(mel))
        by_mel = (features.voice_mel(made) - features.voice_mel(audio)).abs().mean()
        mel_only = run.seconds < options.mel_only_minutes * 60
        if not mel_only or options.start_from:
            chosen = torch.randperm(len(judges))[:JUDGES_A_STEP].tolist()
            real, worse = judges.judge(audio, chosen), judges.judge(made.detach(), chosen)
            of_judges.zero_grad(set_to_none=True)
            discriminator_loss(real, worse).backward()
            of_judges.step()
        if mel_only:
            loss = 15 * by_mel + 5 * spectral_loss(made, audio)
        else:
            with torch.no_grad():
                real = judges.judge(audio, chosen)
            adversarial, matching = generator_losses(real, judges.judge(made, chosen))
            loss = 45 * by_mel + adversarial + 2 * matching
        of_generator.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(generator.parameters(), 20.0)
        of_generator.step()
        run.log(mel=by_mel, loss=loss)


if __name__ == "__main__":
    main()
