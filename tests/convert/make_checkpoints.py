#!/usr/bin/env python3
"""Makes tests/convert/golden: tiny random Whispers in every checkpoint format that `parley convert` reads.

"narrow" (d_model 16) is in the formats of Hugging Face and openai/whisper, "wide" (d_model 32: rows of whole quantized
blocks) in whisper.cpp's. expected.json has the SHA-256 of each tensor's values as f32, under Hugging Face's names.

Every matrix consists of blocks of 32 values d * q with d a power of two and q an integer in [-8, 7]. All storage types
(f32, f16, bf16, q4_0, q4_1, q5_0, q5_1, q8_0) hold such values exactly, so that all files hold the same weights, bit by bit.

Needs: torch, transformers, tokenizers, openai-whisper, numpy.   Usage: make_checkpoints.py tests/convert/golden
"""

import hashlib
import json
import struct
import sys
from pathlib import Path

import numpy as np
import torch
import whisper.model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import GenerationConfig, WhisperConfig, WhisperForConditionalGeneration

HEADS, ENCODER_LAYERS, DECODER_LAYERS, MELS, SOURCE, TARGET, VOCAB = 2, 2, 1, 4, 8, 8, 1772
BLOCK = 32


def random_model(d_model):
    config = WhisperConfig(
        vocab_size=VOCAB, num_mel_bins=MELS, d_model=d_model, max_source_positions=SOURCE, max_target_positions=TARGET,
        encoder_layers=ENCODER_LAYERS, decoder_layers=DECODER_LAYERS, encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS, encoder_ffn_dim=4 * d_model, decoder_ffn_dim=4 * d_model,
        pad_token_id=260, bos_token_id=260, eos_token_id=260, decoder_start_token_id=261)
    model = WhisperForConditionalGeneration(config)
    random = np.random.default_rng(7)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            count = parameter.numel()
            q = random.integers(-8, 8, size=(-(-count // BLOCK), BLOCK))
            d = 2.0 ** random.integers(-9, -4, size=(len(q), 1))
            values = (q * d).reshape(-1)[:count].reshape(parameter.shape)
            parameter.copy_(torch.from_numpy(values))
    model.generation_config = GenerationConfig(
        suppress_tokens=[1, 2], begin_suppress_tokens=[220, 260], alignment_heads=[[0, 1]],
        max_initial_timestamp_index=50, is_multilingual=False)
    return model


def save_tokenizer(folder):
    base = {c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    merges = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("i", "n")]
    for left, right in merges:
        base[left + right] = len(base)
    tokenizer = Tokenizer(models.BPE(vocab=base, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|translate|>", "<|transcribe|>",
                                  "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"])
    tokenizer.save(str(folder / "tokenizer.json"))


def openai_name(name):
    """Hugging Face's name of a tensor as openai/whisper's."""
    name = name.removeprefix("model.").replace("layers.", "blocks.")
    for theirs, ours in (("self_attn_layer_norm", "attn_ln"), ("encoder_attn_layer_norm", "cross_attn_ln"),
                         ("self_attn.", "attn."), ("encoder_attn.", "cross_attn."), ("q_proj", "query"),
                         ("k_proj", "key"), ("v_proj", "value"), ("out_proj", "out"), ("fc1", "mlp.0"), ("fc2", "mlp.2"),
                         ("final_layer_norm", "mlp_ln"), ("encoder.layer_norm", "encoder.ln_post"),
                         ("decoder.layer_norm", "decoder.ln"), ("embed_positions.weight", "positional_embedding"),
                         ("embed_tokens", "token_embedding")):
        name = name.replace(theirs, ours)
    return name


def openai_tensors(model):
    return {openai_name(name): tensor.float().numpy() for name, tensor in model.model.state_dict().items()}


def save_openai(model, path):
    config = model.config
    dims = dict(n_mels=MELS, n_audio_ctx=SOURCE, n_audio_state=config.d_model, n_audio_head=HEADS,
                n_audio_layer=ENCODER_LAYERS, n_vocab=VOCAB, n_text_ctx=TARGET, n_text_state=config.d_model,
                n_text_head=HEADS, n_text_layer=DECODER_LAYERS)
    reference = whisper.model.Whisper(whisper.model.ModelDimensions(**dims))
    state = {name: torch.from_numpy(values) for name, values in openai_tensors(model).items()}
    reference.load_state_dict(state)  # strict: names and shapes are openai/whisper's
    mel = torch.randn(1, MELS, 2 * SOURCE)
    expected = model.float().model.encoder(mel).last_hidden_state
    assert torch.allclose(reference.encoder(mel), expected, atol=1e-4)  # and so are the meanings
    halves = {name: tensor.to(torch.float16) for name, tensor in reference.state_dict().items()}
    torch.save({"dims": dims, "model_state_dict": halves}, path)


def quantize(values, kind):
    """Exact blocks of ggml's `kind` (layouts: ggml-common.h) for values d * q, q in [-8, 7], d a power of two."""
    out = b""
    for block in values.reshape(-1, BLOCK).astype(np.float64):
        largest = np.abs(block).max()
        d = 2.0 ** np.ceil(np.log2(largest / 8)) if largest > 0 else 1.0
        while np.any(block / d != np.round(block / d)):
            d /= 2
        q = np.round(block / d).astype(int)
        assert q.min() >= -8 and q.max() <= 8
        if kind == "q8_0":  # d / 4, so that the numbers are larger than 4 bits
            out += np.float16(d / 4).tobytes() + (4 * q).astype(np.int8).tobytes()
            continue
        header, u = {
            "q4_0": (np.float16(d).tobytes(), q + 8),
            "q4_1": (np.float16(d).tobytes() + np.float16(-8 * d).tobytes(), q + 8),
            "q5_0": (np.float16(d).tobytes(), q + 16),
            "q5_1": (np.float16(d).tobytes() + np.float16(-20 * d).tobytes(), q + 20),
        }[kind]
        bits = 5 if kind.startswith("q5") else 4
        assert u.min() >= 0 and u.max() < 2**bits, (kind, u)
        if bits == 5:
            header += struct.pack("<I", sum(int(value >> 4) << i for i, value in enumerate(u)))
        low = u & 15
        out += header + (low[:16] | low[16:] << 4).astype(np.uint8).tobytes()
    return out


TYPES = {"f32": 0, "f16": 1, "q4_0": 2, "q4_1": 3, "q5_0": 6, "q5_1": 7, "q8_0": 8}
# By file: ggml's number of its main type, and the type of each matrix by the end of its name. Several types in one file keep
# these files few.
FILES = {
    "q4-q5": (8, {"query": "q4_0", "key": "q4_1", "value": "q5_0", "out": "q5_1", "mlp.0": "q4_1", "mlp.2": "q5_1",
                  "embedding": "q5_0", "conv1": "f32", "conv2": "f16"}),
    "q8": (7, {"query": "q8_0", "key": "q8_0", "value": "q8_0", "out": "q8_0", "mlp.0": "f16", "mlp.2": "q8_0",
               "embedding": "q8_0", "conv1": "f16", "conv2": "f16"}),
}


def ggml_type_of(name, file):
    if name.endswith("bias") or "positional" in name or "ln" in name:
        return "f32"
    return next(kind for end, kind in FILES[file][1].items() if name.removesuffix(".weight").endswith(end))


def save_ggml(tensors, path, file):
    d_model = len(tensors["encoder.conv1.bias"])
    with open(path, "wb") as out:
        out.write(struct.pack("<I11i", 0x67676D6C, VOCAB, SOURCE, d_model, HEADS, ENCODER_LAYERS, TARGET, d_model, HEADS,
                              DECODER_LAYERS, MELS, 2000 + FILES[file][0]))
        out.write(struct.pack("<ii", MELS, 3) + np.zeros((MELS, 3), np.float32).tobytes())
        out.write(struct.pack("<i", 256) + b"".join(struct.pack("<iB", 1, i) for i in range(256)))
        for name, values in tensors.items():
            values = values.squeeze()
            if name in ("encoder.conv1.bias", "encoder.conv2.bias"):
                values = values.reshape(-1, 1)
            stored = ggml_type_of(name, file)
            out.write(struct.pack("<3i", values.ndim, len(name), TYPES[stored]))
            out.write(struct.pack(f"<{values.ndim}i", *reversed(values.shape)) + name.encode())
            plain = {"f32": np.float32, "f16": np.float16}.get(stored)
            out.write(values.astype(plain).tobytes() if plain else quantize(values, stored))


def digests(model):
    return {name: hashlib.sha256(tensor.float().numpy().tobytes()).hexdigest()
            for name, tensor in model.model.state_dict().items()}


def main():
    golden = Path(sys.argv[1])
    torch.manual_seed(7)
    wide = random_model(32).eval()
    for file in FILES:
        save_ggml(openai_tensors(wide), golden / f"ggml-{file}.bin", file)

    folder = golden / "huggingface"
    folder.mkdir(exist_ok=True)
    narrow = random_model(16).eval().half()
    narrow.save_pretrained(folder)
    save_tokenizer(folder)
    save_openai(narrow, golden / "openai.pt")
    # As transformers wrote it before safetensors: the output matrix shares the embedding's storage.
    state = narrow.half().state_dict()
    assert state["proj_out.weight"].data_ptr() == state["model.decoder.embed_tokens.weight"].data_ptr()
    torch.save(state, golden / "pytorch_model.bin")
    (golden / "expected.json").write_text(json.dumps({"narrow": digests(narrow), "wide": digests(wide)}, indent=1))


if __name__ == "__main__":
    main()
