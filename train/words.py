"""Word errors, as train_stt.py and the evaluations count them."""

import re

from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

normalized = EnglishTextNormalizer({})  # as WER of Whisper is published, but for British spellings



def plain(text: str) -> str:
    """Without case, punctuation and hyphens."""
    return " ".join(re.sub(r"[^a-z' ]", "", text.lower().replace("-", " ")).split())


def errors(said: str, heard: str) -> tuple[int, int]:
    """Substitutions, deletions and insertions (Levenshtein 1966), and how many words were said. Numbers in words or figures and
    abbreviations are the same."""
    reference, hypothesis = normalized(said).split(), normalized(heard).split()
    row = list(range(len(hypothesis) + 1))
    for i, word in enumerate(reference, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(hypothesis, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    return row[-1], len(reference)


def rate(pairs: list[tuple[str, str]]) -> float:
    """Word error rate of (said, heard), 0.1 for 10 %."""
    counts = [errors(said, heard) for said, heard in pairs]
    return sum(wrong for wrong, _ in counts) / max(1, sum(words for _, words in counts))
