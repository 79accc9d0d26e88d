#!/usr/bin/env python3
"""Makes tests/golden/speecht5: two tiny random SpeechT5 text-to-speech checkpoints and what transformers computes with them.

    pip install torch transformers safetensors sentencepiece numpy
    python3 make_speecht5_golden.py [output folder]

The reference is transformers' SpeechT5ForTextToSpeech in f32 on the CPU, on one thread. The prenet's dropout, which is always on,
takes its masks from numpy instead of torch, so that another implementation can be fed the same ones. README.md describes
every file.
"""

import json
import os
import shutil
import sys
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import sentencepiece
import torch
from safetensors.numpy import save_file
from transformers import SpeechT5Config, SpeechT5ForTextToSpeech, SpeechT5Tokenizer
from transformers.models.speecht5.modeling_speecht5 import SpeechT5SpeechDecoderPrenet

torch.set_num_threads(1)

TEXTS = ["Good morning.", "It was, quite simply, too late to turn back!", "A"]
STEPS = 32  # decoder steps that are stored, at most

# Real in kind, small in size: two heads of 16, relative positions that are clamped within a sentence. The mel is that of
# hifigan/speecht5.
MODELS = {
    "small": dict(
        hidden_size=32,
        encoder_layers=2,
        encoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_layers=2,
        decoder_attention_heads=2,
        decoder_ffn_dim=48,
        num_mel_bins=20,
        speech_decoder_prenet_units=16,
        speaker_embedding_dim=24,
        speech_decoder_postnet_units=20,
        encoder_max_relative_position=7,
        max_speech_positions=600,
        max_text_positions=100,
    ),
    # As microsoft/speecht5_tts came: pytorch_model.bin, f32, with the positional encodings as tensors.
    "bin": dict(
        hidden_size=16,
        encoder_layers=1,
        encoder_attention_heads=1,
        encoder_ffn_dim=16,
        decoder_layers=1,
        decoder_attention_heads=1,
        decoder_ffn_dim=16,
        num_mel_bins=80,
        speech_decoder_prenet_units=16,
        speaker_embedding_dim=8,
        speech_decoder_postnet_layers=2,
        speech_decoder_postnet_units=16,
        encoder_max_relative_position=3,
        max_speech_positions=64,
        max_text_positions=60,
        reduction_factor=3,
    ),
}


def make_tokenizer(folder, rules):
    """A character vocabulary like SpeechT5's: <s> 0, <pad> 1, </s> 2, <unk> 3, then pieces."""
    corpus = folder / "corpus.txt"
    letters = "abcdefghijklmnopqrstuvwxyz"
    lines = [" ".join(letters), " ".join(letters.upper()), ". , ! ? ' - ; : é"] + TEXTS
    corpus.write_text("\n".join(lines * 3), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus),
        model_prefix=str(folder / "spm_char"),
        model_type="char",
        vocab_size=66,
        character_coverage=1.0,
        bos_id=0,
        pad_id=1,
        eos_id=2,
        unk_id=3,
        normalization_rule_name=rules,
        minloglevel=2,
    )
    corpus.unlink()
    (folder / "spm_char.vocab").unlink()
    return sentencepiece.SentencePieceProcessor(model_file=str(folder / "spm_char.model"))


def make_model(name, vocab_size, rng):
    model = SpeechT5ForTextToSpeech(SpeechT5Config(vocab_size=vocab_size, **MODELS[name])).eval()
    state = model.state_dict()
    for key, tensor in state.items():
        shape = tuple(tensor.shape)
        if key.endswith("running_var"):
            value = rng.uniform(0.3, 2.0, shape)
        elif key.endswith("running_mean"):
            value = rng.normal(0, 0.3, shape)
        elif key.endswith("num_batches_tracked"):
            continue
        elif "norm" in key and key.endswith(".weight"):
            value = rng.uniform(0.6, 1.4, shape)
        elif key.endswith(".alpha"):
            value = rng.uniform(0.5, 1.5)
        elif key.endswith(".bias"):
            value = rng.normal(0, 0.2, shape)
        else:  # matrices; sharp attention, so that mistakes show
            fan = np.prod(shape[1:]) if len(shape) > 1 else 1
            value = rng.normal(0, 1.3 / np.sqrt(fan), shape)
        if "embed" in key and "embeds" not in key:
            value = rng.normal(0, 0.5, shape)
        value = np.asarray(value, np.float32)
        if name == "small" and value.ndim > 1:  # stored as f16: computed from what f16 holds
            value = value.astype(np.float16).astype(np.float32)
        tensor.copy_(torch.from_numpy(value))
    model.load_state_dict(state)
    return model


class FedDropout:
    """Keeps an element where the mask of its position and layer is 1. masks: [steps, layers, units]."""

    def __init__(self, masks, dropout):
        self.masks, self.layer, self.dropout = masks, 0, dropout

    def __call__(self, _, embeds, p):
        assert p == self.dropout
        mask = torch.from_numpy(self.masks[: embeds.shape[1], self.layer])
        self.layer = (self.layer + 1) % self.masks.shape[1]
        return torch.where(mask[None] == 1, embeds, 0) / (1 - p)


@torch.no_grad()
def speak(model, ids, speaker, masks, steps):
    """transformers' _generate_speech, step by step, for `steps` steps whatever the stop probability says."""
    config = model.config
    inputs = torch.tensor([ids])
    mask = torch.ones_like(inputs)
    encoded = model.speecht5.encoder(input_values=inputs, attention_mask=mask).last_hidden_state
    fed = FedDropout(masks, config.speech_decoder_prenet_dropout)
    original = SpeechT5SpeechDecoderPrenet._consistent_dropout
    SpeechT5SpeechDecoderPrenet._consistent_dropout = lambda self, embeds, p: fed(self, embeds, p)
    frames, logits, attention, past = [], [], [], None
    sequence = torch.zeros(1, 1, config.num_mel_bins)
    for _ in range(steps):
        hidden = model.speecht5.decoder.prenet(sequence, speaker)
        out = model.speecht5.decoder.wrapped_decoder(
            hidden_states=hidden[:, -1:],
            encoder_hidden_states=encoded,
            encoder_attention_mask=mask,
            past_key_values=past,
            use_cache=True,
            output_attentions=True,
        )
        past = out.past_key_values
        last = out.last_hidden_state.squeeze(1)
        spectrum = model.speech_decoder_postnet.feat_out(last).view(1, config.reduction_factor, config.num_mel_bins)
        frames.append(spectrum)
        logits.append(model.speech_decoder_postnet.prob_out(last)[0])
        attention.append(torch.stack(out.cross_attentions)[:, 0, :, 0])  # [layers, heads, text]
        sequence = torch.cat((sequence, spectrum[:, -1:]), dim=1)
    SpeechT5SpeechDecoderPrenet._consistent_dropout = original
    before = torch.cat(frames, dim=1)
    after = model.speech_decoder_postnet.postnet(before)
    probabilities = torch.sigmoid(torch.stack(logits))
    return encoded[0], before[0], after[0], probabilities, torch.stack(attention)


@torch.no_grad()
def check_against_generate(model, ids, speaker, masks):
    """The loop above is generate_speech()'s, or this fails: the same frames until it stops by itself."""
    fed = FedDropout(masks, model.config.speech_decoder_prenet_dropout)
    original = SpeechT5SpeechDecoderPrenet._consistent_dropout
    SpeechT5SpeechDecoderPrenet._consistent_dropout = lambda self, embeds, p: fed(self, embeds, p)
    spectrogram = model.generate_speech(torch.tensor([ids]), speaker)
    SpeechT5SpeechDecoderPrenet._consistent_dropout = original
    return spectrogram


def set_stop(model, ids, speaker, masks, at_step):
    """Moves the stop bias so that the sum of the probabilities first reaches 0.5 at `at_step` (from 1)."""
    bias = model.speech_decoder_postnet.prob_out.bias
    low, high = -20.0, 20.0

    def first(value):
        with torch.no_grad():
            bias.fill_(value)
        sums = speak(model, ids, speaker, masks, STEPS)[3].sum(-1)
        reached = (sums >= 0.5).nonzero()
        return int(reached[0]) + 1 if len(reached) else STEPS + 1

    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if first(middle) <= at_step else (middle, high)
    return first(round(high + 0.02, 3))


def write(name, root):
    rng = np.random.Generator(np.random.PCG64(sum(name.encode())))
    folder = root / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    pieces = make_tokenizer(folder, "nmt_nfkc" if name == "small" else "identity")
    model = make_model(name, pieces.get_piece_size() + 2, rng)  # ids of added tokens, as 81 = 79 + 2
    config = model.config
    speakers = rng.normal(0, 3, (2, config.speaker_embedding_dim)).astype(np.float32)
    speaker = torch.from_numpy(speakers[:1])
    masks = rng.integers(0, 2, (STEPS, config.speech_decoder_prenet_layers, config.speech_decoder_prenet_units)).astype(
        np.uint8
    )
    tokenizer = SpeechT5Tokenizer(str(folder / "spm_char.model"))
    ids = {text: tokenizer(text).input_ids for text in TEXTS}
    weight = model.speech_decoder_postnet.prob_out.weight
    stop = 0
    while not 10 <= stop <= 28:  # until the first sentence ends neither at once nor never
        with torch.no_grad():
            weight.copy_(torch.from_numpy(rng.normal(0, 0.3, tuple(weight.shape)).astype(np.float16).astype(np.float32)))
        stop = set_stop(model, ids[TEXTS[0]], speaker, masks, 20)
    steps = min(STEPS, config.max_speech_positions)

    tensors = {"masks": masks, "speaker": speakers[0]}
    facts = {"texts": [], "stop_step": stop, "threshold": 0.5}
    for i, text in enumerate(TEXTS if name == "small" else TEXTS[:1]):
        count = min(steps, int(len(ids[text]) * 20 / config.reduction_factor))
        encoded, before, after, probabilities, attention = speak(model, ids[text], speaker, masks, count)
        whole = check_against_generate(model, ids[text], speaker, masks) if i == 0 else None
        if whole is not None:
            cut = before[: stop * config.reduction_factor][None]
            with torch.no_grad():
                difference = (whole - model.speech_decoder_postnet.postnet(cut)[0]).abs().max()
            assert whole.shape[0] == stop * config.reduction_factor and difference < 1e-4, (whole.shape, stop, difference)
            tensors[f"spectrogram.{i}"] = whole.numpy()
        facts["texts"].append({"text": text, "ids": ids[text]})
        tensors[f"encoded.{i}"] = encoded.numpy()
        tensors[f"before.{i}"] = before.numpy()
        tensors[f"stop.{i}"] = probabilities.numpy()
        if i == 0:
            tensors[f"attention.{i}"] = attention.numpy()
            tensors[f"after.{i}"] = after.numpy()
    save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, folder / "golden.safetensors")
    (folder / "golden.json").write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n")

    voices = folder / "voices"  # in the shapes and types in which they are found
    voices.mkdir()
    np.save(voices / "anna.npy", speakers[0])
    np.save(voices / "bert.npy", speakers[1][None].astype(np.float64))
    save_file({"cleo": speakers[0] - speakers[1]}, voices / "more.safetensors")
    config.save_pretrained(folder)
    preprocessor = dict(
        feature_extractor_type="SpeechT5FeatureExtractor", sampling_rate=16000, num_mel_bins=config.num_mel_bins, hop_length=16,
        win_length=64, win_function="hann_window", fmin=80, fmax=7600, mel_floor=1e-10, reduction_factor=2,
        do_normalize=False, feature_size=1, padding_value=0.0,
    )
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor, indent=1) + "\n")
    state = {k: v.contiguous() for k, v in model.state_dict().items()}
    if name == "bin":
        for part in ("encoder", "decoder"):
            state[f"speecht5.{part}.prenet.encode_positions.pe"] = getattr(model.speecht5, part).prenet.encode_positions.pe
        state = {k: torch.from_numpy(v.numpy()) for k, v in state.items()}  # plain tensors, not nn.Buffer
        torch.save(state, folder / "pytorch_model.bin")
    else:
        halves = {k: v.half().numpy() if v.dim() > 1 else v.numpy() for k, v in state.items()}
        save_file(halves, folder / "model.safetensors", metadata={"format": "pt"})
    print(name, "stops at step", stop, {f.name: f.stat().st_size for f in sorted(folder.rglob('*'))})


def main():
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "speecht5"
    for name in MODELS:
        write(name, root)


if __name__ == "__main__":
    main()
