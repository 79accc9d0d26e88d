#!/usr/bin/env python3
"""Times the words of real speech by the published implementation (cross-attention DTW), in f32 on the CPU.

    pip install openai-whisper torch safetensors soundfile
    python3 make_pilot_words.py MODEL_FOLDER CORPUS_FOLDER

Takes the utterances of pilot_en_reference.tsv whose texts have the most words among every eighth; each is one window of 30 s,
its text the tokens given there. Writes pilot_en_words.tsv: path, then for each word its start, end (seconds) and
probability, as openai/whisper's find_alignment gives them (before punctuation is merged), one word a line.
"""

import argparse
import csv
import json
from pathlib import Path

import torch
import whisper
import whisper.timing
from make_pilot_reference import SAMPLE_RATE, load_model, read_mono
from whisper.tokenizer import get_tokenizer

UTTERANCES = 24


def read_reference(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


@torch.no_grad()
def align(model, tokenizer, row, corpus):
    samples = read_mono(corpus / row["path"])
    mel = whisper.log_mel_spectrogram(whisper.pad_or_trim(samples), model.dims.n_mels)
    frames = len(samples) * 100 // SAMPLE_RATE
    tokens = [t for t in map(int, row["tokens"].split()) if t < tokenizer.eot]
    return whisper.timing.find_alignment(model, tokenizer, tokens, mel, frames)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("corpus", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(2)

    here = Path(__file__).parent
    model = load_model(arguments.model)
    heads = json.loads((arguments.model / "generation_config.json").read_text()).get("alignment_heads")
    if heads:  # otherwise the published default: all heads of the upper half of the layers
        mask = torch.zeros(model.dims.n_text_layer, model.dims.n_text_head, dtype=torch.bool)
        for layer, head in heads:
            mask[layer, head] = True
        model.register_buffer("alignment_heads", mask.to_sparse(), persistent=False)
    tokenizer = get_tokenizer(multilingual=False)
    rows = sorted(read_reference(here / "pilot_en_reference.tsv")[::8], key=lambda r: -len(r["text"].split()))
    words = 0
    with open(here / "pilot_en_words.tsv", "w", encoding="utf-8") as file:
        file.write("path\tword\tstart\tend\tprobability\n")
        for row in rows[:UTTERANCES]:
            for word in align(model, tokenizer, row, arguments.corpus):
                file.write(f"{row['path']}\t{word.word}\t{word.start:.2f}\t{word.end:.2f}\t{word.probability:.4f}\n")
                words += 1
    print(f"{words} words of {UTTERANCES} utterances")


if __name__ == "__main__":
    main()
