"""Whisper's architecture (Radford et al. 2022), written so that windows shorter than 30 s can be trained.

Parameter names are those of transformers' WhisperForConditionalGeneration, so export is a state dict. The one
difference: positions are cut to the length of the window, where transformers insists on 3000 mel frames.
test_training.py compares the two.
"""

import dataclasses
import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn


@dataclasses.dataclass
class SttConfig:
    vocab_size: int
    d_model: int = 256
    heads: int = 4
    encoder_layers: int = 6
    decoder_layers: int = 4
    ffn: int = 1024
    mels: int = 80
    audio_positions: int = 1500
    text_positions: int = 448


def sinusoids(length: int, channels: int) -> Tensor:
    steps = math.log(10000) / (channels // 2 - 1)
    angles = torch.arange(length)[:, None] * torch.exp(-steps * torch.arange(channels // 2))[None, :]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class Attention(nn.Module):
    def __init__(self, d: int, heads: int):
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(d, d)
        self.k_proj = nn.Linear(d, d, bias=False)
        self.v_proj = nn.Linear(d, d)
        self.out_proj = nn.Linear(d, d)
        self.dropout = nn.Dropout(0)

    def forward(self, x: Tensor, source: Tensor | None = None, causal: bool = False) -> Tensor:
        source = x if source is None else source

        def split(y: Tensor) -> Tensor:  # [batch, length, d] -> [batch, heads, length, d / heads]
            return y.unflatten(-1, (self.heads, -1)).transpose(1, 2)

        y = F.scaled_dot_product_attention(
            split(self.q_proj(x)), split(self.k_proj(source)), split(self.v_proj(source)), is_causal=causal)
        return self.dropout(self.out_proj(y.transpose(1, 2).flatten(-2)))


class EncoderLayer(nn.Module):
    def __init__(self, c: SttConfig):
        super().__init__()
        self.self_attn = Attention(c.d_model, c.heads)
        self.self_attn_layer_norm = nn.LayerNorm(c.d_model)
        self.fc1 = nn.Linear(c.d_model, c.ffn)
        self.fc2 = nn.Linear(c.ffn, c.d_model)
        self.dropout = nn.Dropout(0)
        self.final_layer_norm = nn.LayerNorm(c.d_model)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.self_attn(self.self_attn_layer_norm(x))
        return x + self.dropout(self.fc2(F.gelu(self.fc1(self.final_layer_norm(x)))))


class DecoderLayer(nn.Module):
    def __init__(self, c: SttConfig):
        super().__init__()
        self.self_attn = Attention(c.d_model, c.heads)
        self.self_attn_layer_norm = nn.LayerNorm(c.d_model)
        self.encoder_attn = Attention(c.d_model, c.heads)
        self.encoder_attn_layer_norm = nn.LayerNorm(c.d_model)
        self.fc1 = nn.Linear(c.d_model, c.ffn)
        self.fc2 = nn.Linear(c.ffn, c.d_model)
        self.dropout = nn.Dropout(0)
        self.final_layer_norm = nn.LayerNorm(c.d_model)

    def forward(self, x: Tensor, audio: Tensor) -> Tensor:
        x = x + self.self_attn(self.self_attn_layer_norm(x), causal=True)
        x = x + self.encoder_attn(self.encoder_attn_layer_norm(x), audio)
        return x + self.dropout(self.fc2(F.gelu(self.fc1(self.final_layer_norm(x)))))


class Encoder(nn.Module):
    def __init__(self, c: SttConfig):
        super().__init__()
        self.conv1 = nn.Conv1d(c.mels, c.d_model, 3, padding=1)
        self.conv2 = nn.Conv1d(c.d_model, c.d_model, 3, stride=2, padding=1)
        self.embed_positions = nn.Embedding(c.audio_positions, c.d_model)
        self.embed_positions.weight.data = sinusoids(c.audio_positions, c.d_model)
        self.embed_positions.weight.requires_grad_(False)
        self.layers = nn.ModuleList(EncoderLayer(c) for _ in range(c.encoder_layers))
        self.layer_norm = nn.LayerNorm(c.d_model)

    def forward(self, mel: Tensor) -> Tensor:  # [batch, mels, frames] -> [batch, frames / 2, d]
        return self.states(mel)[-1]

    def states(self, mel: Tensor) -> list[Tensor]:
        """What goes into each layer, and what comes out of the last: [batch, frames / 2, d] each."""
        x = F.gelu(self.conv2(F.gelu(self.conv1(mel)))).transpose(1, 2)
        states = [x + self.embed_positions.weight[: x.shape[1]]]
        for layer in self.layers:
            states.append(layer(states[-1]))
        states[-1] = self.layer_norm(states[-1])
        return states


class Decoder(nn.Module):
    def __init__(self, c: SttConfig):
        super().__init__()
        self.embed_tokens = nn.Embedding(c.vocab_size, c.d_model)
        self.embed_positions = nn.Embedding(c.text_positions, c.d_model)
        nn.init.normal_(self.embed_tokens.weight, std=0.02)
        nn.init.normal_(self.embed_positions.weight, std=0.01)
        self.layers = nn.ModuleList(DecoderLayer(c) for _ in range(c.decoder_layers))
        self.layer_norm = nn.LayerNorm(c.d_model)

    def forward(self, tokens: Tensor, audio: Tensor) -> Tensor:  # [batch, length] -> logits [batch, length, vocab]
        x = self.embed_tokens(tokens) + self.embed_positions.weight[: tokens.shape[1]]
        for layer in self.layers:
            x = layer(x, audio)
        return F.linear(self.layer_norm(x), self.embed_tokens.weight)


class SttModel(nn.Module):
    def __init__(self, c: SttConfig):
        super().__init__()
        self.config = c
        self.model = nn.ModuleDict({"encoder": Encoder(c), "decoder": Decoder(c)})

    @staticmethod
    def of_folder(folder: Path) -> "SttModel":
        """A checkpoint in transformers' form, ready to use."""
        c = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        model = SttModel(SttConfig(
            c["vocab_size"], c["d_model"], c["encoder_attention_heads"], c["encoder_layers"], c["decoder_layers"],
            c["encoder_ffn_dim"], c["num_mel_bins"], c["max_source_positions"], c["max_target_positions"]))
        model.load_state_dict({name: tensor.float() for name, tensor in load_file(folder / "model.safetensors").items()})
        return model.eval()

    @property
    def encoder(self) -> Encoder:
        return self.model["encoder"]

    @property
    def decoder(self) -> Decoder:
        return self.model["decoder"]

    def set_dropout(self, probability: float) -> None:
        for module in self.modules():
            if isinstance(module, nn.Dropout):
                module.p = probability

    def forward(self, mel: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        audio = self.encoder(mel)
        return self.decoder(tokens, audio), audio


@torch.no_grad()
def start_near_the_diagonal(encoder: Encoder, low: float = 0.3, high: float = 1.8) -> None:
    """Queries and keys of a head become the same random orthonormal projection: with sinusoidal positions that is
    attention to the neighbourhood, wider or narrower by the gain of the head. From a default start the CTC loss of a
    model of this size stands still for a thousand steps."""
    for layer in encoder.layers:
        attention = layer.self_attn
        d, heads = attention.q_proj.in_features, attention.heads
        for head, gain in enumerate(torch.linspace(low, high, heads)):
            rows = slice(head * d // heads, (head + 1) * d // heads)
            projection = torch.linalg.qr(torch.randn(d, d // heads)).Q.T * gain * (d / heads) ** 0.25
            attention.q_proj.weight[rows] = projection
            attention.k_proj.weight[rows] = projection
        attention.q_proj.bias.zero_()


@torch.no_grad()
def greedy(model: SttModel, mel: Tensor, prompt: list[int], end: int, limit: int = 200) -> list[list[int]]:
    """Token ids of each row after the prompt, without the end token. For measuring while training: no cache."""
    audio = model.encoder(mel)
    tokens = torch.tensor([prompt] * mel.shape[0], device=mel.device)
    done = torch.zeros(mel.shape[0], dtype=torch.bool, device=mel.device)
    for _ in range(limit):
        following = model.decoder(tokens, audio)[:, -1].argmax(-1).masked_fill(done, end)
        tokens = torch.cat([tokens, following[:, None]], dim=1)
        done |= following == end
        if done.all():
            break
    rows = tokens[:, len(prompt):].tolist()
    return [row[: row.index(end)] if end in row else row for row in rows]
