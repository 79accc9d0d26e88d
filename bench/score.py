"""Word errors, after Whisper's English normalizer, as its error rates are published. Needs pip packages: jiwer, whisper-normalizer
(openai/whisper's normalizer without the rest)."""

import functools

NOTABLE_RUN = 3


@functools.cache
def normalizer():
    try:
        from whisper_normalizer.english import EnglishTextNormalizer
    except ImportError:
        raise SystemExit("word errors need: pip install jiwer whisper-normalizer") from None
    return EnglishTextNormalizer()


class Score:
    """Word errors of texts. missing, too_much: (name, words) of each run of three or more in a row."""

    def __init__(self):
        self.words = self.substitutions = self.deletions = self.insertions = 0
        self.missing, self.too_much = [], []

    def add(self, name, said, heard):
        import jiwer

        said, heard = normalizer()(said), normalizer()(heard)
        if not said:
            raise SystemExit(f"{name}: the reference has no words")
        found = jiwer.process_words(said, heard)
        self.words += found.hits + found.substitutions + found.deletions
        self.substitutions += found.substitutions
        self.deletions += found.deletions
        self.insertions += found.insertions
        for part in found.alignments[0]:
            if part.type == "delete" and part.ref_end_idx - part.ref_start_idx >= NOTABLE_RUN:
                self.missing.append((name, found.references[0][part.ref_start_idx : part.ref_end_idx]))
            if part.type == "insert" and part.hyp_end_idx - part.hyp_start_idx >= NOTABLE_RUN:
                self.too_much.append((name, found.hypotheses[0][part.hyp_start_idx : part.hyp_end_idx]))
        return self

    @property
    def errors(self):
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self):
        """In %."""
        return 100 * self.errors / max(self.words, 1)

    def merge(self, other):
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def row(self):
        return f"{self.words} words, WER {self.rate:.2f} %: {self.substitutions} sub, {self.deletions} del, {self.insertions} ins"

    def runs(self):
        for title, runs in (("missing", self.missing), ("too much", self.too_much)):
            for name, words in runs:
                yield f"  {title} in {name}: {len(words)} words: {' '.join(words)}"


def word_error_rate(said, heard):
    """In %."""
    return Score().add("text", said, heard).rate
