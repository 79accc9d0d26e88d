#!/usr/bin/env python3
"""Makes tests/golden/whisper: two tiny random Whisper checkpoints and what the published implementation computes with them.

    pip install openai-whisper torch transformers safetensors numpy
    python3 make_whisper_golden.py [output folder]

The reference is openai/whisper (encoder, decoder, DecodingTask) in f32 on the CPU; transformers must load the written folders
and agree. Weights come from numpy's PCG64, so a run repeats byte for byte. README.md describes every file.
"""

import json
import os
import sys
import wave
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch loads: the models are tiny, and one thread sums in one order

import numpy as np
import torch
import whisper
import whisper.decoding
import whisper.timing
from safetensors.numpy import save_file
from tiny_whisper import MODELS, make_encoding, make_model, write_checkpoint
from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration, WhisperTokenizer
from whisper.decoding import DecodingOptions, DecodingTask
from whisper.tokenizer import LANGUAGES, Tokenizer

SAMPLE_RATE = 16000
FEATURE_STRIDE = 25  # every 25th encoder position is stored
# A result is stored only when it stays the same with its input disturbed by this much (standard deviation): what is left
# has no near ties that another order of summation could flip.
DISTURBANCE = 3e-4

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
        0.3 * np.sin(2 * np.pi * 440 * t) * (t < 0.2) + 0.3 * np.sin(2 * np.pi * 2500 * t) * (t > 0.25),
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
    assert (mel - other).abs().max() < 2e-4, "openai/whisper and transformers disagree on the log-mel"
    return mel


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


def seconds_of(clip):
    start, end = CLIPS[clip] or (0.0, 2.0)
    return end - start


def word_alignments(model, tokenizer, mels, cases):
    """openai/whisper's find_alignment of the text tokens of every short greedy result."""
    found, unstable, generator = [], 0, torch.Generator().manual_seed(8)
    for case in cases:
        options = set(case["options"]) - {"language"}
        if options != {"without_timestamps", "sample_len"}:
            continue
        text_tokens = [t for t in case["tokens"] if t < tokenizer.eot]
        mel, frames = mels[case["clip"]], round(100 * seconds_of(case["clip"]))

        def align(mel):
            return whisper.timing.find_alignment(model, tokenizer, text_tokens, mel, frames)

        def times(words):
            return [(w.start, w.end) for w in words]

        words = align(mel)
        disturbed = (mel + DISTURBANCE * torch.randn(mel.shape, generator=generator) for _ in range(2))
        if not words or any(times(align(d)) != times(words) for d in disturbed):
            unstable += 1
            continue
        fields = ("word", "tokens", "start", "end", "probability")
        found.append(
            {
                "clip": case["clip"],
                "frames": frames,
                "tokens": text_tokens,
                "words": [{f: getattr(w, f) for f in fields} for w in words],
            }
        )
    print(f"{len(found)} word alignments, {unstable} left out")
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
        return Tokenizer(encoding=encoding, num_languages=num_languages, language=language, task=task)

    whisper.decoding.get_tokenizer = get_tokenizer
    tokenizer = get_tokenizer(multilingual)
    model = make_model(spec, tokenizer)
    suppress_tokens = list(DecodingTask(model, DecodingOptions(fp16=False))._get_suppress_tokens())
    write_checkpoint(folder, spec, model, tokenizer, suppress_tokens)

    mels = {clip: window_mel(cut(pcm, clip), spec["n_mels"]) for clip in CLIPS}
    features = {clip: model.encoder(mel[None])[0] for clip, mel in mels.items()}
    golden = {}
    for clip in ("vowels", "noise"):
        n_frames = round((CLIPS[clip][1] - CLIPS[clip][0]) * 100) + 2  # beyond, the window holds only zeros
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
            result["clips"][clip]["language_probs"] = {c: probabilities[c] for c in list(LANGUAGES)[:99]}
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
    assert WhisperTokenizer.from_pretrained(folder).encode(text, add_special_tokens=False) == encoding.encode(
        text
    )


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
