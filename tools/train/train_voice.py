"""Trains the voice: transformers' SpeechT5ForTextToSpeech, small, on one teacher voice (synthesize.py --set voice).

Teacher forcing; L1 before and after the postnet and the stop loss are the model's own. Attention is guided by what the teacher says
about its phones, which tells it in a few hundred steps what a diagonal takes thousands for. Restartable.
    python train_voice.py --data DATA --run RUN --minutes 90          train
    python train_voice.py --run RUN --slim OUT                        the checkpoint without what only training needs, to carry it
    python train_voice.py --run RUN --export OUT                      write the checkpoint as transformers does
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import sentencepiece
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import SpeechT5Config, SpeechT5FeatureExtractor, SpeechT5ForTextToSpeech

import alignment
import features
from features import VOICE_HOP
from shards import Utterances
from voice_run import Run, options_parser, stage_tensors

SPEAKER_DIM = 16
FRAMES_A_STEP = 2
SIZE = {"hidden_size": 192, "encoder_layers": 4, "encoder_attention_heads": 4, "encoder_ffn_dim": 768, "decoder_layers": 4,
        "decoder_attention_heads": 4, "decoder_ffn_dim": 768, "speech_decoder_prenet_units": 128,
        "speech_decoder_postnet_units": 160, "encoder_max_relative_position": 64, "max_text_positions": 300, "learned_size": 160, "letter_names": True,
        "max_speech_positions": 1200, "speaker_embedding_dim": SPEAKER_DIM, "encoder_layerdrop": 0.0, "decoder_layerdrop": 0.0}
# The teacher never says a sentence in two ways and there is more of it than is ever seen: only the prenet drops anything.
NO_DROPOUT = {"hidden_dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0, "positional_dropout": 0.0,
              "speech_decoder_postnet_dropout": 0.0, "use_guided_attention_loss": False}
GUIDED_HEADS = 2  # of each layer
LETTERS_OFF = 1.2  # standard deviation of where guided attention may look
GUIDANCE = 4.0  # its weight
PHONES = 0.3  # the weight of the decoder knowing the phone that it says
LETTERS = 1.0  # the weight of the text encoder knowing the phone that each letter stands for
STOP_WEIGHT = 5.0  # of the one frame that is the last, as in SpeechT5's loss
IGNORED = -100  # a label that no loss reads
# What the decoder is given of its past, so that it reads instead of humming on: a share of the steps (up to so much, at first and at
# last; of each sentence its own) is replaced by the mean; the others get noise, in deviations, or what the model itself says there
# (up to this share of them at last), which is what it will be given when it speaks.
HIDDEN = (0.6, 0.35)
NOISE = (0.3, 0.15)
OWN = (0.0, 0.9)
WARM_UP = 500  # steps


def train_tokenizer(texts: list[str], folder: Path) -> None:
    """A character vocabulary like SpeechT5's: <s> 0, <pad> 1, </s> 2, <unk> 3."""
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_prefix=str(folder / "spm_char"), model_type="char", vocab_size=80,
        hard_vocab_limit=False, character_coverage=1.0, bos_id=0, pad_id=1, eos_id=2, unk_id=3,
        normalization_rule_name="nmt_nfkc", minloglevel=2)


def speaker(device: torch.device | str = "cpu") -> Tensor:
    """The one voice: any constant unit vector."""
    return torch.full((SPEAKER_DIM,), SPEAKER_DIM ** -0.5, device=device)


@dataclasses.dataclass
class Lesson:
    """What the teacher says about one sentence."""
    places: np.ndarray        # [steps] the token that is heard in the middle of each decoder step, float
    step_phones: np.ndarray   # [steps] the phone that is heard there, as its place in alignment.PHONES
    token_phones: np.ndarray  # [tokens] the phone that each token stands for; 0: none


def lesson(paired: np.ndarray, phones: list[tuple[str, float]], steps: int) -> Lesson:
    """paired: as alignment.pairs has it."""
    known, ends = alignment.numbers(phones), np.array([end for _, end in phones])
    middles = (np.arange(steps) + 0.5) * FRAMES_A_STEP * VOICE_HOP / features.RATE
    # Token 0 is the mark of a word's beginning, token i + 1 the letter i, then comes </s>.
    letter_ends = np.concatenate([[0.0], alignment.letter_times(paired, phones)])
    places = np.interp(middles, letter_ends, np.arange(len(letter_ends)) + 0.5, right=len(letter_ends))
    heard = np.searchsorted(ends, middles).clip(max=len(phones) - 1)
    token_phones = np.concatenate([[0], np.where(paired >= 0, known[paired], 0), [0]])
    return Lesson(places.astype(np.float32), known[heard].astype(np.int16), token_phones.astype(np.int16))


def lessons(rows: list[dict], steps: np.ndarray) -> list[Lesson]:
    """Texts of like length are aligned together."""
    found: dict[int, Lesson] = {}
    for some in np.array_split(np.argsort([len(row["text"]) for row in rows], kind="stable"), -(-len(rows) // 256)):
        paired = alignment.pairs([rows[i]["text"] for i in some], [alignment.numbers(rows[i]["phones"]) for i in some])
        found.update((i, lesson(of, rows[i]["phones"], steps[i])) for i, of in zip(some.tolist(), paired))
    return [found[i] for i in range(len(rows))]


def mels_of(utterances: Utterances, device: str) -> tuple[Tensor, np.ndarray]:
    """voice_mel of every utterance, back to back: [frames, 80] as f16, and the first frame of each. Many are transformed at once: each
    is laid with the mirrored ends that voice_mel would give it, so that its frames fall on the hop's grid; 3 frames after it are void."""
    mels, first, done = [], [], 0
    for begin in range(0, len(utterances), 256):
        parts = []
        for i in range(begin, min(begin + 256, len(utterances))):
            audio = utterances.audio(i)
            first.append(done + 2)
            frames = 1 + len(audio) // VOICE_HOP
            done += frames + 3
            parts.append(np.pad(audio, 2 * VOICE_HOP, mode="reflect")[: (frames + 3) * VOICE_HOP])
        sound = torch.from_numpy(np.concatenate(parts)).to(device)
        mels.append(features.voice_mel(sound[None])[0, :-1].half())
    return torch.cat(mels), np.array(first)


@dataclasses.dataclass
class Batch:
    tokens: Tensor        # [batch, tokens]
    known: Tensor         # [batch, tokens] bool: not beyond the end
    labels: Tensor        # [batch, frames, 80]
    said: Tensor          # [batch, steps] bool: not beyond the end
    places: Tensor        # [batch, steps] as in Lesson
    step_phones: Tensor   # [batch, steps]; -100 beyond the end
    token_phones: Tensor  # [batch, tokens]; -100 beyond the end


class VoiceBatches:
    """All sentences on the device, so that a batch is a few gathers; batches of like length in random order, each sentence once in a
    round."""

    def __init__(self, utterances: Utterances, pieces: sentencepiece.SentencePieceProcessor, device: str, seed: int):
        rows = [utterances.row(i) for i in range(len(utterances))]
        self.device, self.rng = device, np.random.default_rng(seed)
        self.steps = np.array([(1 + row["samples"] // VOICE_HOP) // FRAMES_A_STEP for row in rows])
        taught = lessons(rows, self.steps)
        ids = [pieces.encode(row["text"]) + [2] for row in rows]
        # A text with characters that the vocabulary writes otherwise teaches nothing about its letters.
        phones = [of.token_phones if len(of.token_phones) == len(its) else np.full(len(its), IGNORED) for of, its in zip(taught, ids)]
        self.letters = np.array([len(its) for its in ids])

        def stored(parts: list) -> Tensor:
            return torch.from_numpy(np.concatenate(parts)).to(device)

        self.mels, first_frame = mels_of(utterances, device)
        self.tokens, self.token_phones = stored([np.array(its, np.int64) for its in ids]), stored(phones).long()
        self.places = stored([of.places for of in taught])
        self.step_phones = stored([of.step_phones for of in taught]).long()
        facts = [first_frame, np.cumsum(self.steps) - self.steps, self.steps, np.cumsum(self.letters) - self.letters, self.letters]
        self.facts = torch.from_numpy(np.stack(facts)).to(device)

    def round(self, seconds: float, shortest: float = 1.0) -> Iterator[np.ndarray]:
        """Rows of each batch: the shortest share of the sentences, each once."""
        lengths = self.steps * self.rng.uniform(0.93, 1.07, len(self.steps))
        order = np.argsort(lengths)[: max(1, int(shortest * len(lengths)))]
        limit = max(self.steps.max(), int(seconds * features.RATE / VOICE_HOP / FRAMES_A_STEP))
        batches, begin, longest = [], 0, 0
        for end, steps in enumerate(self.steps[order]):
            longest = max(longest, steps)
            if longest * (end + 1 - begin) > limit:
                batches.append(order[begin: end])
                begin, longest = end, steps
        batches.append(order[begin:])
        for i in self.rng.permutation(len(batches)):
            yield batches[i]

    def batch(self, rows: np.ndarray) -> Batch:
        steps, letters = int(self.steps[rows].max()), int(self.letters[rows].max())
        chosen = torch.from_numpy(rows)
        if self.device == "cuda":
            chosen = chosen.pin_memory().to(self.device, non_blocking=True)
        first_frame, first_step, steps_of, first_token, letters_of = self.facts[:, chosen, None]
        letter, step, frame = (torch.arange(n, device=self.device) for n in (letters, steps, steps * FRAMES_A_STEP))
        known, said = letter < letters_of, step < steps_of
        at_token = (first_token + letter).clamp(max=len(self.tokens) - 1)
        at_step = (first_step + step).clamp(max=len(self.places) - 1)
        at_frame = (first_frame + frame).clamp(max=len(self.mels) - 1)
        return Batch(self.tokens[at_token].masked_fill(~known, 1), known, self.mels[at_frame].float(), said, self.places[at_step],
                     self.step_phones[at_step].masked_fill(~said, IGNORED), self.token_phones[at_token].masked_fill(~known, IGNORED))

    def mel_statistics(self) -> tuple[Tensor, Tensor]:
        frames = self.mels[torch.randint(len(self.mels), (20000,), device=self.device)].float()
        return frames.mean(0), frames.std(0)


def new_model(letters: int) -> SpeechT5ForTextToSpeech:
    return SpeechT5ForTextToSpeech(
        SpeechT5Config(vocab_size=letters, reduction_factor=FRAMES_A_STEP, initializer_range=0.06, **SIZE, **NO_DROPOUT))


def barred(allowed: Tensor) -> Tensor:
    """What attention adds: nothing, or far below everything."""
    return torch.zeros(allowed.shape, device=allowed.device).masked_fill(~allowed, -3e4)


def encode(model: SpeechT5ForTextToSpeech, tokens: Tensor, known: Tensor) -> Tensor:
    """What model.speecht5.encoder does, without its copies from the host."""
    encoder = model.speecht5.encoder.wrapped_encoder
    states = encoder.layer_norm(model.speecht5.encoder.prenet(tokens))
    places = torch.arange(tokens.shape[1], device=tokens.device)
    farthest = encoder.embed_positions.max_length
    bias = encoder.embed_positions.pe_k((places[:, None] - places).clamp(-farthest, farthest - 1) + farthest)
    mask = barred(known[:, None, None].expand(-1, 1, len(places), -1))
    for layer in encoder.layers:
        states = layer(states, attention_mask=mask, position_bias=bias)[0]
    return states


def decode(model: SpeechT5ForTextToSpeech, encoded: Tensor, known: Tensor, past: Tensor) -> tuple[Tensor, list[Tensor]]:
    """What model.speecht5.decoder does: states, and where each layer looks [batch, heads, steps, tokens]."""
    batch, steps, _ = past.shape
    states = model.speecht5.decoder.prenet(past, speaker(past.device).expand(batch, -1))
    causal = barred(torch.ones(steps, steps, dtype=torch.bool, device=past.device).tril()).expand(batch, 1, -1, -1)
    reach, looked = barred(known[:, None, None].expand(-1, 1, steps, -1)), []
    for layer in model.speecht5.decoder.wrapped_decoder.layers:
        states, _, there = layer(states, causal, encoded, encoder_attention_mask=reach, output_attentions=True, use_cache=False)
        looked.append(there)
    return states, looked


def mean_of(values: Tensor, chosen: Tensor) -> Tensor:
    """The mean where `chosen` is, which may lack trailing dimensions: no wait for the device, as indexing would be."""
    each = values.flatten(chosen.dim()).mean(-1) if values.dim() > chosen.dim() else values
    return torch.where(chosen, each, 0).sum() / chosen.sum()


def guided_attention_loss(looked: list[Tensor], places: Tensor, said: Tensor) -> Tensor:
    """How much the guided heads look away from the letter that is being said (after Tachibana et al. 2018).

    looked: as decode has it; places, said: as Batch has them."""
    mean = torch.stack([layer[:, :GUIDED_HEADS].float().mean(1) for layer in looked]).mean(0)
    away = torch.arange(mean.shape[-1], device=mean.device) - places[..., None]
    wrong = (1 - torch.exp(-(away ** 2) / (2 * LETTERS_OFF ** 2))) * mean
    return mean_of(wrong.sum(-1), said)


def phone_loss(head: nn.Linear, states: Tensor, phones: Tensor) -> Tensor:
    return F.cross_entropy(head(states).flatten(0, 1).float(), phones.flatten(), ignore_index=IGNORED)


def spoken_loss(model: SpeechT5ForTextToSpeech, states: Tensor, batch: Batch) -> Tensor:
    """What SpeechT5SpectrogramLoss is: L1 before and after the postnet, and when to stop."""
    before, after, stop = model.speech_decoder_postnet(states)
    said = batch.said.repeat_interleave(FRAMES_A_STEP, 1)
    last = said & ~F.pad(said[:, 1:], (0, 1))
    weight = torch.where(last, STOP_WEIGHT, 1.0)
    stopped = F.binary_cross_entropy_with_logits(stop.float(), last.float(), reduction="none") * weight
    return mean_of((before.float() - batch.labels).abs() + (after.float() - batch.labels).abs(), said) + mean_of(stopped, said)


def own_words(model: SpeechT5ForTextToSpeech, states: Tensor) -> Tensor:
    """[batch, steps, 80] the last frame of each step, as the decoder is given it when it speaks."""
    return model.speech_decoder_postnet.feat_out(states).unflatten(-1, (FRAMES_A_STEP, -1))[:, :, -1].float()


def blurred_past(past: Tensor, said: Tensor, mean: Tensor, deviation: Tensor, hidden: float, noise: float) -> Tensor:
    """[batch, steps, 80] -> the same, what the decoder is given: the last frame of the step before, blurred, 0 at first."""
    past = past + noise * deviation * torch.randn_like(past)
    share = torch.empty(len(past), 1, 1, device=past.device).uniform_(0, hidden)
    past = torch.where(torch.rand_like(past[..., :1]) < share, mean, past)
    past = past.masked_fill(~said[..., None], 0)
    return F.pad(past[:, :-1], (0, 0, 1, 0))


def start_from_statistics(model: SpeechT5ForTextToSpeech, mean: Tensor, deviation: Tensor) -> None:
    """The first layer sees mels of mean 0 and deviation 1, the last one predicts the mean, letters are as loud as positions: no step is
    spent on the scale."""
    nn.init.normal_(model.speecht5.encoder.prenet.embed_tokens.weight, std=0.5)
    first = model.speecht5.decoder.prenet.layers[0]
    last = model.speech_decoder_postnet.feat_out
    with torch.no_grad():
        first.weight.div_(deviation)
        first.bias.sub_(first.weight @ mean)
        last.bias.copy_(mean.repeat(FRAMES_A_STEP))


def start_from_model(model: SpeechT5ForTextToSpeech, folder: Path) -> None:
    """The text encoder and the mel decoder of a converted model. Its postnet has the norms folded into the convolutions: they become
    the identity here, and learn on."""
    wanted, found = model.state_dict(), {}

    def place(stage: str, prefixes: list[tuple[str, str]]) -> None:
        for name, tensor in stage_tensors(folder / stage).items():
            name = next(target for prefix, target in prefixes if name.startswith(prefix)) + name.removeprefix("postnet.")
            found[name] = tensor.reshape(wanted[name].shape) if name in wanted else tensor

    place("text_encoder", [("embed_tokens", "speecht5.encoder.prenet."), ("encode_positions", "speecht5.encoder.prenet."),
                           ("", "speecht5.encoder.wrapped_encoder.")])
    place("mel_decoder", [("prenet", "speecht5.decoder."), ("layers", "speecht5.decoder.wrapped_decoder."), ("", "speech_decoder_postnet.")])
    for name in [name for name in found if name.endswith(".conv.bias")]:
        norm = name.removesuffix("conv.bias") + "batch_norm."
        bias = found.pop(name)
        found |= {norm + "bias": bias, norm + "weight": torch.ones_like(bias), norm + "running_mean": torch.zeros_like(bias),
                  norm + "running_var": torch.ones_like(bias)}
    missing, unexpected = model.load_state_dict(found, strict=False)
    left = [name for name in missing if not name.endswith(("num_batches_tracked", ".pe"))]
    if left or unexpected:
        raise SystemExit(f"{folder} is of another shape: {left[:3]} {unexpected[:3]}")


def export(model: SpeechT5ForTextToSpeech, run: Path, out: Path) -> None:
    model.config.use_guided_attention_loss = True  # whoever speaks may watch these heads
    model.config.guided_attention_loss_num_heads = GUIDED_HEADS
    model.half().save_pretrained(out)
    SpeechT5FeatureExtractor().save_pretrained(out)
    (out / "spm_char.model").write_bytes((run / "spm_char.model").read_bytes())
    (out / "README.md").write_text("---\nlicense: Apache-2.0\n---\n")
    (out / "voices").mkdir(exist_ok=True)
    np.save(out / "voices" / "slt.npy", speaker().numpy())


@torch.no_grad()
def spoken_mels(run: Path, utterances: Utterances, device: str) -> list[Tensor]:
    """[frames, 80], in f16, what a run's model says of each utterance in the teacher's time: its past is what it says itself, found in
    a few passes that begin with the teacher's."""
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(run / "spm_char.model"))
    model = new_model(len(pieces))
    model.load_state_dict(torch.load(run / "voice.pt", map_location="cpu", weights_only=True)["model"])
    model.to(device).eval()
    batches = VoiceBatches(utterances, pieces, device, seed=0)
    still, mels = torch.zeros(80, device=device), {}
    for rows in batches.round(100):
        batch = batches.batch(rows)
        encoded, past = encode(model, batch.tokens, batch.known), batch.labels[:, FRAMES_A_STEP - 1::FRAMES_A_STEP]
        for _ in range(3):
            states, _ = decode(model, encoded, batch.known, blurred_past(past, batch.said, still, still, hidden=0, noise=0))
            past = own_words(model, states)
        after = model.speech_decoder_postnet(states)[1].half().cpu()
        mels.update((row, mel[: batches.steps[row] * FRAMES_A_STEP]) for row, mel in zip(rows.tolist(), after))
    return [mels[row] for row in range(len(utterances))]


def slim(run: Run, out: Path) -> None:
    """A checkpoint in f16 without the optimizer: enough to export, and to go on from."""
    out.mkdir(parents=True, exist_ok=True)
    parts = {name: {key: value.half() if value.is_floating_point() else value for key, value in run.state[name].items()}
             for name in ("model", "heads")}
    torch.save({**parts, "step": run.step, "seconds": run.seconds}, out / run.path.name)
    (out / "spm_char.model").write_bytes((run.path.parent / "spm_char.model").read_bytes())


def main() -> None:
    arguments = options_parser(lr=1e-3)
    arguments.add_argument("--batch-seconds", type=float, default=48)
    arguments.add_argument("--slim", type=Path)
    arguments.add_argument("--start-from", type=Path, help="a converted model of this shape, to go on from; its vocabulary is taken, too")
    options = arguments.parse_args()
    run = Run(options, "voice")
    if options.slim:
        return slim(run, options.slim)
    utterances = Utterances(options.data, ["voice"]) if options.data else None
    if options.start_from and not (options.run / "spm_char.model").exists():
        (options.run / "spm_char.model").write_bytes((options.start_from / "spm_char.model").read_bytes())
    if not (options.run / "spm_char.model").exists():
        train_tokenizer([utterances.row(i)["text"] for i in range(len(utterances))], options.run)
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(options.run / "spm_char.model"))
    model = new_model(len(pieces))
    if options.export:
        run.restore(model=model)
        return export(model, options.run, options.export)

    batches = VoiceBatches(utterances, pieces, run.device, run.data_seed)
    mean, deviation = batches.mel_statistics()
    if options.start_from:
        start_from_model(model, options.start_from)
    else:
        start_from_statistics(model, mean.cpu(), deviation.cpu())
    heads = nn.ModuleDict({name: nn.Linear(SIZE["hidden_size"], len(alignment.PHONES)) for name in ("tokens", "steps")})
    whole = nn.ModuleDict({"voice": model, "heads": heads}).to(run.device).train()
    if options.start_from:
        model.speech_decoder_postnet.eval()  # its norms are what they are
    optimizer = torch.optim.AdamW(whole.parameters(), lr=options.lr, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    parts = {"model": model, "heads": heads, "optimizer": optimizer}
    run.restore(**parts)

    def autocast() -> torch.autocast:  # one for each pass: what is cast without a gradient is not kept for one with
        return torch.autocast(run.device, torch.bfloat16, enabled=run.device == "cuda")

    def at(bounds: tuple[float, float]) -> float:
        return bounds[1] if options.start_from else bounds[0] + (bounds[1] - bounds[0]) * run.share_done()

    rounds = iter(())
    for step in run.steps(**parts):
        rows = next(rounds, None)
        if rows is None:  # attention learns to read on short sentences
            shortest = 1.0 if options.start_from else min(1.0, 0.3 + 4 * run.share_done())
            rounds = batches.round(options.batch_seconds, shortest)
            rows = next(rounds)
        batch = batches.batch(rows)
        for group in optimizer.param_groups:
            group["lr"] = options.lr * min(1, (step + 1) / WARM_UP) * max(0.01, 1 - run.share_done())
        past = batch.labels[:, FRAMES_A_STEP - 1::FRAMES_A_STEP]
        blur = {"mean": mean, "deviation": deviation, "hidden": at(HIDDEN), "noise": at(NOISE)}
        with autocast():
            encoded = encode(model, batch.tokens, batch.known)
        if run.share_done() > 0.2 or options.start_from:
            with torch.no_grad(), autocast():
                said = own_words(model, decode(model, encoded, batch.known, blurred_past(past, batch.said, **blur))[0])
                share = torch.empty(len(said), 1, 1, device=said.device).uniform_(0, at(OWN))
                past = torch.where(torch.rand_like(said[..., :1]) < share, said, past)
        with autocast():
            states, looked = decode(model, encoded, batch.known, blurred_past(past, batch.said, **blur))
            spoken = spoken_loss(model, states, batch)
            guided = guided_attention_loss(looked, batch.places, batch.said)
            letters = phone_loss(heads["tokens"], encoded, batch.token_phones)
            phones = phone_loss(heads["steps"], states, batch.step_phones)
        (spoken + GUIDANCE * guided + PHONES * phones + LETTERS * letters).backward()
        nn.utils.clip_grad_norm_(whole.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        run.log(loss=spoken, guided=guided, letters=letters, phones=phones)


if __name__ == "__main__":
    main()
