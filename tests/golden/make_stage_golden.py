#!/usr/bin/env python3
"""Makes the golden tensors that `parley validate --against` compares a converted model with (docs/formats.md, "Golden tensors").

    pip install torch transformers safetensors sentencepiece soundfile numpy
    python3 make_stage_golden.py CHECKPOINT GOLDEN.safetensors [--layers] [--audio FILE.wav] [--text TEXT] [--every N]
        [--vocoder FOLDER] [--speaker XVECTOR.npy] [--steps N]

CHECKPOINT is a folder of transformers: Whisper, SpeechT5 (with --vocoder also its HiFi-GAN), or a SpeechT5HifiGan alone. The
reference is transformers in f32 on the CPU. Each stage is fed with what the reference's stage before it made. --every 25 keeps
every 25th position of the encoder: enough to compare with, and small.
"""

import argparse
import json
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from safetensors.numpy import save_file

SAMPLE_RATE = 16000
TEXT = "The quick brown fox jumps over the lazy dog."


class LayerNotes:
    """What chosen modules leave, call by call, as rows of one matrix."""

    def __init__(self, wanted):
        self.wanted, self.rows = wanted, {}

    def watch(self, name, module):
        if self.wanted:
            module.register_forward_hook(lambda _, __, out: self.note(name, out))

    def watch_input(self, name, module):
        def note(_, args, kwargs):
            self.note(name, args[0] if args else kwargs["hidden_states"])

        if self.wanted:
            module.register_forward_pre_hook(note, with_kwargs=True)

    def note(self, name, out):
        out = out[0] if isinstance(out, tuple) else out
        self.rows.setdefault(name, []).append(out.detach()[0])

    def take(self):
        taken = {name: torch.cat(rows) for name, rows in self.rows.items()}
        self.rows.clear()
        return taken


def made_up_audio():
    """A second of noise whose loudness rises and falls."""
    rng = np.random.Generator(np.random.PCG64(3))
    t = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    return (0.3 * np.sin(4 * np.pi * t) ** 2 * rng.uniform(-1, 1, SAMPLE_RATE)).astype(np.float32)


def read_audio(path):
    import soundfile

    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    if rate != SAMPLE_RATE:
        raise SystemExit(f"{path}: is at {rate} Hz, not {SAMPLE_RATE}")
    return audio.mean(axis=1)[: 30 * SAMPLE_RATE]


# --- Whisper ---------------------------------------------------------------------------------------------------------------


def without_silent_end(mel):
    """Frames up to the first of those at the end that are all the same: the last one goes on."""
    same = (mel == mel[-1]).all(dim=1).flip(0).long().cumprod(0).sum()
    return mel[: len(mel) - same + 1]


def whisper_golden(folder, options):
    from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration

    model = WhisperForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    extractor = WhisperFeatureExtractor.from_pretrained(folder)
    audio = read_audio(options.audio) if options.audio else made_up_audio()
    mel = extractor(audio, sampling_rate=SAMPLE_RATE, return_tensors="pt").input_features
    encoder, decoder = model.model.encoder, model.model.decoder
    notes = LayerNotes(options.layers)
    for stage, module in (("encoder", encoder), ("decoder", decoder)):
        notes.watch_input(f"{stage}.embedded", module.layers[0])
        for i, layer in enumerate(module.layers):
            notes.watch(f"{stage}.layers.{i}", layer)
    features = encoder(mel).last_hidden_state
    golden = notes.take() | {"encoder.features": features[0]}
    golden = {name: rows[:: options.every] for name, rows in golden.items()}
    golden["frontend.mel"] = without_silent_end(mel[0].T)

    def logits(tokens):
        hidden = decoder(input_ids=torch.tensor([tokens]), encoder_hidden_states=features).last_hidden_state
        return model.proj_out(hidden)[0]

    added = json.loads((Path(folder) / "added_tokens.json").read_text())
    tokens = [model.generation_config.decoder_start_token_id]
    if getattr(model.generation_config, "is_multilingual", False):
        tokens += [added["<|en|>"], added["<|transcribe|>"]]
    tokens.append(added["<|notimestamps|>"])
    for _ in range(options.steps):
        tokens.append(int(logits(tokens)[-1, : model.generation_config.eos_token_id].argmax()))
    notes.take()
    golden["decoder.logits"] = logits(tokens)
    golden |= notes.take()
    golden["decoder.tokens"] = torch.tensor(tokens, dtype=torch.int32)
    return golden


# --- SpeechT5 --------------------------------------------------------------------------------------------------------------


def speecht5_golden(folder, options):
    from make_speecht5_golden import speak
    from transformers import SpeechT5ForTextToSpeech, SpeechT5Tokenizer

    model = SpeechT5ForTextToSpeech.from_pretrained(folder, dtype=torch.float32).eval()
    config = model.config
    ids = SpeechT5Tokenizer.from_pretrained(folder)(options.text.lower()).input_ids
    rng = np.random.Generator(np.random.PCG64(5))
    speaker = rng.normal(0, 1, config.speaker_embedding_dim).astype(np.float32)
    if options.speaker:
        speaker = np.load(options.speaker).astype(np.float32).reshape(-1)
    shape = (options.steps, config.speech_decoder_prenet_layers, config.speech_decoder_prenet_units)
    masks = rng.integers(0, 2, shape).astype(np.uint8)
    if config.speech_decoder_prenet_dropout != 0.5:
        masks = (rng.uniform(size=shape) >= config.speech_decoder_prenet_dropout).astype(np.uint8)
    notes = LayerNotes(options.layers)
    wrapped = {"text_encoder": model.speecht5.encoder.wrapped_encoder, "mel_decoder": model.speecht5.decoder.wrapped_decoder}
    for stage, module in wrapped.items():
        notes.watch_input(f"{stage}.{'embedded' if stage == 'text_encoder' else 'prenet'}", module.layers[0])
        for i, layer in enumerate(module.layers):
            notes.watch(f"{stage}.layers.{i}", layer)
    encoded, before, after, stop, _ = speak(model, ids, torch.from_numpy(speaker[None]), masks, options.steps)
    golden = notes.take()
    golden |= {
        "text_encoder.tokens": torch.tensor(ids, dtype=torch.int32),
        "text_encoder.features": encoded,
        "mel_decoder.speaker": torch.from_numpy(speaker),
        "mel_decoder.kept": torch.from_numpy(masks.reshape(options.steps, -1)),
        "mel_decoder.frames": before,
        "mel_decoder.stop": stop.sum(-1),
        "mel_decoder.mel": after,
    }
    if options.vocoder:
        golden |= vocoder_golden(options.vocoder, after)
    return golden


def vocoder_golden(folder, mel):
    from transformers import SpeechT5HifiGan

    model = SpeechT5HifiGan.from_pretrained(folder, dtype=torch.float32).eval()
    if mel is None:
        rng = np.random.Generator(np.random.PCG64(7))
        mel = torch.from_numpy(rng.uniform(-3, -1, (96, model.config.model_in_dim)).astype(np.float32))
    return {"mel_decoder.mel": mel, "vocoder.samples": model(mel)}


# ---------------------------------------------------------------------------------------------------------------------------


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("golden")
    parser.add_argument("--layers", action="store_true", help="what every layer leaves, too")
    parser.add_argument("--audio", help="16 kHz; the first 30 s  [a second of noise]")
    parser.add_argument("--every", type=int, default=1, help="positions of the encoder that are kept")
    parser.add_argument("--text", default=TEXT)
    parser.add_argument("--vocoder", help="folder of a SpeechT5HifiGan")
    parser.add_argument("--speaker", help="x-vector, .npy  [random]")
    parser.add_argument("--steps", type=int, default=32, help="of a decoder")
    options = parser.parse_args()
    kind = json.loads((Path(options.checkpoint) / "config.json").read_text())["model_type"]
    if kind == "whisper":
        golden = whisper_golden(options.checkpoint, options)
    elif kind == "speecht5":
        golden = speecht5_golden(options.checkpoint, options)
    elif kind == "hifigan":
        golden = vocoder_golden(options.checkpoint, None)
    else:
        raise SystemExit(f"{options.checkpoint}: a model of type '{kind}' is not known here")
    save_file({k: np.ascontiguousarray(v.numpy()) for k, v in golden.items()}, options.golden)
    for name, tensor in golden.items():
        print(f"{name:28} {list(tensor.shape)}")


if __name__ == "__main__":
    main()
