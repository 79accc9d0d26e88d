#!/usr/bin/env python3
"""Makes the GGUF files of tests/convert/golden with ggml's own Python package: the "wide" Whisper of make_checkpoints.py

whisper-openai.gguf   names of openai/whisper, the types that whisper.cpp quantizes to, the number of heads in the metadata
whisper-candle.gguf   names of Hugging Face with "model." before them, bf16 and q8_0, the output matrix once more
whisper-transcribe.gguf   names, tokenizer and lists of transcribe.cpp's converter (scripts/convert-whisper.py there), f16 and q8_0

and k_quants.safetensors: random blocks of ggml's 256-element types with the values that the package reads from them.

Needs: gguf, safetensors and what make_checkpoints.py needs.   Usage: make_gguf.py tests/convert/golden
"""

import json
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


TRANSCRIBE_NAMES = (
    ("model.encoder.", "enc."), ("model.decoder.", "dec."), ("layers.", "blocks."), ("conv1", "conv.0"), ("conv2", "conv.1"),
    ("embed_positions", "pos_emb"), ("embed_tokens", "token_embd"), ("encoder_attn_layer_norm", "norm_cross"),
    ("encoder_attn", "cross_attn"), ("final_layer_norm", "norm_ffn"), ("q_proj", "q"), ("k_proj", "k"), ("v_proj", "v"),
    ("out_proj", "out"), ("fc1", "ffn.fc1"), ("fc2", "ffn.fc2"))


def transcribe_name(name):
    for theirs, ours in TRANSCRIBE_NAMES:
        name = name.replace(theirs, ours)
    if name.startswith("enc."):
        name = name.replace("self_attn_layer_norm", "norm_attn").replace("self_attn", "attn")
    name = name.replace("self_attn_layer_norm", "norm_self")
    return name.replace(".layer_norm.", ".final_norm.")


def add_transcribe_tokenizer(writer, tokenizer):
    content = json.loads(tokenizer.read_text())
    names = {id: name for name, id in content["model"]["vocab"].items()}
    special = {token["id"]: token["content"] for token in content["added_tokens"]}
    tokens = [special.get(id, names.get(id, f"<|unused_{id}|>")) for id in range(wide.VOCAB)]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in content["model"]["merges"]]
    writer.add_string("tokenizer.ggml.model", "gpt2")
    writer.add_array("tokenizer.ggml.tokens", tokens)
    writer.add_array("tokenizer.ggml.token_type", [3 if id in special else 1 for id in range(wide.VOCAB)])
    writer.add_array("tokenizer.ggml.merges", merges)


def save_transcribe(model, path):
    writer = gguf.GGUFWriter(str(path), "whisper")
    writer.add_string("stt.variant", "a-tiny-test")
    writer.add_array("general.languages", ["en"])
    add_transcribe_tokenizer(writer, path.parent / "huggingface" / "tokenizer.json")
    writer.add_uint32("stt.whisper.encoder.n_heads", wide.HEADS)
    writer.add_uint32("stt.whisper.decoder.n_heads", wide.HEADS)
    writer.add_array("stt.whisper.suppress_tokens", [1, 2])
    writer.add_array("stt.whisper.begin_suppress_tokens", [220, 260])
    add(writer, "frontend.mel_filterbank", np.zeros((wide.MELS, 3)), "f32")
    add(writer, "frontend.window", np.zeros(4), "f32")
    for name, tensor in model.model.state_dict(prefix="model.").items():
        values = tensor.float().numpy()
        vector = values.ndim == 1 or "embed_positions" in name
        add(writer, transcribe_name(name), values, "f32" if vector else "f16" if values.ndim == 3 else "q8_0")
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
    save_transcribe(model, folder / "whisper-transcribe.gguf")
    save_k_quants(folder / "k_quants.safetensors")


if __name__ == "__main__":
    main()
