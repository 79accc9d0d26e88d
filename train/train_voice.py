"""Trains the voice: transformers' SpeechT5ForTextToSpeech, small, on one teacher voice (synthesize.py --set voice).

Teacher forcing; L1 before and after the postnet and the stop loss are the model's own. Attention is guided by what the teacher says
about its phones, which tells it in a few hundred steps what a diagonal takes thousands for. Restartable.
    python train_voice.py --corpus CORPUS --data DATA --run RUN --minutes 90          train
    python train_voice.py --run RUN --export OUT                                      write the checkpoint as transformers does
"""

import time
from pathlib import Path

import numpy as np
import sentencepiece
import torch
from torch import Tensor
from transformers import SpeechT5Config, SpeechT5FeatureExtractor, SpeechT5ForTextToSpeech

import alignment
import features
import sentences
from shards import Utterances
from voice_run import Run, options_parser

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
LETTERS_OFF = 2.5  # standard deviation of where guided attention may look
GUIDANCE = 4.0  # its weight
# What the decoder is given of its own past, so that it reads instead of humming on: steps replaced by the mean, and noise in deviations.
STEPS_HIDDEN = 0.4
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


class VoiceBatches:
    """Random batches of sentences of like length."""

    def __init__(self, data: Path, pieces: sentencepiece.SentencePieceProcessor, seed: int):
        self.data, self.pieces, self.rng = data, pieces, np.random.default_rng(seed)
        self.places: dict[int, np.ndarray] = {}
        self.look_for_shards()

    def look_for_shards(self) -> None:
        self.utterances, self.looked = Utterances(self.data, ["voice"]), time.time()
        self.by_length = np.argsort([self.utterances.row(i)["samples"] for i in range(len(self.utterances))], kind="stable")

    def spoken_at(self, i: int, steps: int) -> np.ndarray:
        """[steps] the token that is heard in the middle of each decoder step."""
        if i not in self.places:
            row = self.utterances.row(i)
            ends = np.concatenate([[0.0], alignment.letter_times(row["text"], row["phones"])])
            middles = np.arange(steps) * FRAMES_A_STEP * 256 / 16000 + FRAMES_A_STEP * 128 / 16000
            # Token 0 is the mark of a word's beginning, token i + 1 the letter i.
            places = np.interp(middles, ends, np.arange(len(ends)) + 0.5, right=len(ends))
            self.places[i] = places.astype(np.float32)
        return self.places[i]

    def batch(self, seconds: float, shortest: float = 1.0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Of the shortest share of the sentences: token ids, their mask, labels [batch, frames, 80] with -100 beyond the end, token of each step (-1 beyond the end)."""
        if time.time() - self.looked > 120:
            self.look_for_shards()
        at = self.rng.integers(max(1, int(shortest * len(self.by_length))))
        longest = self.utterances.row(int(self.by_length[min(at + 8, len(self.by_length) - 1)]))["samples"] / features.RATE
        rows = [int(i) for i in self.by_length[at: at + max(1, int(seconds / longest))]]
        ids = [self.pieces.encode(self.utterances.row(i)["text"]) + [2] for i in rows]
        mels = [features.voice_mel(torch.from_numpy(self.utterances.audio(i))[None])[0] for i in rows]
        mels = [mel[: len(mel) // FRAMES_A_STEP * FRAMES_A_STEP] for mel in mels]
        tokens = torch.ones(len(rows), max(map(len, ids)), dtype=torch.long)
        labels = torch.full((len(rows), max(map(len, mels)), 80), -100.0)
        places = torch.full((len(rows), labels.shape[1] // FRAMES_A_STEP), -1.0)
        for i, (row, ids_of_row, mel) in enumerate(zip(rows, ids, mels)):
            tokens[i, : len(ids_of_row)] = torch.tensor(ids_of_row)
            labels[i, : len(mel)] = mel
            steps = len(mel) // FRAMES_A_STEP
            places[i, :steps] = torch.from_numpy(self.spoken_at(row, steps))
        return tokens, (tokens != 1).long(), labels, places

    def mel_statistics(self) -> tuple[Tensor, Tensor]:
        _, _, labels, _ = self.batch(300)
        frames = labels[labels[..., 0] != -100]
        return frames.mean(0), frames.std(0)


def guided_attention_loss(cross_attentions: tuple[Tensor, ...], places: Tensor) -> Tensor:
    """How much the guided heads look away from the letter that is being said (after Tachibana et al. 2018).

    cross_attentions: [batch, heads, steps, tokens] a layer; places: [batch, steps], -1 where nothing is said."""
    looked = torch.stack([layer[:, :GUIDED_HEADS].float().mean(1) for layer in cross_attentions]).mean(0)
    away = torch.arange(looked.shape[-1], device=looked.device) - places[..., None]
    wrong = (1 - torch.exp(-(away ** 2) / (2 * LETTERS_OFF ** 2))) * looked
    return wrong.sum(-1)[places >= 0].mean()


def blurred_past(labels: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """[batch, frames, 80] -> [batch, steps, 80] what the decoder is given: the last frame of the step before, blurred, 0 at first."""
    past = labels[:, FRAMES_A_STEP - 1::FRAMES_A_STEP]
    past = past + NOISE * deviation * torch.randn_like(past)
    past = torch.where(torch.rand_like(past[..., :1]) < STEPS_HIDDEN, mean, past)
    past = past.masked_fill(labels[:, FRAMES_A_STEP - 1::FRAMES_A_STEP] == -100, 0)
    return torch.nn.functional.pad(past[:, :-1], (0, 0, 1, 0))


def start_from_statistics(model: SpeechT5ForTextToSpeech, mean: Tensor, deviation: Tensor) -> None:
    """The first layer sees mels of mean 0 and deviation 1, the last one predicts the mean: no step is spent on the scale."""
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
    config = SpeechT5Config(vocab_size=len(pieces), reduction_factor=FRAMES_A_STEP, **SIZE, **NO_DROPOUT)
    config._attn_implementation = "eager"  # the loss reads attention
    model = SpeechT5ForTextToSpeech(config)
    if options.export:
        run.restore(model=model)
        return export(model, options.run, options.export)

    batches = VoiceBatches(options.data, pieces, run.data_seed)
    mean, deviation = (tensor.to(run.device) for tensor in batches.mel_statistics())
    start_from_statistics(model, mean.cpu(), deviation.cpu())
    model.to(run.device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.lr, betas=(0.9, 0.98), weight_decay=0.01)
    parts = {"model": model, "optimizer": optimizer}
    run.restore(**parts)
    for step in run.steps(**parts):
        shortest = min(1.0, 0.3 + 4 * run.share_done())  # attention learns to read on short sentences
        batch = batches.batch(options.batch_seconds, shortest)
        tokens, mask, labels, places = (tensor.to(run.device) for tensor in batch)
        for group in optimizer.param_groups:
            group["lr"] = options.lr * min(1, (step + 1) / 400) * max(0.02, 1 - run.share_done())
        with torch.autocast(run.device, torch.bfloat16, enabled=run.device == "cuda"):
            out = model(input_ids=tokens, attention_mask=mask, labels=labels, output_attentions=True,
                        decoder_input_values=blurred_past(labels, mean, deviation),
                        speaker_embeddings=speaker().to(run.device).expand(len(tokens), -1))
            guided = guided_attention_loss(out.cross_attentions, places)
        (out.loss + GUIDANCE * guided).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        run.log(loss=out.loss.item(), guided=guided.item())


if __name__ == "__main__":
    main()
