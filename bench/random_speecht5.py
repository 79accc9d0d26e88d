#!/usr/bin/env python3
"""Writes a SpeechT5 text-to-speech model of the published dimensions with random weights, as a Hugging Face folder, and a voice:
speed does not depend on them.

    python3 bench/random_speecht5.py bench-models/speecht5

The tokenizer is the tests' small one.
"""

import argparse
import math
import shutil
from pathlib import Path

import numpy as np
from random_whisper import write_json, write_safetensors

D, FFN, ENCODER_LAYERS, DECODER_LAYERS, HEADS = 768, 3072, 12, 6, 12
BANDS, REDUCTION, UNITS, SPEAKER, POSTNET_LAYERS, KERNEL, DISTANCE, VOCABULARY = 80, 2, 256, 512, 5, 5, 160, 81


def shapes():
    """{name: shape} under the names of transformers' SpeechT5ForTextToSpeech."""
    found = {}

    def linear(name, out, into):
        found[f"{name}.weight"], found[f"{name}.bias"] = (out, into), (out,)

    def norm(name, size=D):
        found[f"{name}.weight"], found[f"{name}.bias"] = (size,), (size,)

    def block(layer, attentions):
        for name, norm_name in attentions:
            for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
                linear(f"{layer}.{name}.{part}", D, D)
            norm(f"{layer}.{norm_name}")
        linear(f"{layer}.feed_forward.intermediate_dense", FFN, D)
        linear(f"{layer}.feed_forward.output_dense", D, FFN)
        norm(f"{layer}.final_layer_norm")

    encoder, decoder, postnet = "speecht5.encoder", "speecht5.decoder", "speech_decoder_postnet"
    found[f"{encoder}.prenet.embed_tokens.weight"] = (VOCABULARY, D)
    found[f"{encoder}.prenet.encode_positions.alpha"] = ()
    norm(f"{encoder}.wrapped_encoder.layer_norm")
    found[f"{encoder}.wrapped_encoder.embed_positions.pe_k.weight"] = (2 * DISTANCE, D // HEADS)
    for i in range(ENCODER_LAYERS):
        block(f"{encoder}.wrapped_encoder.layers.{i}", [("attention", "layer_norm")])
    for i in range(2):
        linear(f"{decoder}.prenet.layers.{i}", UNITS, BANDS if i == 0 else UNITS)
    linear(f"{decoder}.prenet.final_layer", D, UNITS)
    found[f"{decoder}.prenet.encode_positions.alpha"] = ()
    linear(f"{decoder}.prenet.speaker_embeds_layer", D, D + SPEAKER)
    for i in range(DECODER_LAYERS):
        attentions = [("self_attn", "self_attn_layer_norm"), ("encoder_attn", "encoder_attn_layer_norm")]
        block(f"{decoder}.wrapped_decoder.layers.{i}", attentions)
    linear(f"{postnet}.feat_out", BANDS * REDUCTION, D)
    linear(f"{postnet}.prob_out", REDUCTION, D)
    for i in range(POSTNET_LAYERS):
        out = BANDS if i == POSTNET_LAYERS - 1 else UNITS
        found[f"{postnet}.layers.{i}.conv.weight"] = (out, BANDS if i == 0 else UNITS, KERNEL)
        norm(f"{postnet}.layers.{i}.batch_norm", out)
        for name in ("running_mean", "running_var"):
            found[f"{postnet}.layers.{i}.batch_norm.{name}"] = (out,)
    return found


def random_weights(seed=0):
    rng = np.random.default_rng(seed)
    weights = {}
    for name, shape in shapes().items():
        if name.endswith(("alpha", "norm.weight", "running_var")):
            value = np.ones(shape)
        elif len(shape) > 1:
            value = rng.standard_normal(shape, dtype=np.float32) / math.sqrt(math.prod(shape[1:]))
        else:
            value = 0.01 * rng.standard_normal(shape, dtype=np.float32)
        weights[name] = np.ascontiguousarray(value, dtype=np.float16).reshape(shape)
    weights["speech_decoder_postnet.prob_out.bias"] -= np.float16(6)  # sentences as long as they may be
    return weights


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    folder = parser.parse_args().output
    (folder / "voices").mkdir(parents=True, exist_ok=True)
    weights = random_weights()
    write_safetensors(folder / "model.safetensors", weights)
    # What else SpeechT5 has is the default. Random attention is not watched: it would be found astray.
    config = {"max_text_positions": 600, "max_speech_positions": 1876, "use_guided_attention_loss": False}
    write_json(folder / "config.json", {"model_type": "speecht5"} | config)
    np.save(folder / "voices" / "random.npy", np.random.default_rng(1).standard_normal(SPEAKER, dtype=np.float32))
    shutil.copy(Path(__file__).parent.parent / "tests/golden/speecht5/small/spm_char.model", folder)
    print(f"{folder}: {sum(w.size for w in weights.values()) / 1e6:.1f} M parameters")


if __name__ == "__main__":
    main()
