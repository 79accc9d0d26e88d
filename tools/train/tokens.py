"""The vocabulary: a small byte-level BPE of our own, then Whisper's special tokens and 1501 timestamps (English only).

python tokens.py --corpus DIR --out DIR [--books DIR] [--pieces 1536] [--of tokenizer.json]
"""

import argparse
import json
from collections import Counter
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

import sentences

TIMESTAMPS = [f"<|{i * 0.02:.2f}|>" for i in range(1501)]
# The order of openai/whisper's tokenizer.py, without languages: they are for multilingual models.
SPECIAL = ["<|endoftext|>", "<|startoftranscript|>", "<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>",
           "<|nospeech|>", "<|notimestamps|>"]


class SttTokens:
    def __init__(self, folder: Path):
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.end, self.start = self.id("<|endoftext|>"), self.id("<|startoftranscript|>")
        self.no_speech, self.no_timestamps = self.id("<|nospeech|>"), self.id("<|notimestamps|>")
        self.previous = self.id("<|startofprev|>")
        self.timestamp_begin = self.id("<|0.00|>")
        self.size = self.tokenizer.get_vocab_size()

    def id(self, name: str) -> int:
        return self.tokenizer.token_to_id(name)

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def encode_all(self, texts: list[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self.tokenizer.encode_batch(texts, add_special_tokens=False)]

    def timestamp(self, seconds: float) -> int:
        return self.timestamp_begin + min(1500, max(0, round(seconds * 50)))

    def decode(self, ids: list[int]) -> str:
        return self.tokenizer.decode([i for i in ids if i < self.end])


def finish(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.add_special_tokens(SPECIAL + TIMESTAMPS)
    return tokenizer


def train(texts: list[str], pieces: int) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=pieces, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator((" " + text for text in texts), trainer)
    return finish(tokenizer)


def pruned(whole: Path, texts: list[str], pieces: int) -> Tokenizer:
    """The pieces of a larger vocabulary (tokenizer.json, byte-level BPE) that the texts use most, with all that they are merged
    from: texts mostly keep their encoding, so that a teacher of that vocabulary can be asked about the next piece."""
    model = json.loads(whole.read_text(encoding="utf-8"))["model"]
    merges = [tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge) for merge in model["merges"]]
    full = Tokenizer(models.BPE(model["vocab"], merges))
    full.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    counts = Counter(piece for text in full.encode_batch([" " + text for text in texts]) for piece in text.tokens)
    parts = {a + b: (a, b) for a, b in reversed(merges)}
    kept = set(pre_tokenizers.ByteLevel.alphabet())

    def keep(piece: str) -> None:
        if piece not in kept:
            kept.add(piece)
            for part in parts[piece]:
                keep(part)

    for piece, _ in counts.most_common():
        if len(kept) >= pieces:
            break
        keep(piece)
    left = [(a, b) for a, b in merges if a + b in kept and parts[a + b] == (a, b)]
    names = sorted(pre_tokenizers.ByteLevel.alphabet()) + [a + b for a, b in left]
    return finish(Tokenizer(models.BPE({name: i for i, name in enumerate(names)}, left)))


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--corpus", type=Path, required=True)
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--pieces", type=int, default=1536)
    arguments.add_argument("--books", type=Path, help="folder of plain texts (sentences.py)")
    arguments.add_argument("--of", type=Path, help="take the pieces from this vocabulary, a teacher's (train_stt.py --teacher)")
    options = arguments.parse_args()
    lj = [text for name, text in sentences.lj_sentences(options.corpus).items() if not sentences.held_out(name)]
    own = sentences.own_sentences(6000, 6)
    book = sentences.book_sentences(options.books)
    texts = lj + own + book
    tokenizer = pruned(options.of, texts, options.pieces) if options.of else train(texts, options.pieces)
    options.out.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(options.out / "tokenizer.json"))
    tokens = SttTokens(options.out)
    for name, group in (("LJ", lj), ("own", own), ("books", book)):
        count = sum(len(tokens.encode(" " + text)) for text in group)
        print(tokens.size, "tokens;", name, f"{count / max(1, sum(len(text.split()) for text in group)):.2f} a word")


if __name__ == "__main__":
    main()
