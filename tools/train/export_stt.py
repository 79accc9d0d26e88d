"""A checkpoint of train_stt.py as a transformers folder, which parley convert (and everybody else) reads.

python export_stt.py --checkpoint RUN/checkpoint.pt --tokens DIR --out DIR
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from stt_model import SttConfig, SttModel
from tokens import SttTokens


def load(checkpoint: Path) -> SttModel:
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    model = SttModel(SttConfig(**state["config"]))
    model.load_state_dict(state["model"])
    return model.eval()


def config_json(c: SttConfig, tokens: SttTokens) -> dict:
    return {"architectures": ["WhisperForConditionalGeneration"], "model_type": "whisper", "vocab_size": c.vocab_size,
            "num_mel_bins": c.mels, "encoder_layers": c.encoder_layers, "encoder_attention_heads": c.heads,
            "decoder_layers": c.decoder_layers, "decoder_attention_heads": c.heads, "encoder_ffn_dim": c.ffn,
            "decoder_ffn_dim": c.ffn, "num_hidden_layers": c.encoder_layers, "d_model": c.d_model, "dropout": 0.0,
            "attention_dropout": 0.0, "activation_dropout": 0.0, "activation_function": "gelu", "init_std": 0.02,
            "max_source_positions": c.audio_positions, "max_target_positions": c.text_positions, "scale_embedding": False,
            "is_encoder_decoder": True, "use_cache": True, "decoder_start_token_id": tokens.start, "bos_token_id": tokens.end,
            "eos_token_id": tokens.end, "pad_token_id": tokens.end, "torch_dtype": "float16"}


def generation_json(c: SttConfig, tokens: SttTokens) -> dict:
    # As openai/whisper: tokens that are no answer. Nothing is suppressed at the beginning: in silence the end may come at once.
    no_answers = ["<|startoftranscript|>", "<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>"]
    return {"decoder_start_token_id": tokens.start, "bos_token_id": tokens.end, "eos_token_id": tokens.end,
            "pad_token_id": tokens.end, "max_length": c.text_positions, "begin_suppress_tokens": [],
            "suppress_tokens": [tokens.id(name) for name in no_answers],
            "no_timestamps_token_id": tokens.no_timestamps, "prev_sot_token_id": tokens.id("<|startofprev|>"),
            "max_initial_timestamp_index": 50, "max_prompt_tokens": 0, "return_timestamps": False, "is_multilingual": False}


PREPROCESSOR = {"feature_extractor_type": "WhisperFeatureExtractor", "feature_size": 80, "sampling_rate": 16000,
                "hop_length": 160, "chunk_length": 30, "n_fft": 400, "n_samples": 480000, "nb_max_frames": 3000,
                "padding_side": "right", "padding_value": 0.0, "return_attention_mask": False,
                "processor_class": "WhisperProcessor"}
TOKENIZER = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>",
             "unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}


def export(model: SttModel, tokens: SttTokens, tokenizer_json: Path, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.to(torch.float16).contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    for name, content in (("config.json", config_json(model.config, tokens)), ("preprocessor_config.json", PREPROCESSOR),
                          ("generation_config.json", generation_json(model.config, tokens)),
                          ("tokenizer_config.json", TOKENIZER)):
        (out / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (out / "README.md").write_text("---\nlicense: Apache-2.0\n---\n", encoding="utf-8")
    (out / "tokenizer.json").write_bytes(tokenizer_json.read_bytes())


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--tokens", type=Path, required=True)
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--checkpoint", type=Path, required=True, help="of train_stt.py")
    options = arguments.parse_args()
    model = load(options.checkpoint)
    export(model, SttTokens(options.tokens), options.tokens / "tokenizer.json", options.out)


if __name__ == "__main__":
    main()
