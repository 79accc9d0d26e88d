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

    def split(self, y: Tensor) -> Tensor:  # [batch, length, d] -> [batch, heads, length, d / heads]
        return y.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, x: Tensor, source: Tensor | None = None, causal: bool = False) -> Tensor:
        return self.dropout(self.attended(x, *self.keys_and_values(x if source is None else source), causal))

    def keys_and_values(self, source: Tensor) -> tuple[Tensor, Tensor]:
        return self.split(self.k_proj(source)), self.split(self.v_proj(source))

    def attended(self, x: Tensor, keys: Tensor, values: Tensor, causal: bool = False) -> Tensor:
        queries = self.split(self.q_proj(x))
        if x.is_cuda or not queries.requires_grad:
            y = F.scaled_dot_product_attention(queries, keys, values, is_causal=causal)
        else:  # on a CPU the gradient of the above takes thrice the time
            y = self.scores(queries, keys, causal).softmax(-1) @ values
        return self.out_proj(y.transpose(1, 2).flatten(-2))

    @staticmethod
    def scores(queries: Tensor, keys: Tensor, causal: bool) -> Tensor:
        scores = (queries * queries.shape[-1] ** -0.5) @ keys.mT
        return scores + torch.full_like(scores[0, 0], -1e4).triu(1) if causal else scores

    def with_scores(self, x: Tensor, source: Tensor | None = None, causal: bool = False) -> tuple[Tensor, Tensor]:
        """As forward, and what its softmax is of: [batch, heads, length, length of the source]."""
        keys, values = self.keys_and_values(x if source is None else source)
        scores = self.scores(self.split(self.q_proj(x)), keys, causal)
        y = scores.softmax(-1) @ values
        return self.out_proj(y.transpose(1, 2).flatten(-2)), scores


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
        return x + self.dropout(self.transformed(x))

    def transformed(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))


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
        return x + self.dropout(self.transformed(x))

    def transformed(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))

    def step(self, x: Tensor, sound: tuple[Tensor, Tensor], past: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The next tokens, given keys and values of the sound and of the tokens before; those of all tokens come back."""
        own = self.self_attn_layer_norm(x)
        keys, values = self.self_attn.keys_and_values(own)
        if past:
            keys, values = torch.cat([past[0], keys], dim=2), torch.cat([past[1], values], dim=2)
        x = x + self.self_attn.attended(own, keys, values, causal=past is None)
        x = x + self.encoder_attn.attended(self.encoder_attn_layer_norm(x), *sound)
        return x + self.transformed(x), (keys, values)


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

    def stem(self, mel: Tensor) -> Tensor:
        x = F.gelu(self.conv2(F.gelu(self.conv1(mel)))).transpose(1, 2)
        return x + self.embed_positions.weight[: x.shape[1]]

    def states(self, mel: Tensor) -> list[Tensor]:
        """What goes into each layer, and what comes out of the last: [batch, frames / 2, d] each."""
        states = [self.stem(mel)]
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
        return self.logits(self.state(tokens, audio))

    def state(self, tokens: Tensor, audio: Tensor) -> Tensor:  # what leaves the last layer: [batch, length, d]
        x = self.embedded(tokens)
        for layer in self.layers:
            x = layer(x, audio)
        return x

    def embedded(self, tokens: Tensor) -> Tensor:
        return self.embed_tokens(tokens) + self.embed_positions.weight[: tokens.shape[1]]

    def logits(self, x: Tensor) -> Tensor:
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
def greedy(model: SttModel, mel: Tensor, prompt: list[int], end: int, limit: int = 200) -> list[tuple[list[int], float]]:
    """Token ids of each row after the prompt, without the end token, and the mean log probability of them and the end."""
    audio, decoder = model.encoder(mel), model.decoder
    sounds = [layer.encoder_attn.keys_and_values(audio) for layer in decoder.layers]
    pasts: list[tuple[Tensor, Tensor] | None] = [None] * len(decoder.layers)
    tokens = torch.tensor([prompt] * mel.shape[0], device=mel.device)
    done = torch.zeros(mel.shape[0], dtype=torch.bool, device=mel.device)
    scores, fresh = torch.zeros(mel.shape[0], device=mel.device), tokens
    for _ in range(limit):
        at = tokens.shape[1] - fresh.shape[1]
        x = decoder.embed_tokens(fresh) + decoder.embed_positions.weight[at: tokens.shape[1]]
        for i, layer in enumerate(decoder.layers):
            x, pasts[i] = layer.step(x, sounds[i], pasts[i])
        logits = decoder.logits(x[:, -1]).float()
        score, following = logits.log_softmax(-1).max(-1)
        scores += score.masked_fill(done, 0)
        fresh = following.masked_fill(done, end)[:, None]
        tokens = torch.cat([tokens, fresh], dim=1)
        done |= fresh[:, 0] == end
        if done.all():
            break
    rows = tokens[:, len(prompt):].tolist()
    texts = [row[: row.index(end)] if end in row else row for row in rows]
    return [(ids, score / (len(ids) + 1)) for ids, score in zip(texts, scores.tolist())]
