"""A larger Whisper checkpoint that a small model learns from (Hinton et al. 2015; Romero et al. 2015): what its layers make of the
sound, and what it expects as the next piece of text. It hears the speech clean; the pupil hears it as it comes."""

from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn

import features
from stt_model import Encoder, SttModel
from tokens import SttTokens
from windows import IGNORED, Batch


class Teacher:
    def __init__(self, folder: Path, tokens: SttTokens, device: str, dtype: torch.dtype):
        """folder: of transformers, with its tokenizer.json. Every piece of the pupil has to be one of the teacher's
        (tokens.py --of)."""
        self.model = SttModel.of_folder(folder).to(device, dtype)
        theirs = Tokenizer.from_file(str(folder / "tokenizer.json"))
        first_time = theirs.token_to_id("<|notimestamps|>") + 1
        names = [tokens.tokenizer.id_to_token(i) for i in range(tokens.size)]
        same = {"<|nospeech|>": "<|nocaptions|>"}
        ids = [theirs.token_to_id(name) or theirs.token_to_id(same.get(name, name)) for name in names[: tokens.timestamp_begin]]
        if None in ids:
            raise SystemExit(f"{folder} does not know the piece {names[ids.index(None)]!r}: tokens.py --of {folder / 'tokenizer.json'}")
        ids += range(first_time, first_time + tokens.size - tokens.timestamp_begin)
        self.ids = torch.tensor(ids, device=device)
        self.dtype, self.text = dtype, tokens.end
        self.states: list[Tensor] = []

    @torch.no_grad()
    def listen(self, batch: Batch) -> None:
        self.states = self.model.encoder.states(features.log_mel(batch.clean).to(self.dtype))

    def hint_loss(self, heads: nn.ModuleList, states: list[Tensor]) -> Tensor:
        """How far the pupil's layers, seen through a matrix each, are from the teacher's at the same depth. Each channel of the
        teacher counts the same, however loud."""
        losses = []
        for i, (head, own) in enumerate(zip(heads, states)):
            wanted = self.states[round(i * (len(self.states) - 1) / (len(states) - 1))].float()
            mean, deviation = wanted.mean((0, 1)), wanted.std((0, 1)) + 1e-4
            seen = head(F.layer_norm(own, own.shape[-1:])).float()
            losses.append(F.smooth_l1_loss(seen, ((wanted - mean) / deviation).clamp(-6, 6)))
        return torch.stack(losses).mean()

    def text_loss(self, logits: Tensor, batch: Batch) -> Tensor:
        """Cross entropy with the teacher's expectation, where text comes next."""
        with torch.no_grad():
            theirs = self.model.decoder(self.ids[batch.tokens], self.states[-1])[..., self.ids[: self.text]].float().softmax(-1)
        each = -(theirs * logits[..., : self.text].float().log_softmax(-1)).sum(-1)
        asked = (batch.targets != IGNORED) & (batch.targets < self.text)
        return torch.where(asked, each, 0).sum() / asked.sum().clamp(min=1)


def hint_heads(encoder: Encoder, teacher: SttModel) -> nn.ModuleList:
    return nn.ModuleList(nn.Linear(encoder.layer_norm.normalized_shape[0], teacher.config.d_model)
                         for _ in range(len(encoder.layers) + 1))
