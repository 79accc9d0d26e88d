#!/usr/bin/env python3
"""One Python peer of bench/compare_files.py: python_peer.py KIND CHECKPOINT [--threads N] [--beam N] [--as-they-are] FILE...

CHECKPOINT is a Hugging Face folder, or for faster-whisper a CTranslate2 folder. Prints {"seconds": of transcribing alone, "text"}.
Needs pip packages: faster-whisper (and transformers, which converts a Hugging Face folder for it), openai-whisper and transformers.
"""

import argparse
import json
import re
import sys
import tempfile
import time
from pathlib import Path


# All programs do the same work: no other temperature is tried, and no text before is a prompt.
EQUAL = {"temperature": 0, "condition_on_previous_text": False}


def load_faster_whisper(checkpoint, threads):
    from faster_whisper import WhisperModel

    options = {"device": "cpu", "compute_type": "int8", "cpu_threads": threads}
    if (Path(checkpoint) / "model.bin").exists():
        return WhisperModel(checkpoint, **options)
    from ctranslate2.converters import TransformersConverter

    with tempfile.TemporaryDirectory() as folder:
        TransformersConverter(checkpoint, load_as_float16=False).convert(folder, quantization="int8", force=True)
        tokenizer = Path(checkpoint) / "tokenizer.json"
        if tokenizer.exists():
            (Path(folder) / "tokenizer.json").write_bytes(tokenizer.read_bytes())
        else:
            from transformers import WhisperTokenizerFast

            WhisperTokenizerFast.from_pretrained(checkpoint).backend_tokenizer.save(f"{folder}/tokenizer.json")
        preprocessor = Path(checkpoint) / "preprocessor_config.json"
        (Path(folder) / "preprocessor_config.json").write_bytes(preprocessor.read_bytes())
        return WhisperModel(folder, **options)


def faster_whisper(arguments, batched):
    from faster_whisper import BatchedInferencePipeline

    model = load_faster_whisper(arguments.checkpoint, arguments.threads)
    options = {"language": "en", "beam_size": arguments.beam} | ({} if arguments.as_they_are else EQUAL)
    if batched:
        model = BatchedInferencePipeline(model)
        options |= {"batch_size": 8, "without_timestamps": False}
    texts = []
    start = time.monotonic()
    for file in arguments.files:
        texts += [segment.text for segment in model.transcribe(file, **options)[0]]
    return time.monotonic() - start, texts


# Hugging Face's names of layers and openai/whisper's.
NAMES = [
    (r"^model\.", ""),
    (r"embed_positions\.weight", "positional_embedding"),
    (r"embed_tokens", "token_embedding"),
    (r"layers\.", "blocks."),
    (r"self_attn_layer_norm", "attn_ln"),
    (r"encoder_attn_layer_norm", "cross_attn_ln"),
    (r"final_layer_norm", "mlp_ln"),
    (r"self_attn", "attn"),
    (r"encoder_attn", "cross_attn"),
    (r"q_proj", "query"),
    (r"k_proj", "key"),
    (r"v_proj", "value"),
    (r"out_proj", "out"),
    (r"fc1", "mlp.0"),
    (r"fc2", "mlp.2"),
    (r"encoder\.layer_norm", "encoder.ln_post"),
    (r"decoder\.layer_norm", "decoder.ln"),
]


def load_openai_whisper(checkpoint):
    import torch
    import whisper
    from transformers import WhisperForConditionalGeneration

    source = WhisperForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.float32)
    c = source.config
    dims = whisper.model.ModelDimensions(
        n_mels=c.num_mel_bins,
        n_audio_ctx=c.max_source_positions,
        n_audio_state=c.d_model,
        n_audio_head=c.encoder_attention_heads,
        n_audio_layer=c.encoder_layers,
        n_vocab=c.vocab_size,
        n_text_ctx=c.max_target_positions,
        n_text_state=c.d_model,
        n_text_head=c.decoder_attention_heads,
        n_text_layer=c.decoder_layers,
    )
    state = {}
    for name, tensor in source.state_dict().items():
        if name == "proj_out.weight":
            continue
        for pattern, replacement in NAMES:
            name = re.sub(pattern, replacement, name)
        state[name] = tensor
    model = whisper.model.Whisper(dims)
    model.load_state_dict(state, strict=False)  # alignment heads, masks: not weights
    return model


def openai_whisper(arguments):
    import torch

    torch.set_num_threads(arguments.threads)
    model = load_openai_whisper(arguments.checkpoint)
    fallback = {"temperature": (0.0, 0.2, 0.4, 0.6, 0.8, 1.0), "best_of": 5}
    options = {"language": "en", "beam_size": arguments.beam, "fp16": False}
    options |= fallback if arguments.as_they_are else EQUAL
    start = time.monotonic()
    texts = [model.transcribe(file, **options)["text"] for file in arguments.files]
    return time.monotonic() - start, texts


KINDS = {
    "faster-whisper-batched": lambda arguments: faster_whisper(arguments, batched=True),
    "faster-whisper-sequential": lambda arguments: faster_whisper(arguments, batched=False),
    "openai-whisper": openai_whisper,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("checkpoint")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--as-they-are", action="store_true")
    parser.add_argument("files", nargs="+")
    arguments = parser.parse_args()
    seconds, texts = KINDS[arguments.kind](arguments)
    print(json.dumps({"seconds": seconds, "text": "\n".join(texts)}))


if __name__ == "__main__":
    main()
