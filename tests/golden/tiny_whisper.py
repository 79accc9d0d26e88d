"""Two tiny random Whisper models: vocabulary, weights and their Hugging Face folders (used by make_whisper_golden.py)."""

import json
import math
import zlib

import numpy as np
import tiktoken
import torch
import whisper
from safetensors.numpy import save_file
from transformers import WhisperFeatureExtractor
from whisper.model import ModelDimensions
from whisper.tokenizer import LANGUAGES, get_encoding

# Text vocabulary: the first pieces of the published one, bytes and most frequent merges.
N_PIECES = 500
MODELS = {
    "multilingual-80": dict(
        n_mels=80,
        encoder_layers=2,
        decoder_layers=1,
        vocabulary="multilingual",
        seed=5,
        no_speech=9.0,
        dtype=np.float32,
        alignment_heads=[[0, 1]],
    ),
    "english-128": dict(
        n_mels=128,
        encoder_layers=2,
        decoder_layers=2,
        vocabulary="gpt2",
        seed=10,
        no_speech=5.0,
        dtype=np.float16,
        alignment_heads=None,
    ),
}
D_MODEL, HEADS, N_AUDIO_CTX, N_TEXT_CTX = 32, 2, 1500, 448

# --- vocabulary ------------------------------------------------------------------------------------------------------------


def make_encoding(vocabulary):
    """tiktoken.Encoding with the published layout of special tokens over N_PIECES text pieces."""
    published = get_encoding(vocabulary)
    ranks = {piece: rank for piece, rank in published._mergeable_ranks.items() if rank < N_PIECES}
    specials = sorted(published._special_tokens, key=published._special_tokens.get)
    return tiktoken.Encoding(
        name=f"tiny-{vocabulary}",
        explicit_n_vocab=N_PIECES + len(specials),
        mergeable_ranks=ranks,
        pat_str=published._pat_str,
        special_tokens={s: N_PIECES + i for i, s in enumerate(specials)},
    )


def byte_characters():
    """GPT-2's printable character for each byte: itself where it is printable, else the next free one from U+0100."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return {b: chr(b) for b in printable} | {b: chr(0x100 + i) for i, b in enumerate(others)}


def merge_of(piece, ranks):
    """The two pieces that BPE merges last to make `piece`."""
    parts = [bytes([b]) for b in piece]
    while len(parts) > 2:
        best = min(range(len(parts) - 1), key=lambda i: ranks.get(parts[i] + parts[i + 1], math.inf))
        parts[best : best + 2] = [parts[best] + parts[best + 1]]
    return parts


def write_tokenizer(folder, encoding):
    to_char = byte_characters()
    written = lambda piece: "".join(to_char[b] for b in piece)
    ranks = encoding._mergeable_ranks
    by_rank = sorted(ranks, key=ranks.get)
    specials = dict(sorted(encoding._special_tokens.items(), key=lambda item: item[1]))
    eot = "<|endoftext|>"
    dump(folder / "vocab.json", {**{written(p): ranks[p] for p in by_rank}, eot: specials[eot]})
    dump(folder / "added_tokens.json", {s: i for s, i in specials.items() if s != eot})
    merges = [" ".join(map(written, merge_of(p, ranks))) for p in by_rank if len(p) > 1]
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n", encoding="utf-8")
    dump(
        folder / "special_tokens_map.json",
        {f"{k}_token": eot for k in ("bos", "eos", "unk", "pad")},
    )
    dump(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "WhisperTokenizer",
            "add_prefix_space": False,
            "errors": "replace",
            **{f"{k}_token": eot for k in ("bos", "eos", "unk", "pad")},
        },
    )


# --- model -----------------------------------------------------------------------------------------------------------------


class TinyWhisper(whisper.model.Whisper):
    """The published model; what it derives from the vocabulary size is given instead."""

    is_multilingual = False
    num_languages = 99


def random_tensor(seed, name, shape):
    """Scales that keep logits of order 1-5 and attention far from uniform; every bias and norm is non-trivial."""
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    normal = rng.standard_normal(shape)
    if name.endswith("ln.weight") or "_ln.weight" in name or "ln_post.weight" in name:
        sign = (
            rng.choice([-1, 1], shape) if name == "decoder.ln.weight" else 1
        )  # else a token predicts itself
        return sign * (1 + 0.2 * normal)
    if name.endswith("bias"):
        return 0.2 * normal
    if name == "decoder.token_embedding.weight":
        return 0.5 * normal
    if name == "decoder.positional_embedding":
        return 0.4 * normal
    gain = {"query": 1.5, "key": 1.5}.get(name.split(".")[-2], 1.0)
    if "cross_attn" in name:
        gain = 3.0  # the audio decides
    if name == "encoder.conv2.weight":
        gain = 3.0
    return gain * normal / math.sqrt(np.prod(shape[1:]))


def make_model(spec, tokenizer):
    dims = ModelDimensions(
        spec["n_mels"],
        N_AUDIO_CTX,
        D_MODEL,
        HEADS,
        spec["encoder_layers"],
        tokenizer.encoding.n_vocab,
        N_TEXT_CTX,
        D_MODEL,
        HEADS,
        spec["decoder_layers"],
    )
    model = TinyWhisper(dims).eval()
    model.is_multilingual = spec["vocabulary"] == "multilingual"
    weights = {
        name: random_tensor(spec["seed"], name, tuple(value.shape))
        for name, value in model.state_dict().items()
        if name != "encoder.positional_embedding"
    }  # the sinusoids stay
    # Shift the logits of some tokens, through the last norm's bias, so that sequences end, timestamps and text alternate,
    # times advance in small steps, and no_speech is not always 0.
    bias = weights["decoder.ln.bias"]
    shift = np.zeros(dims.n_vocab)
    shift[tokenizer.eot] = 2.0
    shift[tokenizer.no_speech] = spec["no_speech"]
    shift[tokenizer.sot + 1 : tokenizer.sot + 100] = -4.0  # languages
    shift[tokenizer.timestamp_begin :] = -2.5 - 4.0 * np.arange(1501) / 1500
    weights["decoder.token_embedding.weight"] += np.outer(shift, bias / np.dot(bias, bias))
    state = model.state_dict()
    for name, value in weights.items():
        state[name] = torch.from_numpy(value.astype(spec["dtype"]).astype(np.float32))
    state["encoder.positional_embedding"] = torch.from_numpy(
        state["encoder.positional_embedding"].numpy().astype(spec["dtype"]).astype(np.float32)
    )
    model.load_state_dict(state)
    if spec["alignment_heads"]:
        mask = torch.zeros(dims.n_text_layer, dims.n_text_head, dtype=torch.bool)
        for layer, head in spec["alignment_heads"]:
            mask[layer, head] = True
        model.register_buffer("alignment_heads", mask.to_sparse(), persistent=False)
    return model


RENAMES = [
    ("blocks.", "layers."),
    ("cross_attn_ln", "encoder_attn_layer_norm"),
    ("cross_attn.", "encoder_attn."),
    ("attn_ln", "self_attn_layer_norm"),
    (".attn.", ".self_attn."),
    (".query", ".q_proj"),
    (".key", ".k_proj"),
    (".value", ".v_proj"),
    (".out.", ".out_proj."),
    ("mlp_ln", "final_layer_norm"),
    ("mlp.0", "fc1"),
    ("mlp.2", "fc2"),
    ("ln_post", "layer_norm"),
    ("decoder.ln.", "decoder.layer_norm."),
    ("token_embedding", "embed_tokens"),
]


def hugging_face_name(name):
    if name.endswith("positional_embedding"):
        return f"model.{name.split('.')[0]}.embed_positions.weight"
    for old, new in RENAMES:
        if new not in name:
            name = name.replace(old, new)
    return "model." + name


def dump(path, value, **options):
    path.write_text(json.dumps(value, ensure_ascii=False, **options) + "\n", encoding="utf-8")


def write_checkpoint(folder, spec, model, tokenizer, suppress_tokens):
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {hugging_face_name(n): v.numpy().astype(spec["dtype"]) for n, v in model.state_dict().items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    blank = [*tokenizer.encode(" "), tokenizer.eot]
    ends = {
        "bos_token_id": tokenizer.eot,
        "eos_token_id": tokenizer.eot,
        "pad_token_id": tokenizer.eot,
        "decoder_start_token_id": tokenizer.sot,
    }
    dump(
        folder / "config.json",
        {
            "architectures": ["WhisperForConditionalGeneration"],
            "model_type": "whisper",
            "vocab_size": model.dims.n_vocab,
            "num_mel_bins": spec["n_mels"],
            "d_model": D_MODEL,
            "encoder_layers": spec["encoder_layers"],
            "decoder_layers": spec["decoder_layers"],
            "num_hidden_layers": spec["encoder_layers"],
            "encoder_attention_heads": HEADS,
            "decoder_attention_heads": HEADS,
            "encoder_ffn_dim": 4 * D_MODEL,
            "decoder_ffn_dim": 4 * D_MODEL,
            "max_source_positions": N_AUDIO_CTX,
            "max_target_positions": N_TEXT_CTX,
            "activation_function": "gelu",
            "scale_embedding": False,
            "is_encoder_decoder": True,
            "median_filter_width": 7,
            "torch_dtype": np.dtype(spec["dtype"]).name,
            "begin_suppress_tokens": blank,
            **ends,
        },
        indent=1,
    )
    generation = {
        **ends,
        "is_multilingual": model.is_multilingual,
        "max_length": N_TEXT_CTX,
        "max_initial_timestamp_index": 50,
        "no_timestamps_token_id": tokenizer.no_timestamps,
        "prev_sot_token_id": tokenizer.sot_prev,
        "return_timestamps": False,
        "begin_suppress_tokens": blank,
        "suppress_tokens": suppress_tokens,
    }
    if model.is_multilingual:
        generation["lang_to_id"] = {f"<|{c}|>": tokenizer.to_language_token(c) for c in list(LANGUAGES)[:99]}
        generation["task_to_id"] = {
            "transcribe": tokenizer.transcribe,
            "translate": tokenizer.translate,
        }
    if spec["alignment_heads"]:
        generation["alignment_heads"] = spec["alignment_heads"]
    dump(folder / "generation_config.json", generation)
    dump(
        folder / "preprocessor_config.json",
        WhisperFeatureExtractor(feature_size=spec["n_mels"]).to_dict() | {"mel_filters": None},
        indent=1,
    )
    write_tokenizer(folder, tokenizer.encoding)
