#!/usr/bin/env python3
"""Makes the GGUF files of tests/stage/golden with ggml's own Python package: the "wide" Whisper of make_checkpoints.py

whisper-openai.gguf   names of openai/whisper, the types that whisper.cpp quantizes to, the number of heads in the metadata
whisper-candle.gguf   names of Hugging Face with "model." before them, bf16 and q8_0, the output matrix once more

and k_quants.safetensors: random blocks of ggml's 256-element types with the values that the package reads from them.

Needs: gguf, safetensors and what make_checkpoints.py needs.   Usage: make_gguf.py tests/stage/golden
"""

import sys
from pathlib import Path

import gguf
import make_checkpoints as wide
import numpy as np
from safetensors.numpy import save_file

K_TYPES = {"q2_k": (84, (80, 82)), "q3_k": (110, (108,)), "q4_k": (144, (0, 2)), "q5_k": (176, (0, 2)), "q6_k": (210, (208,))}


def quantized_bytes(values, kind):
    shape = values.shape
    rows = np.frombuffer(wide.quantize(values, kind), np.uint8)
    return rows.reshape(*shape[:-1], -1)


def add(writer, name, values, kind):
    values = np.ascontiguousarray(values, np.float32)
    if kind in ("f32", "f16"):
        writer.add_tensor(name, values.astype(np.float32 if kind == "f32" else np.float16))
    elif kind == "bf16":
        halves = (values.view(np.uint32) >> 16).astype(np.uint16)
        writer.add_tensor(name, halves.view(np.uint8), raw_dtype=gguf.GGMLQuantizationType.BF16)
    else:
        writer.add_tensor(name, quantized_bytes(values, kind), raw_dtype=gguf.GGMLQuantizationType[kind.upper()])


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def new_writer(path):
    writer = gguf.GGUFWriter(str(path), "whisper")
    writer.add_name("a tiny test")
    writer.add_array("tokenizer.ggml.tokens", ["a", "b", "c"])
    writer.add_array("some.numbers", [1, 2, 3])
    writer.add_float32("some.number", 0.5)
    writer.add_uint32("whisper.encoder.attention.head_count", wide.HEADS)
    return writer


def save_openai(model, path):
    writer = new_writer(path)
    for name, values in wide.openai_tensors(model).items():
        if name in ("encoder.conv1.bias", "encoder.conv2.bias"):
            values = values.reshape(-1, 1)
        add(writer, name, values, wide.ggml_type_of(name, "q4-q5"))
    finish(writer)


def save_candle(model, path):
    writer = new_writer(path)
    for name, tensor in model.state_dict().items():
        values = tensor.float().numpy()
        if values.ndim == 1 or "embed_positions" in name:
            kind = "f32"
        else:
            kind = "bf16" if values.ndim == 3 or "q_proj" in name else "q8_0"
        add(writer, name, values, kind)
    finish(writer)


def save_k_quants(path):
    tensors = {}
    for seed, (kind, (size, halves)) in enumerate(K_TYPES.items()):
        random = np.random.default_rng(seed)
        blocks = random.integers(0, 256, (3, size), dtype=np.uint8)
        for at in halves:
            values = random.normal(0, 0.1, 3).astype("<f2")
            blocks[:, at : at + 2] = np.frombuffer(values.tobytes(), np.uint8).reshape(3, 2)
        values = gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType[kind.upper()])
        tensors[kind + ".blocks"] = blocks
        tensors[kind + ".values"] = values.astype(np.float32).reshape(3, 256)
    save_file(tensors, path)


def main():
    folder = Path(sys.argv[1])
    model = wide.random_model(32)
    save_openai(model, folder / "whisper-openai.gguf")
    save_candle(model, folder / "whisper-candle.gguf")
    save_k_quants(folder / "k_quants.safetensors")


if __name__ == "__main__":
    main()
