#!/usr/bin/env python3
"""Makes tests/golden/hifigan: tiny random HiFi-GAN generators as published checkpoints have them, and the samples they make.

    pip install torch transformers safetensors numpy
    python3 make_hifigan_golden.py [output folder]

speecht5 is transformers' SpeechT5HifiGan. v1, v2 and v3 are generators of jik876/hifi-gan with the rates, kernels and dilations
of the three published configurations and few channels, written here after the paper (Kong et al. 2020, section 2.2 and appendix
A); the same module with SpeechT5's configuration must agree with transformers. Everything is computed in f32 from weights that f16
holds exactly. README.md describes the files.
"""

import json
import os
import sys
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch loads: one thread sums in one order

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, weight_norm
from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

BANDS, FRAMES = 20, 24
SLOPE = 0.1
PYRAMID = dict(resblock_kernel_sizes=[3, 7, 11], resblock_dilation_sizes=[[1, 3, 5]] * 3)
V12 = dict(resblock="1", upsample_rates=[8, 8, 2, 2], upsample_kernel_sizes=[16, 16, 4, 4], **PYRAMID)
JIK876 = {
    "v1": dict(V12, upsample_initial_channel=32),
    "v2": dict(V12, upsample_initial_channel=16),
    "v3": dict(
        resblock="2", upsample_rates=[8, 8, 4], upsample_kernel_sizes=[16, 16, 8], upsample_initial_channel=32,
        resblock_kernel_sizes=[3, 5, 7], resblock_dilation_sizes=[[1, 2], [2, 6], [3, 12]],
    ),
}  # fmt: skip


def same(channels, kernel, dilation=1):
    """A convolution that keeps the length."""
    return nn.Conv1d(channels, channels, kernel, dilation=dilation, padding=dilation * (kernel - 1) // 2)


class ResBlock(nn.Module):
    """Multi-receptive-field part: kind 1 follows each dilated convolution by a plain one, kind 2 does not."""

    def __init__(self, kind, channels, kernel, dilations):
        super().__init__()
        dilated = nn.ModuleList(same(channels, kernel, d) for d in dilations)
        if kind == "1":
            self.convs1, self.convs2 = dilated, nn.ModuleList(same(channels, kernel) for _ in dilations)
        else:
            self.convs = dilated

    def forward(self, x):
        if hasattr(self, "convs"):
            for conv in self.convs:
                x = x + conv(F.leaky_relu(x, SLOPE))
        else:
            for first, second in zip(self.convs1, self.convs2):
                x = x + second(F.leaky_relu(first(F.leaky_relu(x, SLOPE)), SLOPE))
        return x


class Generator(nn.Module):
    """mel [bands, frames] -> samples. Names of the modules as in jik876/hifi-gan's checkpoints."""

    def __init__(self, config):
        super().__init__()
        channels = config["upsample_initial_channel"]
        self.conv_pre = nn.Conv1d(BANDS, channels, 7, padding=3)
        self.ups, self.resblocks = nn.ModuleList(), nn.ModuleList()
        for rate, kernel in zip(config["upsample_rates"], config["upsample_kernel_sizes"]):
            self.ups.append(nn.ConvTranspose1d(channels, channels // 2, kernel, rate, padding=(kernel - rate) // 2))
            channels //= 2
            for size, dilations in zip(config["resblock_kernel_sizes"], config["resblock_dilation_sizes"]):
                self.resblocks.append(ResBlock(config["resblock"], channels, size, dilations))
        self.conv_post = nn.Conv1d(channels, 1, 7, padding=3)

    def forward(self, mel):
        x = self.conv_pre(mel[None])
        blocks = len(self.resblocks) // len(self.ups)
        for i, up in enumerate(self.ups):
            x = up(F.leaky_relu(x, SLOPE))
            x = sum(block(x) for block in self.resblocks[i * blocks : (i + 1) * blocks]) / blocks
        return torch.tanh(self.conv_post(F.leaky_relu(x)))[0, 0]  # this one's slope is F's default, 0.01


def randomize(module, generator):
    """Weights that keep the signal's size from layer to layer, exact in f16."""
    for name, parameter in module.named_parameters():
        values = torch.randn(parameter.shape, generator=generator)
        if name.endswith("bias"):
            values *= 0.1
        else:
            transposed = "ups" in name
            taps = parameter.shape[2] / (parameter.shape[2] / 2 if transposed else 1)
            inputs = parameter.shape[0] if transposed else parameter.shape[1]
            values *= (0.5 if "resblocks" in name else 1.2) / (inputs * taps) ** 0.5
        parameter.data = values.half().float()


def add_weight_norm(module, new_names):
    """As in training: every convolution is direction times length, both disturbed, both exact in f16."""
    for layer in module.modules():
        if not isinstance(layer, (nn.Conv1d, nn.ConvTranspose1d)):
            continue
        parametrizations.weight_norm(layer) if new_names else weight_norm(layer)
        for name, parameter in layer.named_parameters():
            if name.endswith(("weight_v", "original1")):
                parameter.data = (1.7 * parameter.data).half().float()  # its length does not count
            else:
                parameter.data = parameter.data.half().float()


def write_json(path, value):
    path.write_text(json.dumps(value, indent=1) + "\n")


def save_golden(folder, mel, samples):
    print(f"{folder.name}: {samples.numel()} samples, standard deviation {samples.std():.2f}")
    assert 0.05 < samples.std() < 0.8
    save_file({"mel": mel.contiguous(), "samples": samples.contiguous()}, folder / "golden.safetensors")


def make_speecht5(folder, generator):
    config = SpeechT5HifiGanConfig(model_in_dim=BANDS, upsample_initial_channel=32)
    model = SpeechT5HifiGan(config).eval()
    randomize(model, generator)
    model.mean.copy_(torch.randn(BANDS, generator=generator).half())
    model.scale.copy_((1 + 0.3 * torch.rand(BANDS, generator=generator)).half())
    mel = torch.randn(FRAMES, BANDS, generator=generator)
    samples = model(mel)

    ours = Generator(dict(config.to_dict(), resblock="1")).eval()
    state = {n.replace("upsampler.", "ups."): t for n, t in model.state_dict().items() if n not in ("mean", "scale")}
    ours.load_state_dict(state)
    difference = (ours(((mel - model.mean) / model.scale).T) - samples).abs().max()
    assert difference < 1e-6, f"transformers and this script disagree by {difference}"

    model.half().save_pretrained(folder)
    save_golden(folder, mel, samples)


def make_jik876(folder, config, generator):
    folder.mkdir(parents=True, exist_ok=True)
    model = Generator(config).eval()
    randomize(model, generator)
    add_weight_norm(model, new_names=folder.name == "v3")  # torch has had two ways to name the halves
    mel = torch.randn(FRAMES, BANDS, generator=generator)
    state = {name: tensor.half() for name, tensor in model.state_dict().items()}
    torch.save({"generator": state}, folder / "g_00000007")
    audio = dict(num_mels=BANDS, n_fft=1024, hop_size=256, win_size=1024, sampling_rate=22050, fmin=0, fmax=8000)
    write_json(folder / "config.json", config | audio)
    save_golden(folder, mel, model(mel.T))


@torch.inference_mode()
def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "hifigan"
    generator = torch.Generator().manual_seed(4)
    make_speecht5(folder / "speecht5", generator)
    for name, config in JIK876.items():
        make_jik876(folder / name, config, generator)


main()
