"""A larger Whisper checkpoint that a small model learns from (Hinton et al. 2015; Romero et al. 2015): what its layers make of the
sound, and what it expects as the next piece of text. The pupil's encoder has the teacher's shape, so that its parts can learn one by one."""

from collections import defaultdict
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn

from stt_model import Decoder, Encoder, SttModel
from tokens import SttTokens
from windows import IGNORED, Batch


class Teacher:
    def __init__(self, folder: Path, tokens: SttTokens, device: str, dtype: torch.dtype):
        """folder: of transformers, with its tokenizer.json. Every piece of the pupil has to be one of the teacher's
        (tokens.py --of)."""
        self.model = SttModel.of_folder(folder).to(device, dtype).requires_grad_(False)
        theirs = Tokenizer.from_file(str(folder / "tokenizer.json"))
        first_time = theirs.token_to_id("<|notimestamps|>") + 1
        names = [tokens.tokenizer.id_to_token(i) for i in range(tokens.size)]
        same = {"<|nospeech|>": "<|nocaptions|>"}
        ids = [theirs.token_to_id(name) or theirs.token_to_id(same.get(name, name)) for name in names[: tokens.timestamp_begin]]
        if None in ids:
            raise SystemExit(f"{folder} does not know the piece {names[ids.index(None)]!r}: tokens.py --of {folder / 'tokenizer.json'}")
        ids += range(first_time, first_time + tokens.size - tokens.timestamp_begin)
        embedding = self.model.decoder.embed_tokens
        self.all_pieces, self.ids = embedding.weight, torch.tensor(ids[: tokens.end + 1], device=device)
        embedding.weight = nn.Parameter(embedding.weight[torch.tensor(ids, device=device)], requires_grad=False)  # from here on it counts as the pupil does
        self.dtype = dtype
        self.states: list[Tensor] = []

    def listening(self, pupil: Encoder, mel: Tensor, led: int, apart: bool, trust: Tensor | None = None) -> tuple[dict[str, Tensor], Tensor]:
        """How far every part of the pupil's encoder (the convolutions, each attention, each transformation) is from that part of the
        teacher's, and what the pupil makes of the sound in the end. In the first `led` windows each part gets what the teacher's part
        gets, so that none waits for those below it; in the others what the pupil has made so far, so that it learns to make good what
        is wrong there. apart: no gradient flows from a part to those below it, and attention maps are compared too (Jiao et al. 2020), in
        a quarter of the windows; through several layers their gradient would drown the others. trust: [batch], the
        weight of each window, 1 if not given. self.states becomes what goes into the teacher's layers and what comes out of the last."""
        encoder, maps = self.model.encoder, max(1, len(mel) // 4)
        state = encoder.stem(mel.to(self.dtype))
        self.states = [state]
        own = pupil.stem(mel)
        found = {"stem": distance(own, state, trust)}
        for i, (part, theirs) in enumerate(zip(pupil.layers, encoder.layers)):
            own = given(state, own, led, apart)
            hears, heard = theirs.self_attn_layer_norm(state), part.self_attn_layer_norm(own)
            if apart:
                made, wanted = theirs.self_attn.with_scores(hears)
                seen, scores = part.self_attn.with_scores(heard)
                found[f"map{i}"] = divergence(wanted[:maps], scores[:maps])
            else:
                made = theirs.self_attn(hears)
                seen = part.self_attn(heard)
            own, after = own + seen, state + made
            found[f"attention{i}"] = distance(own, after, trust)
            state = after + theirs.transformed(after)
            own = given(after, own, led, apart)
            own = own + part.transformed(own)
            found[f"transformed{i}"] = distance(own, state, trust)
            self.states.append(state)
        own = pupil.layer_norm(given(state, own, led, apart))
        self.states[-1] = encoder.layer_norm(state)
        found["end"] = distance(own, self.states[-1], trust)
        if 0 < led < len(mel):
            found["end_alone"] = distance(own[led:], self.states[-1][led:])
        return found, own

    def reading(self, pupil: Decoder, audio: Tensor, teachers: Tensor, tokens: Tensor, targets: Tensor, led: int) -> dict[str, Tensor]:
        """As listening apart, of the decoder; audio and teachers: what pupil and teacher make of the sound. And the cross entropy of the
        text, with what was said and with what the teacher expects as the next piece. Nothing if there is hardly any text."""
        decoder, valid = self.model.decoder, (targets != IGNORED).flip(1).cumsum(1).flip(1) > 0
        if valid.sum() < 32:  # too few to tell deviations from
            return {}
        audio = torch.cat([teachers[:led], audio[led:]])
        own, found = pupil.embedded(tokens), defaultdict(list)

        def compare(name: str, seen: Tensor, wanted: Tensor) -> None:
            found[name].append(distance(seen[valid][None], wanted[valid][None]))

        def compare_maps(name: str, wanted: Tensor, scores: Tensor) -> None:  # [batch, heads, length, source]
            found[name].append(divergence(wanted.transpose(1, 2)[valid], scores.transpose(1, 2)[valid]))

        state = decoder.embedded(tokens)
        for i, (part, theirs) in enumerate(zip(pupil.layers, decoder.layers)):
            made, wanted = theirs.self_attn.with_scores(theirs.self_attn_layer_norm(state), causal=True)
            own = given(state, own, led, i > 0)
            seen, scores = part.self_attn.with_scores(part.self_attn_layer_norm(own), causal=True)
            compare_maps("text_maps", wanted, scores)
            own, state = own + seen, state + made
            compare("text_attention", own, state)
            made, wanted = theirs.encoder_attn.with_scores(theirs.encoder_attn_layer_norm(state), teachers)
            own = given(state, own, led, True)
            seen, scores = part.encoder_attn.with_scores(part.encoder_attn_layer_norm(own), audio)
            compare_maps("audio_maps", wanted, scores)
            own, state = own + seen, state + made
            compare("audio_attention", own, state)
            made = theirs.transformed(state)
            own = given(state, own, led, True)
            own, state = own + part.transformed(own), state + made
            compare("text_transformed", own, state)
        losses = {name: torch.stack(each).mean() for name, each in found.items()}
        logits = pupil.logits(given(state, own, led, True)).float()
        losses["said"] = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum") / (targets != IGNORED).sum().clamp(min=1)
        asked = targets != IGNORED
        losses["expected"] = torch.where(asked, unlike(self.likely(state), logits.log_softmax(-1)), 0).sum() / asked.sum().clamp(min=1)
        return losses

    def expected(self, tokens: Tensor) -> Tensor:
        """[batch, length, text pieces and the end]: how likely the teacher holds each to come next in what listening() heard last. Where it
        would say a piece that the pupil does not have, little is left for these, and nothing is to be learned."""
        return self.likely(self.model.decoder.state(tokens, self.states[-1]))

    def likely(self, state: Tensor) -> Tensor:
        """Of what leaves the decoder's last layer, the same."""
        logits = F.linear(self.model.decoder.layer_norm(state), self.all_pieces)
        return (logits.index_select(-1, self.ids).float() - logits.logsumexp(-1, keepdim=True).float()).exp()


def given(teachers: Tensor, own: Tensor, led: int, apart: bool) -> Tensor:
    """What goes into a part of the pupil: the teacher's in the first `led` windows, its own in the others."""
    own = own.detach() if apart else own
    return torch.cat([teachers[:led], own[led:]]) if led else own


def distance(seen: Tensor, wanted: Tensor, trust: Tensor | None = None) -> Tensor:
    """[batch, length, d], both: mean square of what differs, each channel in units of its deviation. About 1 for who knows only
    the mean. trust: [batch], the weight of each row."""
    deviation = wanted[:, :: 1 + wanted.shape[1] // 200].float().std((0, 1))  # some hundred positions tell it well enough
    scale = (deviation + 0.1 * deviation.mean() + 1e-5).reciprocal().to(seen.dtype)
    squares = ((seen - wanted) * scale).square().mean((1, 2), dtype=torch.float32)
    return (squares if trust is None else squares * trust).mean()


def unlike(expected: Tensor, log_probs: Tensor) -> Tensor:
    """[batch, length]: cross entropy of the next piece with what the teacher expects (likely()), in nats."""
    return -(expected * log_probs[..., : expected.shape[-1]]).sum(-1)


def divergence(wanted: Tensor, scores: Tensor) -> Tensor:
    """Kullback and Leibler's, of the softmax of scores from that of wanted; of a query and head, on the average, in nats."""
    log_maps = wanted.log_softmax(-1)
    return (log_maps.exp() * (log_maps - scores.log_softmax(-1))).sum(-1, dtype=torch.float32).mean()
