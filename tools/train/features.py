"""Log-mel as Whisper and as SpeechT5 compute it, and what augmentation does to sound. All on whole batches, on any device."""

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

RATE = 16000
VOICE_HOP = 256  # samples a frame of voice_mel
WARPS = torch.linspace(0.85, 1.15, 31)  # of the frequency axis: longer and shorter vocal tracts
NO_WARP = 15  # the place of 1


def slaney_mel(hz: Tensor) -> Tensor:
    """Linear below 1 kHz, logarithmic above (Slaney's Auditory Toolbox)."""
    return torch.where(hz < 1000, hz * 3 / 200, 15 + torch.log(hz.clamp(min=1000) / 1000) * 27 / math.log(6.4))


@functools.cache
def mel_filters(device: str, n_fft: int, low: float, high: float, mels: int = 80, warp: float = 1.0) -> Tensor:
    """[mels, n_fft / 2 + 1], triangles of equal area, as librosa makes them. With a warp the sound seems to have all of its
    frequencies multiplied by it (those near the upper end less, so that they stay within)."""
    edges = torch.linspace(*slaney_mel(torch.tensor([low, high], dtype=torch.float64)).tolist(), mels + 2, dtype=torch.float64)
    hz = torch.where(edges < 15, edges * 200 / 3, 1000 * torch.exp((edges - 15) * math.log(6.4) / 27))
    bins = torch.linspace(0, RATE / 2, n_fft // 2 + 1, dtype=torch.float64)
    knee = 4800 * min(1, 1 / warp)
    above = RATE / 2 - (RATE / 2 - warp * knee) / (RATE / 2 - knee) * (RATE / 2 - bins)
    bins = torch.where(bins < knee, warp * bins, above)
    rising = (bins - hz[:-2, None]) / (hz[1:-1] - hz[:-2])[:, None]
    falling = (hz[2:, None] - bins) / (hz[2:] - hz[1:-1])[:, None]
    triangles = torch.minimum(rising, falling).clamp(min=0) * (2 / (hz[2:] - hz[:-2]))[:, None]
    return triangles.float().to(device)


@functools.cache
def warped_filters(device: str) -> Tensor:
    """[warps, 80, 201]"""
    return torch.stack([mel_filters(device, 400, 0, 8000, warp=float(warp)) for warp in WARPS])


def log_mel(samples: Tensor, warps: Tensor | None = None) -> Tensor:
    """[batch, samples] -> [batch, 80, samples / 160]; openai/whisper audio.py, with the maximum of each row. warps: [batch],
    places in WARPS."""
    window = torch.hann_window(400, device=samples.device)
    spectrum = torch.stft(samples, 400, 160, window=window, return_complex=True)[..., :-1].abs() ** 2
    device = str(samples.device)
    filters = mel_filters(device, 400, 0, 8000) if warps is None else warped_filters(device)[warps]
    log = torch.clamp(filters @ spectrum, min=1e-10).log10()
    log = torch.maximum(log, log.amax(dim=(1, 2), keepdim=True) - 8)
    return (log + 4) / 4


def voice_mel(samples: Tensor) -> Tensor:
    """[batch, samples] -> [batch, 1 + samples / 256, 80]; SpeechT5FeatureExtractor: magnitudes, log10, floor 1e-10."""
    window = torch.hann_window(1024, device=samples.device)
    magnitude = torch.stft(samples, 1024, VOICE_HOP, window=window, return_complex=True).abs()
    return torch.clamp(mel_filters(str(samples.device), 1024, 80, 7600) @ magnitude, min=1e-10).log10().transpose(1, 2)


class Chance:
    """Random numbers for augmentation, on a device."""

    def __init__(self, device: str, seed: int):
        self.device = device
        self.generator = torch.Generator(device).manual_seed(seed)

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(shape, generator=self.generator, device=self.device)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator, device=self.device)

    def below(self, probability: float, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.generator, device=self.device) < probability


def spec_augment(mel: Tensor, chance: Chance, bands: int = 2, spans: float = 1.0) -> Tensor:
    """[batch, mels, frames]: bands of up to 15 mels, and `spans` spans of up to 0.4 s in every 2 s, become the row's mean
    (Park et al. 2019)."""
    batch, mels, frames = mel.shape

    def masked(count: int, longest: int, size: int) -> Tensor:  # [batch, size]
        width = chance.uniform(0, longest, batch, count, 1)
        at = chance.uniform(-longest / 2, size, batch, count, 1)
        places = torch.arange(size, device=mel.device)
        return ((places >= at) & (places < at + width)).any(1)

    hidden = masked(bands, 15, mels)[:, :, None] | masked(max(1, round(spans * frames / 200)), 40, frames)[:, None, :]
    return torch.where(hidden, mel.mean(dim=(1, 2), keepdim=True), mel)


def curve(points: Tensor, bins: int) -> Tensor:
    """[batch, points], equally far apart on a logarithmic frequency axis -> [batch, bins] on a linear one."""
    hz = torch.linspace(0, RATE / 2, bins, device=points.device)
    at = torch.log1p(hz / 200) / math.log1p(RATE / 2 / 200) * (points.shape[1] - 1)
    left = at.long().clamp(max=points.shape[1] - 2)
    share = at - left
    return points[:, left] * (1 - share) + points[:, left + 1] * share


def decibels(value: Tensor) -> Tensor:
    return 10 ** (value / 20)


def room(chance: Chance, batch: int, length: int) -> Tensor:
    """[batch, length]: a click and the room's answer, exponentially decaying noise, 0.08 to 0.6 s to -60 dB."""
    seconds = chance.uniform(0.08, 0.6, batch, 1)
    time = torch.arange(length, device=chance.device) / RATE
    tail = chance.normal(batch, length) * torch.exp(-6.9 * time / seconds) * (time > 0.002)
    tail = tail * chance.uniform(0.05, 0.7, batch, 1) / tail.square().sum(1, keepdim=True).sqrt()
    tail[:, 0] = 1
    return tail


def coloured(spectrum: Tensor, chance: Chance) -> Tensor:
    """[batch, bins] through a random equalizer each."""
    return spectrum * decibels(curve(6 * chance.normal(len(spectrum), 9), spectrum.shape[1]))


def augment(clean: Tensor, noise: Tensor, chance: Chance, strength: float) -> Tensor:
    """[batch, samples], both: rooms, microphones (a random equalizer), telephones and other narrow bands, noise. `strength`
    scales the probability of each; 0 changes nothing."""
    batch, samples = clean.shape
    bins = samples // 2 + 1
    hz = torch.linspace(0, RATE / 2, bins, device=clean.device)

    def some(probability: float) -> Tensor:
        return chance.below(probability * strength, batch, 1)

    sound = torch.fft.rfft(clean)
    answer = torch.fft.rfft(room(chance, batch, min(samples, RATE * 3 // 5)), n=samples)
    sound = torch.where(some(0.35), sound * answer, sound)
    equal = curve(4.5 * chance.normal(batch, 9), bins)
    sound = sound * torch.where(some(0.6), decibels(equal), torch.ones(()).to(clean))

    # Recorded noise or hiss, each of its own colour.
    hiss = chance.below(0.3, batch, 1)
    disturbance = torch.fft.rfft(torch.where(hiss, chance.normal(batch, samples), noise))
    disturbance = coloured(disturbance, chance)
    ratio = sound.abs().square().mean(1, keepdim=True) / disturbance.abs().square().mean(1, keepdim=True).clamp(min=1e-12)
    level = ratio.sqrt() * decibels(-chance.uniform(4, 40, batch, 1))
    sound = torch.where(some(0.6), sound + level * disturbance, sound)

    low, high = chance.uniform(50, 350, batch, 1), chance.uniform(2800, 5000, batch, 1)
    low = torch.where(some(0.3), low, torch.full_like(low, -RATE))
    high = torch.where(some(0.2), high, torch.full_like(high, RATE))
    band = torch.sigmoid((hz - low) / 20) * torch.sigmoid((high - hz) / 60)
    return torch.fft.irfft(sound * band, n=samples)


def resampled(store: Tensor, places: Tensor) -> Tensor:
    """Samples at fractional places of int16 sound, by cubic interpolation (Catmull and Rom); float in [-1, 1]."""
    whole = places.floor()
    x = (places - whole).float()
    whole = whole.long()
    last = store.shape[0] - 1
    a, b, c, d = (store[(whole + i).clamp(0, last)].float() for i in (-1, 0, 1, 2))
    return (b + 0.5 * x * (c - a + x * (2 * a - 5 * b + 4 * c - d + x * (3 * (b - c) + d - a)))) / 32768
