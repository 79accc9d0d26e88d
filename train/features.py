"""Log-mel as Whisper and as SpeechT5 compute it, and what augmentation does to samples."""

import functools
import math

import numpy as np
import torch
from scipy.signal import butter, fftconvolve, sosfilt
from torch import Tensor

RATE = 16000
VOICE_HOP = 256  # samples a frame of voice_mel


def slaney_mel(hz: Tensor) -> Tensor:
    """Linear below 1 kHz, logarithmic above (Slaney's Auditory Toolbox)."""
    return torch.where(hz < 1000, hz * 3 / 200, 15 + torch.log(hz.clamp(min=1000) / 1000) * 27 / math.log(6.4))


@functools.cache
def mel_filters(device: str, n_fft: int, low: float, high: float, mels: int = 80) -> Tensor:
    """[mels, n_fft / 2 + 1], triangles of equal area, as librosa makes them."""
    edges = torch.linspace(*slaney_mel(torch.tensor([low, high], dtype=torch.float64)).tolist(), mels + 2, dtype=torch.float64)
    hz = torch.where(edges < 15, edges * 200 / 3, 1000 * torch.exp((edges - 15) * math.log(6.4) / 27))
    bins = torch.linspace(0, RATE / 2, n_fft // 2 + 1, dtype=torch.float64)
    rising = (bins - hz[:-2, None]) / (hz[1:-1] - hz[:-2])[:, None]
    falling = (hz[2:, None] - bins) / (hz[2:] - hz[1:-1])[:, None]
    triangles = torch.minimum(rising, falling).clamp(min=0) * (2 / (hz[2:] - hz[:-2]))[:, None]
    return triangles.float().to(device)


def log_mel(samples: Tensor) -> Tensor:
    """[batch, samples] -> [batch, 80, samples / 160]; openai/whisper audio.py, with the maximum of each row."""
    window = torch.hann_window(400, device=samples.device)
    spectrum = torch.stft(samples, 400, 160, window=window, return_complex=True)[..., :-1].abs() ** 2
    log = torch.clamp(mel_filters(str(samples.device), 400, 0, 8000) @ spectrum, min=1e-10).log10()
    log = torch.maximum(log, log.amax(dim=(1, 2), keepdim=True) - 8)
    return (log + 4) / 4


def voice_mel(samples: Tensor) -> Tensor:
    """[batch, samples] -> [batch, 1 + samples / 256, 80]; SpeechT5FeatureExtractor: magnitudes, log10, floor 1e-10."""
    window = torch.hann_window(1024, device=samples.device)
    magnitude = torch.stft(samples, 1024, VOICE_HOP, window=window, return_complex=True).abs()
    return torch.clamp(mel_filters(str(samples.device), 1024, 80, 7600) @ magnitude, min=1e-10).log10().transpose(1, 2)


def spec_augment(mel: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Two bands of up to 15 mels and a few spans of up to 0.4 s a row become the row's mean."""
    mel = mel.clone()
    for row in mel:
        mean = row.mean()
        for _ in range(2):
            width, at = (int(torch.randint(0, n, (1,), generator=generator)) for n in (16, 65))
            row[at: at + width] = mean
        for _ in range(max(1, row.shape[1] // 400)):
            width = int(torch.randint(0, 40, (1,), generator=generator))
            at = int(torch.randint(0, max(1, row.shape[1] - width), (1,), generator=generator))
            row[:, at: at + width] = mean
    return mel


def at_speed(audio: np.ndarray, factor: float) -> np.ndarray:
    """Faster and higher for factors above one: another vocal tract, another pitch, another pace."""
    places = np.arange(0, len(audio) - 1, factor, dtype=np.float32)
    return np.interp(places, np.arange(len(audio), dtype=np.float32), audio).astype(np.float32)


def with_noise(audio: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    power, noise_power = np.mean(audio**2) + 1e-9, np.mean(noise**2) + 1e-9
    return audio + noise * np.sqrt(power / noise_power * 10 ** (-snr_db / 10)).astype(np.float32)


def in_a_room(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Exponentially decaying noise as the room's answer, 0.1 to 0.5 s to -60 dB."""
    seconds = rng.uniform(0.1, 0.5)
    n = int(seconds * RATE)
    tail = rng.standard_normal(n).astype(np.float32) * np.exp(-6.9 * np.arange(n, dtype=np.float32) / n)
    tail *= rng.uniform(0.1, 0.6) / np.sqrt(np.sum(tail**2))
    tail[0] = 1
    return fftconvolve(audio, tail)[: len(audio)].astype(np.float32)


def by_telephone(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    band = [rng.uniform(60, 350), rng.uniform(3000, 6000)]
    return sosfilt(butter(4, band, "bandpass", fs=RATE, output="sos"), audio).astype(np.float32)


def augment(audio: np.ndarray, noise: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Each effect with a probability that `strength` scales (0: only the gain varies)."""
    if rng.random() < 0.15 * strength:
        audio = in_a_room(audio, rng)
    if rng.random() < 0.15 * strength:
        audio = by_telephone(audio, rng)
    if rng.random() < 0.5 * strength:
        audio = with_noise(audio, noise, rng.uniform(5, 30))
    return audio * np.float32(rng.uniform(0.2, 1) / max(np.abs(audio).max(), 1e-3))
