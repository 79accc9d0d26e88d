#!/usr/bin/env python3
"""Writes a Whisper model of given dimensions with random weights, for benchmarks: speed does not depend on what it says.

    pip install numpy
    python3 random_whisper.py tiny.en OUTPUT [--tokenizer HF_FOLDER] [--d-model 384 --heads 6 --encoder-layers 4 ...]

The same f16 weights in two forms: OUTPUT/ is a Hugging Face folder, OUTPUT/ggml-model-f16.bin is whisper.cpp's form (layout:
its models/convert-h5-to-ggml.py). The vocabulary comes from --tokenizer if that folder's model has the same one, else it is
made up: bytes, then pairs of bytes.
"""

import argparse
import json
import math
import shutil
import struct
from pathlib import Path

import numpy as np

# name: d_model, heads, encoder layers, decoder layers, mels, vocabulary (51864: English only; 51866: 100 languages)
SIZES = {
    "tiny.en": (384, 6, 4, 4, 80, 51864),
    "base.en": (512, 8, 6, 6, 80, 51864),
    "small.en": (768, 12, 12, 12, 80, 51864),
    "medium.en": (1024, 16, 24, 24, 80, 51864),
    "tiny": (384, 6, 4, 4, 80, 51865),
    "base": (512, 8, 6, 6, 80, 51865),
    "small": (768, 12, 12, 12, 80, 51865),
    "medium": (1024, 16, 24, 24, 80, 51865),
    "large-v3": (1280, 20, 32, 32, 128, 51866),
    "large-v3-turbo": (1280, 20, 32, 4, 128, 51866),
}
AUDIO_POSITIONS, TEXT_POSITIONS = 1500, 448
N_TIMESTAMPS = 1501
# Codes are needed only for their number and order; the published list, as in openai/whisper tokenizer.py.
LANGUAGES = (
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr bg lt la mi ml cy sk "
    "te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn yo so af oc ka be tg sd gu am yi lo uz fo "
    "ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su yue"
).split()


# --- vocabulary ---------------------------------------------------------------------------------------------------------


def byte_characters():
    """GPT-2's printable character for each byte: itself where it is printable, else the next free one from U+0100."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return {b: chr(b) for b in printable} | {b: chr(0x100 + i) for i, b in enumerate(others)}


def special_tokens(n_vocab):
    """(number of text pieces, {special token: id}) in the published order."""
    n_languages = 100 if n_vocab >= 51866 else 99
    names = ["<|endoftext|>", "<|startoftranscript|>", *(f"<|{c}|>" for c in LANGUAGES[:n_languages])]
    names += [
        "<|translate|>",
        "<|transcribe|>",
        "<|startoflm|>",
        "<|startofprev|>",
        "<|nospeech|>",
        "<|notimestamps|>",
    ]
    names += [f"<|{0.02 * i:.2f}|>" for i in range(N_TIMESTAMPS)]
    n_pieces = n_vocab - len(names)
    return n_pieces, {name: n_pieces + i for i, name in enumerate(names)}


def write_made_up_tokenizer(folder, n_pieces, specials):
    characters = list(byte_characters().values())
    pairs = [(a, b) for a in characters for b in characters][: n_pieces - 256]
    pieces = characters + [a + b for a, b in pairs]
    eot = "<|endoftext|>"
    write_json(folder / "vocab.json", {**{p: i for i, p in enumerate(pieces)}, eot: specials[eot]})
    merges = "".join(f"{a} {b}\n" for a, b in pairs)
    (folder / "merges.txt").write_text("#version: 0.2\n" + merges, encoding="utf-8")
    write_json(folder / "added_tokens.json", {k: v for k, v in specials.items() if k != eot})
    named = {f"{k}_token": eot for k in ("bos", "eos", "unk", "pad")}
    write_json(folder / "special_tokens_map.json", named)
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "WhisperTokenizer", **named})


def copy_tokenizer(source, folder, specials):
    vocabulary = json.loads((source / "vocab.json").read_text(encoding="utf-8"))
    if vocabulary.get("<|endoftext|>") != specials["<|endoftext|>"]:
        raise SystemExit(f"{source}: its vocabulary has another size; leave --tokenizer out")
    for name in (
        "vocab.json",
        "merges.txt",
        "added_tokens.json",
        "special_tokens_map.json",
        "tokenizer_config.json",
    ):
        shutil.copyfile(source / name, folder / name)


# --- weights ------------------------------------------------------------------------------------------------------------


def tensor_shapes(size):
    """{(Hugging Face name, openai/whisper name): shape}"""
    d, n_mels, n_vocab = size["d_model"], size["n_mels"], size["n_vocab"]
    shapes = {}

    def add(name, other, *shape):
        shapes[f"model.{name}", other] = shape

    def add_pair(name, other, weight, bias=True):
        add(f"{name}.weight", f"{other}.weight", *weight)
        if bias:
            add(f"{name}.bias", f"{other}.bias", weight[0])

    def add_attention(name, other):
        for part, other_part in (
            ("q_proj", "query"),
            ("k_proj", "key"),
            ("v_proj", "value"),
            ("out_proj", "out"),
        ):
            add_pair(f"{name}.{part}", f"{other}.{other_part}", (d, d), bias=part != "k_proj")
        add_pair(f"{name}_layer_norm", f"{other}_ln", (d,))

    add_pair("encoder.conv1", "encoder.conv1", (d, n_mels, 3))
    add_pair("encoder.conv2", "encoder.conv2", (d, d, 3))
    add("encoder.embed_positions.weight", "encoder.positional_embedding", AUDIO_POSITIONS, d)
    add("decoder.embed_tokens.weight", "decoder.token_embedding.weight", n_vocab, d)
    add("decoder.embed_positions.weight", "decoder.positional_embedding", TEXT_POSITIONS, d)
    for side in ("encoder", "decoder"):
        for i in range(size[f"{side}_layers"]):
            name, other = f"{side}.layers.{i}", f"{side}.blocks.{i}"
            add_attention(f"{name}.self_attn", f"{other}.attn")
            if side == "decoder":
                add_attention(f"{name}.encoder_attn", f"{other}.cross_attn")
            add_pair(f"{name}.fc1", f"{other}.mlp.0", (4 * d, d))
            add_pair(f"{name}.fc2", f"{other}.mlp.2", (d, 4 * d))
            add_pair(f"{name}.final_layer_norm", f"{other}.mlp_ln", (d,))
    add_pair("encoder.layer_norm", "encoder.ln_post", (d,))
    add_pair("decoder.layer_norm", "decoder.ln", (d,))
    return shapes


def sinusoids(length, channels):
    scales = np.exp(-math.log(10000) / (channels // 2 - 1) * np.arange(channels // 2))
    angles = np.arange(length)[:, None] * scales
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


def random_weights(size, seed):
    rng = np.random.default_rng(seed)
    weights = {}
    for key, shape in tensor_shapes(size).items():
        normal = rng.standard_normal(shape, dtype=np.float32)
        if key[1] == "encoder.positional_embedding":
            value = sinusoids(*shape)
        elif key[1].endswith("bias"):
            value = 0.05 * normal
        elif len(shape) == 1:  # layer norm
            value = 1 + 0.1 * normal
        elif key[1] == "decoder.positional_embedding":
            value = normal  # every position says something else: a text that repeats itself may be stopped early
        elif "embedding" in key[1]:
            value = 0.05 * normal
        else:
            value = normal / math.sqrt(math.prod(shape[1:]))
        weights[key] = np.ascontiguousarray(value, dtype=np.float16)
    return weights


# --- Hugging Face form --------------------------------------------------------------------------------------------------


def write_json(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def write_safetensors(path, tensors):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, value in tensors.items():
        header[name] = {
            "dtype": "F16",
            "shape": list(value.shape),
            "data_offsets": [offset, offset + value.nbytes],
        }
        offset += value.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for value in tensors.values():
            file.write(value.data)


def write_hugging_face(folder, size, weights, specials):
    write_safetensors(folder / "model.safetensors", {name: value for (name, _), value in weights.items()})
    eot, multilingual = specials["<|endoftext|>"], size["n_vocab"] > 51864
    ends = {"bos_token_id": eot, "eos_token_id": eot, "pad_token_id": eot}
    ends["decoder_start_token_id"] = specials["<|startoftranscript|>"]
    config = {
        "architectures": ["WhisperForConditionalGeneration"], "model_type": "whisper", "vocab_size": size["n_vocab"],
        "num_mel_bins": size["n_mels"], "d_model": size["d_model"], "encoder_layers": size["encoder_layers"],
        "decoder_layers": size["decoder_layers"], "encoder_attention_heads": size["heads"],
        "decoder_attention_heads": size["heads"], "encoder_ffn_dim": 4 * size["d_model"],
        "decoder_ffn_dim": 4 * size["d_model"], "max_source_positions": AUDIO_POSITIONS,
        "max_target_positions": TEXT_POSITIONS, "activation_function": "gelu", "scale_embedding": False,
        "is_encoder_decoder": True, "median_filter_width": 7, "torch_dtype": "float16",
    }  # fmt: skip
    write_json(folder / "config.json", config | ends)
    generation = {
        "is_multilingual": multilingual, "max_length": TEXT_POSITIONS, "max_initial_timestamp_index": 50,
        "no_timestamps_token_id": specials["<|notimestamps|>"], "prev_sot_token_id": specials["<|startofprev|>"],
        "suppress_tokens": [], "begin_suppress_tokens": [220, eot],
    }  # fmt: skip
    if multilingual:
        generation["lang_to_id"] = {
            f"<|{c}|>": specials[f"<|{c}|>"] for c in LANGUAGES if f"<|{c}|>" in specials
        }
        generation["task_to_id"] = {task: specials[f"<|{task}|>"] for task in ("transcribe", "translate")}
    write_json(folder / "generation_config.json", generation | ends)
    preprocessor = {
        "feature_extractor_type": "WhisperFeatureExtractor", "feature_size": size["n_mels"], "sampling_rate": 16000,
        "hop_length": 160, "chunk_length": 30, "n_fft": 400, "n_samples": 480000, "nb_max_frames": 3000,
        "padding_side": "right", "padding_value": 0.0, "return_attention_mask": False,
    }  # fmt: skip
    write_json(folder / "preprocessor_config.json", preprocessor)


# --- whisper.cpp form ---------------------------------------------------------------------------------------------------


def mel_filters(n_mels, n_fft=400, rate=16000):
    """[n_mels, n_fft / 2 + 1]: Slaney's mel scale and area normalization, 0 to 8000 Hz (librosa.filters.mel)."""

    def to_hz(mel):
        return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * math.log(6.4) / 27))

    top = 15 + math.log(rate / 2 / 1000) * 27 / math.log(6.4)
    edges = to_hz(np.linspace(0, top, n_mels + 2))
    bins = np.arange(n_fft // 2 + 1) * rate / n_fft
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    area = 2 / (edges[2:] - edges[:-2])
    return (np.maximum(0, np.minimum(rising, falling)) * area[:, None]).astype(np.float32)


def write_ggml(path, folder, size, weights):
    to_byte = {c: b for b, c in byte_characters().items()}
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    pieces = sorted(vocabulary, key=vocabulary.get)
    d, heads = size["d_model"], size["heads"]
    filters = mel_filters(size["n_mels"])
    with open(path, "wb") as file:
        encoder = (AUDIO_POSITIONS, d, heads, size["encoder_layers"])
        decoder = (TEXT_POSITIONS, d, heads, size["decoder_layers"])
        file.write(struct.pack("<12i", 0x67676D6C, size["n_vocab"], *encoder, *decoder, size["n_mels"], 1))
        file.write(struct.pack("<2i", *filters.shape) + filters.tobytes())
        file.write(struct.pack("<i", len(pieces)))
        for piece in pieces:
            text = bytes(to_byte[c] for c in piece)
            file.write(struct.pack("<i", len(text)) + text)
        for (_, name), value in weights.items():
            if name in ("encoder.conv1.bias", "encoder.conv2.bias"):
                value = value[:, None]
            half = (
                value.ndim > 1
                and "positional" not in name
                and "conv1.bias" not in name
                and "conv2.bias" not in name
            )
            value = value if half else value.astype(np.float32)
            file.write(struct.pack("<3i", value.ndim, len(name), half))
            file.write(struct.pack(f"<{value.ndim}i", *reversed(value.shape)))
            file.write(name.encode() + value.tobytes())


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("size", choices=SIZES, help="dimensions; each can be replaced:")
    parser.add_argument("output", type=Path)
    for option in ("--d-model", "--heads", "--encoder-layers", "--decoder-layers", "--n-mels", "--n-vocab"):
        parser.add_argument(option, type=int)
    parser.add_argument("--tokenizer", type=Path, help="Hugging Face folder with vocab.json, merges.txt, ...")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    names = ("d_model", "heads", "encoder_layers", "decoder_layers", "n_mels", "n_vocab")
    size = dict(zip(names, SIZES[arguments.size]))
    size |= {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    if size["d_model"] % size["heads"]:
        raise SystemExit("--d-model must be a multiple of --heads")
    folder = arguments.output
    folder.mkdir(parents=True, exist_ok=True)
    n_pieces, specials = special_tokens(size["n_vocab"])
    if arguments.tokenizer:
        copy_tokenizer(arguments.tokenizer, folder, specials)
    else:
        write_made_up_tokenizer(folder, n_pieces, specials)
    weights = random_weights(size, arguments.seed)
    write_hugging_face(folder, size, weights, specials)
    write_ggml(folder / "ggml-model-f16.bin", folder, size, weights)
    parameters = sum(value.size for value in weights.values())
    print(f"{folder}: {parameters / 1e6:.1f} M parameters")


if __name__ == "__main__":
    main()
