#!/usr/bin/env python3
"""Makes tests/golden/whisper: two tiny random Whisper checkpoints and what the published implementation computes with them.

    pip install openai-whisper torch transformers safetensors numpy
    python3 make_whisper_golden.py [output folder]

The reference is openai/whisper (encoder, decoder, DecodingTask) in f32 on the CPU; transformers must load the written folders
and agree. Weights come from numpy's PCG64, so a run repeats byte for byte. README.md describes every file.
"""

import json
import math
import sys
import wave
import zlib
from pathlib import Path

import numpy as np
import tiktoken
import torch
import whisper
import whisper.decoding
import whisper.timing
from safetensors.numpy import save_file
from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration, WhisperTokenizer
from whisper.decoding import DecodingOptions, DecodingTask
from whisper.model import ModelDimensions
from whisper.tokenizer import LANGUAGES, Tokenizer, get_encoding

SAMPLE_RATE = 16000
FEATURE_STRIDE = 25  # every 25th encoder position is stored
N_PIECES = (
    500  # text vocabulary: the first pieces of the published one, bytes and most frequent merges
)
# A result is stored only when it stays the same with encoder features disturbed by this much (standard deviation):
# what is left has no near ties that another order of summation could flip.
DISTURBANCE = 3e-4

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

# name: (start, end) seconds of clips.wav; None is 2 s of digital silence.
CLIPS = {
    "vowels": (0.0, 1.5),
    "glide": (1.5, 2.7),
    "noise": (2.7, 3.7),
    "tones": (3.7, 4.2),
    "quiet": (4.2, 4.5),
    "all": (0.0, 4.5),
    "mixed": (1.0, 3.2),
    "silence": None,
}


# --- audio -----------------------------------------------------------------------------------------------------------------


def voiced(rng, seconds, pitch, formants):
    """Harmonics of a moving pitch, shaped by resonances and by 4 syllables a second."""
    t = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    f0 = pitch[0] + (pitch[1] - pitch[0]) * t / seconds + 3 * np.sin(2 * np.pi * 5 * t)
    phase = 2 * np.pi * np.cumsum(f0) / SAMPLE_RATE
    signal = np.zeros_like(t)
    for harmonic in range(1, 30):
        f = harmonic * f0
        gain = sum(1 / (1 + ((f - centre) / 120) ** 2) for centre in formants) * (f < 7500)
        signal += gain * np.sin(harmonic * phase + rng.uniform(0, 2 * np.pi))
    return signal / np.abs(signal).max() * (0.15 + 0.85 * np.abs(np.sin(np.pi * 4 * t)))


def make_audio():
    rng = np.random.default_rng(1)
    t = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
    parts = [
        0.5 * voiced(rng, 0.5, (120, 140), (700, 1220, 2600)),
        0.4 * voiced(rng, 0.5, (180, 150), (300, 2300, 3000)),
        0.5 * voiced(rng, 0.5, (150, 110), (500, 900, 2400)),
        0.4 * voiced(rng, 1.2, (110, 320), (450, 1700, 2500)),
        0.15 * rng.standard_normal(SAMPLE_RATE) * np.linspace(0.2, 1, SAMPLE_RATE),
        0.3 * np.sin(2 * np.pi * 440 * t) * (t < 0.2)
        + 0.3 * np.sin(2 * np.pi * 2500 * t) * (t > 0.25),
        0.002 * rng.standard_normal(round(0.3 * SAMPLE_RATE)),
    ]
    audio = np.concatenate(parts)
    audio += 0.0005 * rng.standard_normal(audio.size)
    return np.round(np.clip(audio, -1, 1) * 32767).astype("<i2")


def cut(pcm, clip):
    if CLIPS[clip] is None:
        return np.zeros(2 * SAMPLE_RATE, np.float32)
    start, end = (round(s * SAMPLE_RATE) for s in CLIPS[clip])
    return pcm[start:end].astype(np.float32) / 32768


def window_mel(samples, n_mels):
    """[n_mels, 3000]: one 30 s window, zeros appended to the samples, normalized by its own maximum."""
    mel = whisper.log_mel_spectrogram(whisper.pad_or_trim(samples), n_mels)
    extractor = WhisperFeatureExtractor(feature_size=n_mels)
    other = extractor(samples, sampling_rate=SAMPLE_RATE, return_tensors="pt").input_features[0]
    assert (
        mel - other
    ).abs().max() < 2e-4, "openai/whisper and transformers disagree on the log-mel"
    return mel


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
        best = min(
            range(len(parts) - 1), key=lambda i: ranks.get(parts[i] + parts[i + 1], math.inf)
        )
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
    (folder / "merges.txt").write_text(
        "\n".join(["#version: 0.2", *merges]) + "\n", encoding="utf-8"
    )
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
        {
            hugging_face_name(n): v.numpy().astype(spec["dtype"])
            for n, v in model.state_dict().items()
        },
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
        generation["lang_to_id"] = {
            f"<|{c}|>": tokenizer.to_language_token(c) for c in list(LANGUAGES)[:99]
        }
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


# --- decoding --------------------------------------------------------------------------------------------------------------


def decode_options():
    """(clip, fields that differ from DecodingOptions' defaults) of every case."""
    prompt = [300, 12, 411, 7, 256, 499, 33, 270]
    short = dict(sample_len=32)
    for clip in CLIPS:
        for without_timestamps in (True, False):
            base = dict(short, without_timestamps=without_timestamps)
            yield clip, base
            yield clip, dict(base, beam_size=5)
    for clip in ("vowels", "glide", "mixed"):
        for without_timestamps in (True, False):
            base = dict(short, without_timestamps=without_timestamps)
            yield clip, dict(base, beam_size=5, length_penalty=1.0)
            yield clip, dict(base, beam_size=5, length_penalty=0.6)
            yield clip, dict(base, prompt=prompt)
            yield clip, dict(base, beam_size=5, prompt=prompt)
            yield clip, dict(base, beam_size=5, patience=2.0)
            yield clip, dict(base, beam_size=3, patience=0.5)
            yield clip, dict(base, task="translate", language="de")
            yield clip, dict(base, suppress_tokens="", suppress_blank=False)
        yield clip, dict(short, language=None)  # detected
        yield clip, dict(short, max_initial_timestamp=None)
    yield "vowels", dict(short, prompt=list(range(256, 496)))  # 240 tokens: the last 223 are used
    yield "noise", dict(sample_len=200, prefix=[300, 12, 411], without_timestamps=True)
    yield "glide", {}  # up to 224 tokens
    yield "all", dict(beam_size=5)


def run_case(model, features, fields):
    options = DecodingOptions(fp16=False, **fields)
    task = DecodingTask(model, options)
    result = task.run(features[None])[0]
    initial = list(task.initial_tokens)
    if model.is_multilingual:
        initial[task.sot_index + 1] = task.tokenizer.to_language_token(result.language)
    return {
        "initial_tokens": initial,
        "tokens": result.tokens,
        "text": result.text,
        "sum_logprob": result.avg_logprob * (len(result.tokens) + 1),
        "avg_logprob": result.avg_logprob,
        "no_speech_prob": result.no_speech_prob,
        "compression_ratio": result.compression_ratio,
    }


def decode_cases(model, features):
    cases, unstable, generator = [], 0, torch.Generator().manual_seed(7)
    for clip, fields in decode_options():
        if not model.is_multilingual and ("task" in fields or "language" in fields):
            continue
        fields = {"language": "en", **fields}  # None: detected
        expected = run_case(model, features[clip], fields)
        disturbed = (
            features[clip] + DISTURBANCE * torch.randn(features[clip].shape, generator=generator)
            for _ in range(2)
        )
        if any(run_case(model, d, fields)["tokens"] != expected["tokens"] for d in disturbed):
            unstable += 1
            continue
        shown = {k: v for k, v in fields.items()}
        cases.append({"clip": clip, "options": shown, **expected})
    return cases, unstable


def word_alignments(model, tokenizer, mels, cases):
    """openai/whisper find_alignment of the text tokens of every greedy result without timestamps."""
    found = []
    for case in cases:
        if (
            set(case["options"]) - {"language"} != {"without_timestamps", "sample_len"}
            or not case["options"]["without_timestamps"]
        ):
            continue
        samples = (
            2.0 if CLIPS[case["clip"]] is None else CLIPS[case["clip"]][1] - CLIPS[case["clip"]][0]
        )
        text_tokens = [t for t in case["tokens"] if t < tokenizer.eot]
        align = lambda mel: whisper.timing.find_alignment(
            model, tokenizer, text_tokens, mel, round(samples * 100)
        )
        words = align(mels[case["clip"]])
        found.append(
            {
                "clip": case["clip"],
                "frames": round(samples * 100),
                "tokens": text_tokens,
                "words": [
                    {
                        "word": w.word,
                        "tokens": w.tokens,
                        "start": w.start,
                        "end": w.end,
                        "probability": w.probability,
                    }
                    for w in words
                ],
            }
        )
    return found


# --- one model -------------------------------------------------------------------------------------------------------------


def rounded(value):
    """JSON floats with 7 significant digits: f32 has no more."""
    if isinstance(value, float):
        return float(f"{value:.7g}")
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    return [rounded(v) for v in value] if isinstance(value, (list, tuple)) else value


@torch.no_grad()
def make(folder, name, pcm):
    spec = MODELS[name]
    multilingual = spec["vocabulary"] == "multilingual"
    encoding = make_encoding(spec["vocabulary"])

    def get_tokenizer(multilingual, *, num_languages=99, language=None, task=None):
        language, task = (language or "en", task or "transcribe") if multilingual else (None, None)
        return Tokenizer(
            encoding=encoding, num_languages=num_languages, language=language, task=task
        )

    whisper.decoding.get_tokenizer = get_tokenizer
    tokenizer = get_tokenizer(multilingual)
    model = make_model(spec, tokenizer)
    suppress_tokens = list(DecodingTask(model, DecodingOptions(fp16=False))._get_suppress_tokens())
    write_checkpoint(folder, spec, model, tokenizer, suppress_tokens)

    mels = {clip: window_mel(cut(pcm, clip), spec["n_mels"]) for clip in CLIPS}
    features = {clip: model.encoder(mel[None])[0] for clip, mel in mels.items()}
    golden = {}
    for clip in ("vowels", "noise"):
        n_frames = (
            round((CLIPS[clip][1] - CLIPS[clip][0]) * 100) + 2
        )  # beyond, the window holds only zeros
        padding = mels[clip][0, -1]
        assert (mels[clip][:, n_frames:] == padding).all()
        golden[f"mel.{clip}"] = mels[clip][:, :n_frames]
        golden[f"mel_padding.{clip}"] = padding[None]
        golden[f"features.{clip}"] = features[clip][::FEATURE_STRIDE]
        golden[f"features_mean.{clip}"] = features[clip].mean(dim=0)
    prefix = [
        *tokenizer.sot_sequence,
        tokenizer.no_timestamps,
        300,
        12,
        411,
        7,
        256,
        499,
        33,
        270,
        301,
    ]
    logits = model.logits(torch.tensor([prefix]), features["vowels"][None])[0]
    golden["prefix_tokens"] = torch.tensor(prefix, dtype=torch.int32)
    golden["logits"] = logits
    check_with_transformers(folder, mels["vowels"], features["vowels"], prefix, logits, encoding)
    save_file(
        {k: np.ascontiguousarray(v.numpy()) for k, v in golden.items()},
        folder / "golden.safetensors",
    )

    cases, unstable = decode_cases(model, features)
    result = {
        "clips": {c: {"seconds": s} for c, s in CLIPS.items()},
        "cases": cases,
        "word_alignments": word_alignments(model, tokenizer, mels, cases),
    }
    if multilingual:
        for clip in CLIPS:
            _, probabilities = model.detect_language(features[clip], tokenizer)
            result["clips"][clip]["language_probs"] = {
                c: probabilities[c] for c in list(LANGUAGES)[:99]
            }
    text = json.dumps(rounded(result), ensure_ascii=False)
    for mark in ('{"clip": "', '"cases": ', '"word_alignments": ', '"clips": '):
        text = text.replace(mark, "\n" + mark)  # one case a line
    (folder / "golden.json").write_text(text + "\n", encoding="utf-8")
    summarize(name, logits, cases, unstable)


def check_with_transformers(folder, mel, features, prefix, logits, encoding):
    other = WhisperForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    output = other(input_features=mel[None], decoder_input_ids=torch.tensor([prefix]))
    assert (output.encoder_last_hidden_state[0] - features).abs().max() < 1e-4
    assert (output.logits[0] - logits).abs().max() < 1e-4
    text = "The other day, it's 24 things (and more): one café, two."
    assert WhisperTokenizer.from_pretrained(folder).encode(
        text, add_special_tokens=False
    ) == encoding.encode(text)


def summarize(name, logits, cases, unstable):
    lengths = sorted(len(c["tokens"]) for c in cases)
    beams = sum("beam_size" in c["options"] for c in cases)
    distinct = len({tuple(c["tokens"]) for c in cases})
    print(
        f"{name}: logits std {logits.std():.2f} max {logits.max():.2f}; {len(cases)} cases ({beams} beam), {distinct} distinct, "
        f"{unstable} left out as near ties; lengths {lengths[0]}..{lengths[len(lengths) // 2]}..{lengths[-1]}; no_speech "
        f"{min(c['no_speech_prob'] for c in cases):.3f}..{max(c['no_speech_prob'] for c in cases):.3f}"
    )


def main():
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "whisper"
    output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    pcm = make_audio()
    with wave.open(str(output / "clips.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(pcm.tobytes())
    for name in MODELS:
        make(output / name, name, pcm)


if __name__ == "__main__":
    main()
