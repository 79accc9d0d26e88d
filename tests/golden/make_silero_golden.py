"""Probabilities of the published Silero VAD: tests/dsp/golden/silero.f32.

    pip install silero-vad torch numpy safetensors
    python tests/golden/make_silero_golden.py

Frames of 512 samples of tests/dsp/golden/speech.s16 (16 kHz, s16le), between half a second of quiet
noise on both sides, through the package's silero_vad.jit from a fresh state, with the weights of the
package's silero_vad_16k.safetensors: the two files are of different trainings.
"""

from pathlib import Path

import numpy as np
import silero_vad
import torch
from safetensors.torch import load_file

FRAME = 512
HERE = Path(__file__).resolve().parent.parent / "dsp/golden"


# Names in the safetensors file: in the script module.
NAMES = {"stft_conv.weight": "stft.forward_basis_buffer"}
NAMES |= {f"conv{i + 1}.{kind}": f"encoder.{i}.reparam_conv.{kind}" for i in range(4) for kind in ("weight", "bias")}
NAMES |= {f"lstm_cell.{kind}": f"decoder.rnn.{kind}" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
NAMES |= {f"final_conv.{kind}": f"decoder.decoder.2.{kind}" for kind in ("weight", "bias")}


def noise(count, state):
    """The generator of tests/dsp/vad_test.cpp: 16 bits of a linear congruential generator."""
    samples = []
    for _ in range(count):
        state = (state * 1664525 + 1013904223) % 2**32
        samples.append((state >> 16) / 65536 - 0.5)
    return 0.01 * np.array(samples)


def main():
    torch.set_num_threads(1)
    speech = np.fromfile(HERE / "speech.s16", "<i2") / 32768
    samples = np.concatenate([noise(8000, 1), speech, noise(8000, 2)]).astype(np.float32)
    samples = samples[: len(samples) // FRAME * FRAME]
    model = silero_vad.load_silero_vad()
    weights = load_file(Path(silero_vad.__file__).parent / "data/silero_vad_16k.safetensors")
    state = model.state_dict()
    with torch.no_grad():
        for name, value in weights.items():
            state["_model." + NAMES[name]].copy_(value)
    model.reset_states()
    probabilities = [model(torch.from_numpy(frame), 16000).item() for frame in samples.reshape(-1, FRAME)]
    np.array(probabilities, "<f4").tofile(HERE / "silero.f32")
    print(len(probabilities), "frames,", sum(p > 0.5 for p in probabilities), "of speech")


if __name__ == "__main__":
    main()
