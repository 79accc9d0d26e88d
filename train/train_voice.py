"""Trains the voice: transformers' SpeechT5ForTextToSpeech, small, on one teacher voice (synthesize.py --set voice).

Teacher forcing, L1 before and after the postnet, stop loss and guided attention are the model's own loss. Restartable.
    python train_voice.py --corpus CORPUS --data DATA --run RUN --minutes 90          train
    python train_voice.py --run RUN --export OUT                                      write the checkpoint as transformers does
"""

from pathlib import Path

import numpy as np
import sentencepiece
import torch
from torch import Tensor
from transformers import SpeechT5Config, SpeechT5FeatureExtractor, SpeechT5ForTextToSpeech

import features
import sentences
from shards import Utterances
from voice_run import Run, options_parser

SPEAKER_DIM = 16
SIZE = {"hidden_size": 192, "encoder_layers": 4, "encoder_attention_heads": 4, "encoder_ffn_dim": 768, "decoder_layers": 4,
        "decoder_attention_heads": 4, "decoder_ffn_dim": 768, "speech_decoder_prenet_units": 128,
        "speech_decoder_postnet_units": 160, "encoder_max_relative_position": 64, "max_text_positions": 300,
        "max_speech_positions": 1200, "speaker_embedding_dim": SPEAKER_DIM, "encoder_layerdrop": 0.0, "decoder_layerdrop": 0.0}


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
        self.utterances, self.pieces = Utterances(data, ["voice"]), pieces
        self.by_length = np.argsort([self.utterances.row(i)["samples"] for i in range(len(self.utterances))])
        self.rng = np.random.default_rng(seed)

    def batch(self, seconds: float) -> tuple[Tensor, Tensor, Tensor]:
        """token ids, their mask, labels [batch, frames, 80] with -100 beyond the end."""
        at = self.rng.integers(len(self.by_length))
        longest = self.utterances.row(int(self.by_length[min(at + 8, len(self.by_length) - 1)]))["samples"] / features.RATE
        rows = [int(i) for i in self.by_length[at: at + max(1, int(seconds / longest))]]
        ids = [self.pieces.encode(self.utterances.row(i)["text"]) + [2] for i in rows]
        mels = [features.voice_mel(torch.from_numpy(self.utterances.audio(i))[None])[0] for i in rows]
        mels = [mel[: len(mel) // 2 * 2] for mel in mels]  # two frames a step
        tokens = torch.ones(len(rows), max(map(len, ids)), dtype=torch.long)
        labels = torch.full((len(rows), max(map(len, mels)), 80), -100.0)
        for i, (row, mel) in enumerate(zip(ids, mels)):
            tokens[i, : len(row)] = torch.tensor(row)
            labels[i, : len(mel)] = mel
        return tokens, (tokens != 1).long(), labels


def export(model: SpeechT5ForTextToSpeech, run: Path, out: Path) -> None:
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
    model = SpeechT5ForTextToSpeech(SpeechT5Config(vocab_size=len(pieces), **SIZE))
    if options.export:
        run.restore(model=model)
        return export(model, options.run, options.export)

    model.to(run.device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.lr, betas=(0.9, 0.98), weight_decay=0.01)
    parts = {"model": model, "optimizer": optimizer}
    run.restore(**parts)
    batches = VoiceBatches(options.data, pieces, run.data_seed)
    for step in run.steps(**parts):
        tokens, mask, labels = (tensor.to(run.device) for tensor in batches.batch(options.batch_seconds))
        for group in optimizer.param_groups:
            group["lr"] = options.lr * min(1, (step + 1) / 400) * max(0.02, 1 - run.share_done())
        with torch.autocast(run.device, torch.bfloat16, enabled=run.device == "cuda"):
            loss = model(input_ids=tokens, attention_mask=mask, labels=labels,
                         speaker_embeddings=speaker().to(run.device).expand(len(tokens), -1)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        run.log(loss=loss.item())


if __name__ == "__main__":
    main()
