"""Word errors, as train_stt.py and the evaluations count them."""

import jiwer
from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

normalized = EnglishTextNormalizer({})  # as WER of Whisper is published, but for British spellings


def errors(said: str, heard: str) -> tuple[int, int]:
    """Substitutions, deletions and insertions, and how many words were said. Numbers in words or figures and abbreviations are the
    same."""
    found = jiwer.process_words(normalized(said), normalized(heard))
    wrong = found.substitutions + found.deletions
    return wrong + found.insertions, found.hits + found.substitutions + found.deletions


def rate(pairs: list[tuple[str, str]]) -> float:
    """Word error rate of (said, heard), 0.1 for 10 %."""
    counts = [errors(said, heard) for said, heard in pairs]
    return sum(wrong for wrong, _ in counts) / max(1, sum(words for _, words in counts))
