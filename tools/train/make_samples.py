"""Sample audio for data/audio: our own sentences in Debian's synthesizers, nothing of a corpus.

python make_samples.py --out ../../data/audio [--build ../../build]          --build: with our own voice, too
"""

import argparse
import random
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import butter, resample_poly, sosfilt

import sentences
from synthesize import RATE, speak

# name -> (engine and voice, sentence) in order. What is said is what the small model is for.
SAMPLE = [("flite", "slt", "Turn off the kitchen light."), ("flite", "rms", "The meeting is on Tuesday at eight o'clock."),
          ("flite", "awb", "It will be windy in Berlin on Sunday.")]
SPEAKERS = [("flite", "slt", "What is the weather in Chicago?"),
            ("espeak", "en-us+m3", "The temperature is sixty seven degrees."),
            ("flite", "rms", "Call Helen tomorrow."), ("espeak", "en-us+f1", "Wake me up at seven."),
            ("flite", "awb", "My number is three five two nine one.")]
NOISY = [("flite", "slt", "Set a timer for ten minutes."), ("flite", "rms", "Open the window in the bedroom.")]
TELEPHONE = [("flite", "rms", "Call Anna now."), ("flite", "slt", "My number is eight zero one three.")]
STEREO = [("flite", "awb", "Stop the radio in the hall."), ("flite", "slt", "The meeting is on Friday at nine o'clock.")]

OURS = ["What is the weather in Chicago?", "Turn off the kitchen light."]


def spoken(parts: list[tuple[str, str, str]], rng: random.Random, folder: Path) -> list[np.ndarray]:
    """float32, 16 kHz, equally loud."""
    audios = [speak(*part, rng, folder).astype(np.float32) / 32768 for part in parts]
    return [0.5 * audio / np.abs(audio).max() for audio in audios]


def by_our_voice(text: str, build: Path, folder: Path) -> np.ndarray:
    wav = folder / "ours.wav"
    model = Path(__file__).parents[2] / "data/models/parley-mini-voice"
    subprocess.run([build / "speak", "-m", model, "--precision", "f32", "-o", wav, text], check=True)
    audio, rate = soundfile.read(wav, dtype="float32")
    assert rate == RATE
    return audio


def silence(seconds: float) -> np.ndarray:
    return np.zeros(int(seconds * RATE), np.float32)


def joined(audios: list[np.ndarray]) -> np.ndarray:
    """With pauses of 3.3 s: what transcribe takes for the end of an utterance."""
    gap = 3.3
    return np.concatenate([silence(0.4)] + [part for audio in audios for part in (audio, silence(gap))])


def hiss(samples: int, level: float, seed: int) -> np.ndarray:
    """Like a fan: white noise below 1.5 kHz."""
    noise = np.random.default_rng(seed).standard_normal(samples)
    return (level * sosfilt(butter(2, 1500, fs=RATE, output="sos"), noise)).astype(np.float32)


def with_pauses(rng: random.Random, folder: Path) -> tuple[np.ndarray, str]:
    """Three minutes: groups of one to three sentences, pauses of 2 to 12 s with a little hiss."""
    voices, parts, texts, total = ["slt", "rms", "awb"], [silence(1)], [], 0.0
    everything = sentences.own_sentences(200, 77)
    usable = iter([text for text in everything if 15 < len(text) < 50])
    while total < 165:
        for _ in range(rng.randrange(1, 4)):
            text = next(usable)
            parts += [*spoken([("flite", rng.choice(voices), text)], rng, folder), silence(rng.uniform(0.4, 0.8))]
            texts.append(text)
        parts.append(silence(rng.uniform(2, 12)))
        total = sum(map(len, parts)) / RATE
    audio = np.concatenate(parts)
    audio = np.concatenate([audio, silence(max(0, 180 - len(audio) / RATE))])
    return audio + hiss(len(audio), 0.001, 5), " ".join(texts)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--build", type=Path, help="folder of the program speak")
    options = arguments.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rng, rows = random.Random(2), []

    def write(name: str, audio: np.ndarray, rate: int, text: str, about: str, **form) -> None:
        soundfile.write(options.out / name, audio, rate, **form)
        rows.append(f"{name}\t{len(audio) / rate:.1f}\t{about}\t{text}")

    def text_of(parts: list[tuple[str, str, str]]) -> str:
        return " ".join(text for _, _, text in parts)

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write("sample.flac", joined(spoken(SAMPLE, rng, folder)), RATE, text_of(SAMPLE), "three voices")
        write("speakers.opus", joined(spoken(SPEAKERS, rng, folder)), RATE, text_of(SPEAKERS), "five voices", format="OGG",
              subtype="OPUS")
        noisy = joined(spoken(NOISY, rng, folder))
        write("noisy.opus", noisy + hiss(len(noisy), 0.03, 3), RATE, text_of(NOISY), "a fan beside the speaker", format="OGG",
              subtype="OPUS")
        pauses, text = with_pauses(rng, folder)
        write("pauses.opus", pauses, RATE, text, "three minutes with pauses", format="OGG", subtype="OPUS",
              compression_level=0.95)
        telephone = resample_poly(joined(spoken(TELEPHONE, rng, folder)), 1, 2)
        band = butter(4, [300, 3400], "bandpass", fs=8000, output="sos")
        write("telephone.wav", sosfilt(band, telephone), 8000, text_of(TELEPHONE), "8 kHz, A-law, 300 to 3400 Hz", subtype="ALAW")
        left = resample_poly(joined(spoken(STEREO, rng, folder)), 441, 160)
        right = 0.6 * np.concatenate([np.zeros(20), left[:-20]])  # the right microphone is farther away
        if options.build:
            write("voice.flac", joined([by_our_voice(text, options.build, folder) for text in OURS]), RATE, " ".join(OURS),
                  "parley-mini-voice")
        write("stereo.ogg", np.stack([left, right], axis=1), 44100, text_of(STEREO), "44.1 kHz stereo, Vorbis")
    table = "file\tseconds\twhat\ttext\n" + "\n".join(rows) + "\n"
    (options.out / "samples.tsv").write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
