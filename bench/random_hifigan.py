#!/usr/bin/env python3
"""Writes a HiFi-GAN of published dimensions with random weights, as a Hugging Face folder: speed does not depend on them.

    python3 bench/random_hifigan.py speecht5 bench-models/speecht5_hifigan
"""

import argparse
import math
from pathlib import Path

import numpy as np
from random_whisper import write_json, write_safetensors

SIZES = {  # sample rate; rates and kernel sizes of the upsamplings
    "speecht5": (16000, [4, 4, 4, 4], [8, 8, 8, 8]),
    "v1": (22050, [8, 8, 2, 2], [16, 16, 4, 4]),
}
CHANNELS, BANDS, KERNELS, DILATIONS = 512, 80, [3, 7, 11], [1, 3, 5]


def shapes(kernels):
    """{name: shape} under the names of transformers' SpeechT5HifiGan."""
    found = {}

    def add(name, shape, outputs):
        found[f"{name}.weight"], found[f"{name}.bias"] = shape, (outputs,)

    add("conv_pre", (CHANNELS, BANDS, 7), CHANNELS)
    for i, kernel in enumerate(kernels):
        channels = CHANNELS >> (i + 1)
        add(f"upsampler.{i}", (2 * channels, channels, kernel), channels)
        for b, size in enumerate(KERNELS):
            for j in range(len(DILATIONS)):
                for convs in ("convs1", "convs2"):
                    name = f"resblocks.{i * len(KERNELS) + b}.{convs}.{j}"
                    add(name, (channels, channels, size), channels)
    add("conv_post", (1, channels, 7), 1)
    return found | {"mean": (BANDS,), "scale": (BANDS,)}


def random_weights(kernels, seed=0):
    rng = np.random.default_rng(seed)
    weights = {}
    for name, shape in shapes(kernels).items():
        normal = rng.standard_normal(shape, dtype=np.float32)
        if name == "scale":
            normal = 1 + 0.1 * normal
        elif len(shape) == 3:  # signals keep their size
            normal *= 0.5 / math.sqrt(math.prod(shape[1:]))
        else:
            normal *= 0.1
        weights[name] = np.ascontiguousarray(normal, dtype=np.float16)
    return weights


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("size", choices=SIZES)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    sample_rate, rates, kernels = SIZES[arguments.size]
    arguments.output.mkdir(parents=True, exist_ok=True)
    weights = random_weights(kernels)
    write_safetensors(arguments.output / "model.safetensors", weights)
    config = {
        "architectures": ["SpeechT5HifiGan"], "model_type": "hifigan", "model_in_dim": BANDS, "sampling_rate": sample_rate,
        "upsample_initial_channel": CHANNELS, "upsample_rates": rates, "upsample_kernel_sizes": kernels,
        "resblock_kernel_sizes": KERNELS, "resblock_dilation_sizes": [DILATIONS] * len(KERNELS), "leaky_relu_slope": 0.1,
        "normalize_before": True,
    }  # fmt: skip
    write_json(arguments.output / "config.json", config)
    print(f"{arguments.output}: {sum(w.size for w in weights.values()) / 1e6:.1f} M parameters")


if __name__ == "__main__":
    main()
