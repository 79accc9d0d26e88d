"""Writes the log-mel golden files of tests/dsp from PyTorch and librosa.

Usage: python make_log_mel_golden.py [output folder]     (needs torch, librosa, numpy)

The reference is the front end of openai/whisper: torch.stft (400-point periodic Hann window, hop 160, centred, reflected)
of the clip with 30 s of zeros behind it, power, Slaney mel filters, log10, clipped 8 below the maximum, (y + 4) / 4. The
signal is synthetic: a voice-like pulse train through moving formants, pauses, a chirp and noise.

  speech.s16      2.6 s of the signal, 16-bit little-endian samples
  log_mel_80.f32, log_mel_128.f32    its first 264 frames (the last see no signal), [264, n_mels] little-endian f32
  short_80.f32    of samples 5000 to 5120 alone (fewer than the reflection takes), [4, 80] little-endian f32
"""

import pathlib
import sys

import librosa
import numpy as np
import torch

RATE, N_FFT, HOP, PADDING = 16000, 400, 160, 480000


def signal() -> np.ndarray:
    rng = np.random.default_rng(7)
    n = int(2.6 * RATE)
    t = np.arange(n) / RATE
    pitch = 110 + 30 * np.sin(2 * np.pi * 0.7 * t)
    pulses = np.diff(np.floor(np.cumsum(pitch) / RATE), prepend=0.0)
    voice = np.zeros(n)
    for formant, width, depth in ((600, 90, 250), (1500, 120, 500), (2600, 160, 300)):
        centre = formant + depth * np.sin(2 * np.pi * 1.3 * t + formant)
        radius = np.exp(-np.pi * width / RATE)
        y1 = y2 = 0.0
        for i in range(n):
            y = pulses[i] + 2 * radius * np.cos(2 * np.pi * centre[i] / RATE) * y1 - radius * radius * y2
            y1, y2 = y, y1
            voice[i] += y
    voice *= (np.sin(2 * np.pi * 1.9 * t) > -0.4) / np.abs(voice).max()
    chirp = 0.05 * np.sin(2 * np.pi * (200 * t + 1450 * t * t)) * (t > 1.8)
    return np.round((0.6 * voice + chirp + 0.002 * rng.standard_normal(n)) * 32767).clip(-32768, 32767).astype("<i2")


def log_mel(samples: np.ndarray, n_mels: int) -> np.ndarray:
    audio = torch.from_numpy(np.concatenate([samples.astype(np.float32) / 32768, np.zeros(PADDING, np.float32)]))
    stft = torch.stft(audio, N_FFT, HOP, window=torch.hann_window(N_FFT), return_complex=True)
    power = stft[..., :-1].abs() ** 2
    filters = torch.from_numpy(librosa.filters.mel(sr=RATE, n_fft=N_FFT, n_mels=n_mels))
    y = torch.clamp(filters @ power, min=1e-10).log10()
    y = torch.maximum(y, y.max() - 8.0)
    return ((y + 4.0) / 4.0).T.contiguous().numpy().astype("<f4")


def main() -> None:
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    samples = signal()
    samples.tofile(folder / "speech.s16")
    for n_mels in (80, 128):
        log_mel(samples, n_mels)[:264].tofile(folder / f"log_mel_{n_mels}.f32")
    log_mel(samples[5000:5120], 80)[:4].tofile(folder / "short_80.f32")


if __name__ == "__main__":
    main()
