#!/usr/bin/env python3
"""One Python peer of bench/compare_files.py: python_peer.py faster-whisper|openai-whisper CHECKPOINT THREADS BEAM FILE...

CHECKPOINT is a Hugging Face folder. Prints {"seconds": of transcribing alone, "text"}. Needs pip packages: faster-whisper,
transformers (which converts the checkpoint for it), openai-whisper.
"""

import json
import re
import sys
import tempfile
import time
from pathlib import Path


def faster_whisper(checkpoint, threads, beam, files):
    from ctranslate2.converters import TransformersConverter
    from faster_whisper import BatchedInferencePipeline, WhisperModel

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
        model = WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=threads)
    pipeline = BatchedInferencePipeline(model)
    texts = []
    start = time.monotonic()
    for file in files:
        segments, _ = pipeline.transcribe(
            file, language="en", beam_size=beam, temperature=0, batch_size=8, without_timestamps=False
        )
        texts += [segment.text for segment in segments]
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


def openai_whisper(checkpoint, threads, beam, files):
    import torch
    import whisper
    from transformers import WhisperForConditionalGeneration

    torch.set_num_threads(threads)
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
    texts = []
    start = time.monotonic()
    for file in files:
        result = model.transcribe(
            file, language="en", beam_size=beam, temperature=0, fp16=False, condition_on_previous_text=False
        )
        texts.append(result["text"])
    return time.monotonic() - start, texts


def main():
    kind, checkpoint, threads, beam, *files = sys.argv[1:]
    run = {"faster-whisper": faster_whisper, "openai-whisper": openai_whisper}[kind]
    seconds, texts = run(checkpoint, int(threads), int(beam), files)
    print(json.dumps({"seconds": seconds, "text": "\n".join(texts)}))


if __name__ == "__main__":
    main()
