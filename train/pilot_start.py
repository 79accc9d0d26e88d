"""Starts a model from the layers of another checkpoint of the same width (transformers' Whisper, another vocabulary)."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

from stt_model import SttModel
from tokens import SttTokens


@torch.no_grad()
def start_from(model: SttModel, folder: Path, tokens: SttTokens) -> None:
    """Layers are copied. So are the embeddings of the pieces that both know (tokens.py --prune)."""
    theirs = {name: tensor.float() for name, tensor in load_file(folder / "model.safetensors").items()}
    embedding = theirs.pop("model.decoder.embed_tokens.weight")
    theirs.pop("proj_out.weight", None)
    own = model.state_dict()
    wanted = {name for name in own if "embed_tokens" not in name}
    missing = wanted - theirs.keys()
    if missing:
        raise ValueError(f"{folder} lacks {sorted(missing)[:3]}")
    model.load_state_dict({name: theirs[name] for name in wanted}, strict=False)

    other = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    other |= json.loads((folder / "added_tokens.json").read_text(encoding="utf-8"))
    other["<|nospeech|>"] = other.get("<|nospeech|>", other.get("<|nocaptions|>"))
    never = embedding.mode(0).values  # rows that no text of theirs uses hold one vector
    known = (embedding - never).abs().amax(1) > 1e-3
    typical = embedding[known].mean(0)
    for i in range(tokens.size):
        row = other.get(tokens.tokenizer.id_to_token(i))
        if row is not None and known[row]:
            model.decoder.embed_tokens.weight[i] = embedding[row]
        else:
            model.decoder.embed_tokens.weight[i] = typical + 0.05 * torch.randn_like(typical)
