"""Speech that nobody wrote down gets the text that a Whisper checkpoint hears: shards human_untold-* become human_told-*. What it is
not sure of is left out.

python transcribe_untold.py --data DIR --teacher WHISPER [--least -0.4]
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

import features
import sentences
from shards import RATE, ShardWriter, finished_shards, read_index
from stt_model import SttModel, greedy

ROWS = 24  # in a batch
LONGEST = 15  # seconds
FASTEST = 25  # letters a second; what says more repeats itself


def usable(text: str) -> str:
    """In words as people say them, or nothing; "[BLANK_AUDIO]" and "(coughs)" are none."""
    if any(mark in text for mark in "[(*_"):
        return ""
    text = sentences.clean(text)
    return "" if any(map(str.isdigit, text)) or not any(map(str.isalpha, text)) else sentences.read_speech(text)


@torch.no_grad()
def transcribe(base: Path, writer: ShardWriter, model: SttModel, tokenizer: Tokenizer, least: float, device: str) -> None:
    prompt = [tokenizer.token_to_id(name) for name in ("<|startoftranscript|>", "<|notimestamps|>")]
    end = tokenizer.token_to_id("<|endoftext|>")
    sound = np.fromfile(base.with_suffix(".i16"), np.int16)
    rows = sorted((row for row in read_index(base) if row["samples"] < LONGEST * RATE), key=lambda row: row["samples"])
    for first in range(0, len(rows), ROWS):
        some = rows[first: first + ROWS]
        audios = [sound[row["at"]: row["at"] + row["samples"]] for row in some]
        length = 30 * RATE  # in shorter windows it repeats itself
        padded = torch.from_numpy(np.stack([np.pad(audio, (0, length - len(audio))) for audio in audios]).astype(np.float32) / 32768)
        mel = features.log_mel(padded.to(device)).to(next(model.parameters()).dtype)
        for row, audio, (ids, score) in zip(some, audios, greedy(model, mel, prompt, end, limit=80)):
            text = usable(tokenizer.decode(ids)) if score > least else ""
            if text and len(text) < FASTEST * len(audio) / RATE:
                writer.add(audio, text, row["speaker"], row["source"], score=round(score, 3))
        print(f"{base.name}: {first + len(some)} of {len(rows)}, {len(writer.lines)} taken", flush=True)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--data", type=Path, required=True)
    arguments.add_argument("--teacher", type=Path, required=True, help="transformers folder of a Whisper checkpoint for English")
    arguments.add_argument("--least", type=float, default=-0.4, help="mean log probability of what is taken")
    arguments.add_argument("--threads", type=int, default=1, help="on a CPU")
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = SttModel.of_folder(options.teacher).to(device, torch.bfloat16)
    tokenizer = Tokenizer.from_file(str(options.teacher / "tokenizer.json"))
    done = finished_shards(options.data, "human_told")
    for number in sorted(finished_shards(options.data, "human_untold") - done):
        with ShardWriter(options.data, "human_told", number) as writer:
            transcribe(options.data / f"human_untold-{number:04}", writer, model, tokenizer, options.least, device)


if __name__ == "__main__":
    main()
