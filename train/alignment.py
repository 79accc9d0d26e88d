"""Which letter is heard when: a synthesizer's phones laid along the letters that they come from."""

import functools

import numpy as np

# What each phone of flite's US English is often written with; vowels are one class.
WRITTEN = {
    "b": "b", "ch": "ct", "d": "d", "dh": "t", "f": "fpg", "g": "gx", "hh": "hw", "jh": "jgd", "k": "ckqx", "l": "l", "m": "m",
    "n": "nk", "ng": "n", "p": "p", "r": "r", "s": "scxz", "sh": "stc", "t": "td", "th": "t", "v": "vf", "w": "wou", "y": "yu",
    "z": "zsx", "zh": "sg", "er": "eiour", "pau": ",.;:?!-",
}
VOWELS = "aeiouy"
PHONES = ["silent", *WRITTEN, *"aa ae ah ao aw ax axr ay eh ey ih iy ow oy uh uw".split()]  # "silent": of letters alone
SKIPPED = -0.6  # a silent letter, a phone without one


def likeness(phone: str, letter: str) -> float:
    if letter in WRITTEN.get(phone, VOWELS):
        return 3.0 if phone == "pau" else 2.0 if phone in WRITTEN else 1.0
    return -2.0


@functools.cache
def likenesses(phone: str, letters: str) -> np.ndarray:
    return np.array([likeness(phone, letter) for letter in letters])


def pairs(text: str, phones: list[tuple[str, float]]) -> list[tuple[int, int]]:
    """Which phone each letter stands for, (phone, letter) in order; the others have none. Needleman & Wunsch 1970."""
    letters = text.lower()
    n, m = len(phones), len(letters)
    best = np.zeros((n + 1, m + 1))
    best[:, 0] = SKIPPED * np.arange(n + 1)
    gaps = np.array([0.0 if letter == " " else SKIPPED for letter in letters])
    skipped = np.concatenate([[0.0], np.cumsum(gaps)])
    best[0] = skipped
    for i, (phone, _) in enumerate(phones):
        pair = np.concatenate([[best[i, 0] + SKIPPED], best[i, :-1] + likenesses(phone, letters)])
        entered = np.maximum(pair, best[i] + SKIPPED)
        best[i + 1] = np.maximum.accumulate(entered - skipped) + skipped
    found = []
    i, j = n, m
    while i > 0 and j > 0:
        if abs(best[i, j] - best[i - 1, j - 1] - likeness(phones[i - 1][0], letters[j - 1])) < 1e-6:
            i, j = i - 1, j - 1
            found.append((i, j))
        elif abs(best[i, j] - best[i - 1, j] - SKIPPED) < 1e-6:
            i -= 1
        else:
            j -= 1
    return found[::-1]


def letter_times(paired: list[tuple[int, int]], letters: int, phones: list[tuple[str, float]]) -> np.ndarray:
    """[letters] the second at which each is over, never falling; what lies between pairs is interpolated."""
    places = np.array([0, *(letter + 1 for _, letter in paired), letters + 1e-3])
    times = np.array([0.0, *(phones[phone][1] for phone, _ in paired), phones[-1][1]])
    return np.interp(np.arange(1, letters + 1), places, np.maximum.accumulate(times))
