"""Word error rate for the benchmarks: letters and digits of words, lower case."""

import re


def words(text):
    return re.findall(r"[a-z0-9']+", text.lower())


def word_errors(reference, hypothesis):
    """(substitutions + insertions + deletions, words of the reference)."""
    reference, hypothesis = words(reference), words(hypothesis)
    row = list(range(len(hypothesis) + 1))
    for i, expected in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, heard in enumerate(hypothesis, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (expected != heard))
    return row[-1], len(reference)


def word_error_rate(reference, hypothesis):
    errors, count = word_errors(reference, hypothesis)
    return 100 * errors / max(count, 1)
