"""Which letter is heard when: a synthesizer's phones laid along the letters that they come from."""

import numpy as np

# What each phone of flite's US English is often written with; vowels are one class.
WRITTEN = {
    "b": "b", "ch": "ct", "d": "d", "dh": "t", "f": "fpg", "g": "gx", "hh": "hw", "jh": "jgd", "k": "ckqx", "l": "l", "m": "m",
    "n": "nk", "ng": "n", "p": "p", "r": "r", "s": "scxz", "sh": "stc", "t": "td", "th": "t", "v": "vf", "w": "wou", "y": "yu",
    "z": "zsx", "zh": "sg", "er": "eiour", "pau": ",.;:?!-",
}
VOWELS = "aeiouy"
PHONES = ["silent", *WRITTEN, *"aa ae ah ao aw ax axr ay eh ey ih iy ow oy uh uw".split()]  # "silent": of letters alone
SKIPPED = -6  # a silent letter, a phone without one; integers, so that sums compare equal


def likeness(phone: str, letter: str) -> int:
    if letter in WRITTEN.get(phone, VOWELS):
        return 30 if phone == "pau" else 20 if phone in WRITTEN else 10
    return -20


NUMBERS = {phone: number for number, phone in enumerate(PHONES)}
LIKENESSES = np.array([likeness(phone, chr(code)) for phone in PHONES for code in range(128)], np.int16)


def numbers(phones: list[tuple[str, float]]) -> np.ndarray:
    """Places in PHONES; what is not known there counts as silent, and is laid along vowels."""
    return np.array([NUMBERS.get(name, 0) for name, _ in phones])


def pairs(texts: list[str], phones: list[np.ndarray]) -> list[np.ndarray]:
    """Which phone each letter of each text stands for, -1: none; never falling. Needleman & Wunsch 1970, all texts at once."""
    lengths, counts = np.array([len(text) for text in texts]), np.array([len(of) for of in phones])
    letters, said = np.zeros((len(texts), lengths.max()), int), np.zeros((len(texts), counts.max()), int)
    for row, (text, of) in enumerate(zip(texts, phones)):
        letters[row, :len(text)] = [ord(letter) if letter.isascii() else 0 for letter in text.lower()]
        said[row, :len(of)] = 128 * of
    skipped = np.pad(np.cumsum(np.where(letters == ord(" "), 0, SKIPPED), 1, np.int16), ((0, 0), (1, 0)))
    best = np.empty((len(texts), said.shape[1] + 1, letters.shape[1] + 1), np.int16)
    best[:, 0] = skipped
    for i in range(said.shape[1]):
        entered = best[:, i] + SKIPPED
        entered[:, 1:] = np.maximum(entered[:, 1:], best[:, i, :-1] + LIKENESSES.take(said[:, i, None] + letters))
        best[:, i + 1] = np.maximum.accumulate(entered - skipped, axis=1) + skipped

    found = np.full(letters.shape, -1)
    rows, i, j = np.arange(len(texts)), counts.copy(), lengths.copy()
    while (live := (i > 0) & (j > 0)).any():
        above, before, here = np.maximum(i - 1, 0), np.maximum(j - 1, 0), best[rows, i, j]
        paired = live & (here == best[rows, above, before] + LIKENESSES[said[rows, above] + letters[rows, before]])
        unwritten = live & ~paired & (here == best[rows, above, j] + SKIPPED)
        found[rows[paired], before[paired]] = above[paired]
        i = i - (paired | unwritten)
        j = j - (live & ~unwritten)
    return [row[:length] for row, length in zip(found, lengths)]


def letter_times(paired: np.ndarray, phones: list[tuple[str, float]]) -> np.ndarray:
    """[letters] the second at which each is over, never falling; what lies between pairs is interpolated."""
    ends = np.array([end for _, end in phones])
    letters = np.flatnonzero(paired >= 0)
    places = np.concatenate([[0], letters + 1, [len(paired) + 1e-3]])
    times = np.concatenate([[0.0], ends[paired[letters]], ends[-1:]])
    return np.interp(np.arange(1, len(paired) + 1), places, np.maximum.accumulate(times))
