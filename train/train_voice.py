"""Trains the voice: transformers' SpeechT5ForTextToSpeech, small, on one teacher voice (synthesize.py --set voice).

Teacher forcing; L1 before and after the postnet and the stop loss are the model's own. Attention is guided by what the teacher says
about its phones, which tells it in a few hundred steps what a diagonal takes thousands for. Restartable.
    python train_voice.py --corpus CORPUS --data DATA --run RUN --minutes 90          train
    python train_voice.py --run RUN --export OUT                                      write the checkpoint as transformers does
"""

import dataclasses
import time
from pathlib import Path

import numpy as np
import sentencepiece
import torch
from torch import Tensor, nn
from transformers import SpeechT5Config, SpeechT5FeatureExtractor, SpeechT5ForTextToSpeech

import alignment
import features
import sentences
from features import VOICE_HOP
from shards import Utterances
from voice_run import Run, options_parser
from windows import IGNORED

SPEAKER_DIM = 16
FRAMES_A_STEP = 2
SIZE = {"hidden_size": 192, "encoder_layers": 4, "encoder_attention_heads": 4, "encoder_ffn_dim": 768, "decoder_layers": 4,
        "decoder_attention_heads": 4, "decoder_ffn_dim": 768, "speech_decoder_prenet_units": 128,
        "speech_decoder_postnet_units": 160, "encoder_max_relative_position": 64, "max_text_positions": 300,
        "max_speech_positions": 1200, "speaker_embedding_dim": SPEAKER_DIM, "encoder_layerdrop": 0.0, "decoder_layerdrop": 0.0}
# The teacher never says a sentence in two ways and there is more of it than is ever seen: only the prenet drops anything.
NO_DROPOUT = {"hidden_dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0, "positional_dropout": 0.0,
              "speech_decoder_postnet_dropout": 0.0, "use_guided_attention_loss": False}
GUIDED_HEADS = 2  # of each layer
LETTERS_OFF = 1.2  # standard deviation of where guided attention may look
GUIDANCE = 4.0  # its weight
PHONES = 0.3  # the weight of knowing the phones
READING = 300  # letters a step that the text encoder practises on alone
# What the decoder is given of its past, so that it reads instead of humming on: this share of the steps (from, to; of each sentence
# its own) is replaced by the mean, the others get noise, in deviations.
STEPS_HIDDEN = (0.0, 0.6)
NOISE = 0.3


def train_tokenizer(corpus: Path, folder: Path) -> None:
    """A character vocabulary like SpeechT5's: <s> 0, <pad> 1, </s> 2, <unk> 3."""
    texts = list(sentences.lj_sentences(corpus).values()) + sentences.own_sentences(2000, 6)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_prefix=str(folder / "spm_char"), model_type="char", vocab_size=80,
        hard_vocab_limit=False, character_coverage=1.0, bos_id=0, pad_id=1, eos_id=2, unk_id=3,
        normalization_rule_name="nmt_nfkc", minloglevel=2)


def speaker() -> Tensor:
    """The one voice: any constant unit vector."""
    return torch.full((SPEAKER_DIM,), SPEAKER_DIM ** -0.5)


@dataclasses.dataclass
class Lesson:
    """What the teacher says about one sentence."""
    places: np.ndarray        # [steps] the token that is heard in the middle of each decoder step, float
    step_phones: np.ndarray   # [steps] the phone that is heard there, as its place in alignment.PHONES
    token_phones: np.ndarray  # [tokens] the phone that each token stands for; 0: none


def lesson(text: str, phones: list[tuple[str, float]], steps: int) -> Lesson:
    known = [alignment.PHONES.index(name) if name in alignment.PHONES else 0 for name, _ in phones]
    paired = alignment.pairs(text, phones)
    middles = (np.arange(steps) + 0.5) * FRAMES_A_STEP * VOICE_HOP / features.RATE
    # Token 0 is the mark of a word's beginning, token i + 1 the letter i, then comes </s>.
    letter_ends = np.concatenate([[0.0], alignment.letter_times(paired, len(text), phones)])
    places = np.interp(middles, letter_ends, np.arange(len(letter_ends)) + 0.5, right=len(letter_ends))
    heard = np.searchsorted([end for _, end in phones], middles).clip(max=len(phones) - 1)
    token_phones = np.zeros(len(text) + 2, np.int64)
    for phone, letter in paired:
        token_phones[letter + 1] = known[phone]
    return Lesson(places.astype(np.float32), np.array(known)[heard], token_phones)


@dataclasses.dataclass
class Batch:
    tokens: Tensor        # [batch, tokens]
    mask: Tensor          # [batch, tokens]
    labels: Tensor        # [batch, frames, 80]; -100 beyond the end
    places: Tensor        # [batch, steps] as in Lesson; -1 beyond the end
    step_phones: Tensor   # [batch, steps]; -100 beyond the end
    token_phones: Tensor  # [batch, tokens]; -100 beyond the end

    def to(self, device: str) -> "Batch":
        return Batch(*(getattr(self, field.name).to(device) for field in dataclasses.fields(self)))


def padded(parts: list, value: float) -> Tensor:
    """Rows of different lengths as one tensor."""
    return nn.utils.rnn.pad_sequence([torch.as_tensor(part) for part in parts], batch_first=True, padding_value=value)


class VoiceBatches:
    """Random batches of sentences of like length."""

    def __init__(self, data: Path, pieces: sentencepiece.SentencePieceProcessor, seed: int):
        self.data, self.pieces, self.rng = data, pieces, np.random.default_rng(seed)
        self.lessons: dict[int, Lesson] = {}
        self.look_for_shards()

    def look_for_shards(self) -> None:
        self.utterances, self.looked = Utterances(self.data, ["voice"]), time.time()
        self.by_length = np.argsort([self.utterances.row(i)["samples"] for i in range(len(self.utterances))], kind="stable")

    def lesson(self, i: int) -> Lesson:
        if i not in self.lessons:
            row = self.utterances.row(i)
            frames = 1 + row["samples"] // VOICE_HOP
            self.lessons[i] = lesson(row["text"], row["phones"], frames // FRAMES_A_STEP)
        return self.lessons[i]

    def batch(self, seconds: float, shortest: float = 1.0) -> Batch:
        """Of the shortest share of the sentences."""
        if time.time() - self.looked > 120:
            self.look_for_shards()
        at = self.rng.integers(max(1, int(shortest * len(self.by_length))))
        longest = self.utterances.row(int(self.by_length[min(at + 8, len(self.by_length) - 1)]))["samples"] / features.RATE
        rows = [int(i) for i in self.by_length[at: at + max(1, int(seconds / longest))]]
        ids = [self.pieces.encode(self.utterances.row(i)["text"]) + [2] for i in rows]
        mels = [features.voice_mel(torch.from_numpy(self.utterances.audio(i))[None])[0] for i in rows]
        mels = [mel[: len(mel) // FRAMES_A_STEP * FRAMES_A_STEP] for mel in mels]
        lessons = [self.lesson(i) for i in rows]

        tokens = padded(ids, 1)
        token_phones = padded([of.token_phones for of in lessons], IGNORED)
        if token_phones.shape != tokens.shape:  # a text with characters that the vocabulary writes otherwise
            token_phones = torch.full_like(tokens, IGNORED)
        return Batch(tokens, (tokens != 1).long(), padded(mels, IGNORED), padded([of.places for of in lessons], -1),
                     padded([of.step_phones for of in lessons], IGNORED), token_phones)

    def reading(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens, mask and phones, as in Batch, of sentences of like length that have about this many tokens."""
        at = int(self.rng.integers(len(self.by_length)))
        text = self.utterances.row(int(self.by_length[at]))["text"]
        rows = [int(i) for i in self.by_length[at: at + max(1, count // len(text))]]
        parts = []
        for i in rows:
            row = self.utterances.row(i)
            ids = self.pieces.encode(row["text"]) + [2]
            phones = self.lesson(i).token_phones
            if len(ids) == len(phones):
                parts.append((ids, phones))
        tokens = padded([ids for ids, _ in parts], 1)
        return tokens, (tokens != 1).long(), padded([phones for _, phones in parts], IGNORED)

    def mel_statistics(self) -> tuple[Tensor, Tensor]:
        labels = self.batch(300).labels
        frames = labels[labels[..., 0] != IGNORED]
        return frames.mean(0), frames.std(0)


def guided_attention_loss(cross_attentions: tuple[Tensor, ...], places: Tensor) -> Tensor:
    """How much the guided heads look away from the letter that is being said (after Tachibana et al. 2018).

    cross_attentions: [batch, heads, steps, tokens] a layer; places: [batch, steps], -1 where nothing is said."""
    looked = torch.stack([layer[:, :GUIDED_HEADS].float().mean(1) for layer in cross_attentions]).mean(0)
    away = torch.arange(looked.shape[-1], device=looked.device) - places[..., None]
    wrong = (1 - torch.exp(-(away ** 2) / (2 * LETTERS_OFF ** 2))) * looked
    return wrong.sum(-1)[places >= 0].mean()


def reading_loss(model: SpeechT5ForTextToSpeech, heads: nn.ModuleDict, tokens: Tensor, mask: Tensor, phones: Tensor) -> Tensor:
    """The text encoder alone: many more letters for the same time than there are in what the decoder learns from."""
    known = model.speecht5.encoder(input_values=tokens, attention_mask=mask).last_hidden_state
    return nn.functional.cross_entropy(heads["tokens"](known).transpose(1, 2).float(), phones, ignore_index=IGNORED)


def phone_loss(heads: nn.ModuleDict, out, batch: Batch) -> Tensor:
    """The text encoder is to know how each letter is spoken, the decoder which phone it is saying: by heads that are not exported."""
    by_token = heads["tokens"](out.encoder_last_hidden_state).transpose(1, 2)
    by_step = heads["steps"](out.decoder_hidden_states[-1]).transpose(1, 2)
    return (nn.functional.cross_entropy(by_token.float(), batch.token_phones, ignore_index=IGNORED)
            + nn.functional.cross_entropy(by_step.float(), batch.step_phones, ignore_index=IGNORED))


def blurred_past(labels: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """[batch, frames, 80] -> [batch, steps, 80] what the decoder is given: the last frame of the step before, blurred, 0 at first."""
    past = labels[:, FRAMES_A_STEP - 1::FRAMES_A_STEP]
    past = past + NOISE * deviation * torch.randn_like(past)
    hidden = torch.empty(len(past), 1, 1, device=past.device).uniform_(*STEPS_HIDDEN)
    past = torch.where(torch.rand_like(past[..., :1]) < hidden, mean, past)
    past = past.masked_fill(labels[:, FRAMES_A_STEP - 1::FRAMES_A_STEP] == IGNORED, 0)
    return nn.functional.pad(past[:, :-1], (0, 0, 1, 0))


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


def export(model: SpeechT5ForTextToSpeech, run: Path, out: Path) -> None:
    model.config.use_guided_attention_loss = True  # whoever speaks may watch these heads
    model.config.guided_attention_loss_num_heads = GUIDED_HEADS
    model.half().save_pretrained(out)
    SpeechT5FeatureExtractor().save_pretrained(out)
    (out / "spm_char.model").write_bytes((run / "spm_char.model").read_bytes())
    (out / "README.md").write_text("---\nlicense: Apache-2.0\n---\n")
    (out / "voices").mkdir(exist_ok=True)
    np.save(out / "voices" / "slt.npy", speaker().numpy())


def main() -> None:
    arguments = options_parser(lr=8e-4)
    arguments.add_argument("--corpus", type=Path)
    arguments.add_argument("--batch-seconds", type=float, default=48)
    options = arguments.parse_args()
    run = Run(options, "voice")
    if not (options.run / "spm_char.model").exists():
        train_tokenizer(options.corpus, options.run)
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(options.run / "spm_char.model"))
    config = SpeechT5Config(vocab_size=len(pieces), reduction_factor=FRAMES_A_STEP, initializer_range=0.06, **SIZE, **NO_DROPOUT)
    config._attn_implementation = "eager"  # the loss reads attention
    model = SpeechT5ForTextToSpeech(config)
    if options.export:
        run.restore(model=model)
        return export(model, options.run, options.export)

    batches = VoiceBatches(options.data, pieces, run.data_seed)
    mean, deviation = (tensor.to(run.device) for tensor in batches.mel_statistics())
    start_from_statistics(model, mean.cpu(), deviation.cpu())
    heads = nn.ModuleDict({name: nn.Linear(SIZE["hidden_size"], len(alignment.PHONES)) for name in ("tokens", "steps")})
    whole = nn.ModuleDict({"voice": model, "heads": heads}).to(run.device).train()
    optimizer = torch.optim.AdamW(whole.parameters(), lr=options.lr, betas=(0.9, 0.98), weight_decay=0.01)
    parts = {"model": model, "heads": heads, "optimizer": optimizer}
    run.restore(**parts)
    for step in run.steps(**parts):
        shortest = min(1.0, 0.3 + 4 * run.share_done())  # attention learns to read on short sentences
        batch = batches.batch(options.batch_seconds, shortest).to(run.device)
        for group in optimizer.param_groups:
            group["lr"] = options.lr * min(1, (step + 1) / 400) * max(0.02, 1 - run.share_done())
        with torch.autocast(run.device, torch.bfloat16, enabled=run.device == "cuda"):
            out = model(input_ids=batch.tokens, attention_mask=batch.mask, labels=batch.labels, output_attentions=True,
                        output_hidden_states=True, decoder_input_values=blurred_past(batch.labels, mean, deviation),
                        speaker_embeddings=speaker().to(run.device).expand(len(batch.tokens), -1))
            guided = guided_attention_loss(out.cross_attentions, batch.places)
            phones = phone_loss(heads, out, batch)
            reading = reading_loss(model, heads, *(tensor.to(run.device) for tensor in batches.reading(READING)))
        (out.loss + GUIDANCE * guided + PHONES * phones + reading).backward()
        nn.utils.clip_grad_norm_(whole.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        run.log(loss=out.loss.item(), guided=guided.item(), phones=phones.item(), reading=reading.item())


if __name__ == "__main__":
    main()
