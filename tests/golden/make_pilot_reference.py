#!/usr/bin/env python3
"""Transcribes real speech with a Whisper checkpoint by the published implementation, in f32 on the CPU.

    pip install openai-whisper torch safetensors soundfile jiwer
    python3 make_pilot_reference.py MODEL_FOLDER CORPUS_FOLDER [--sets commands an4] [--output FILE]

Every utterance of each set's manifest.tsv (relative_path, speaker, duration_s, transcript) is one 30 s window, decoded greedily
without timestamps, temperature 0, no fallback, with the generation config's suppression. Writes one line per utterance and
prints the word error rate of each set. Columns: README.md.
"""

import argparse
import csv
import json
import re
from collections import Counter, defaultdict
from pathlib import Path

import jiwer
import soundfile
import torch
import whisper
from safetensors.torch import load_file
from whisper.decoding import DecodingOptions, DecodingTask, GreedyDecoder
from whisper.model import ModelDimensions

SAMPLE_RATE = 16000
RENAMES = [
    ("embed_positions.weight", "positional_embedding"),
    ("embed_tokens", "token_embedding"),
    ("encoder.layer_norm", "encoder.ln_post"),
    ("decoder.layer_norm", "decoder.ln"),
    ("layers.", "blocks."),
    ("encoder_attn_layer_norm", "cross_attn_ln"),
    ("self_attn_layer_norm", "attn_ln"),
    ("final_layer_norm", "mlp_ln"),
    ("encoder_attn", "cross_attn"),
    ("self_attn", "attn"),
    ("q_proj", "query"),
    ("k_proj", "key"),
    ("v_proj", "value"),
    ("out_proj", "out"),
    ("fc1", "mlp.0"),
    ("fc2", "mlp.2"),
]


def published_name(name):
    name = name.removeprefix("model.")
    for old, new in RENAMES:
        name = name.replace(old, new)
    return name


def load_model(folder):
    config = json.loads((folder / "config.json").read_text())
    dims = ModelDimensions(
        n_mels=config["num_mel_bins"],
        n_audio_ctx=config["max_source_positions"],
        n_audio_state=config["d_model"],
        n_audio_head=config["encoder_attention_heads"],
        n_audio_layer=config["encoder_layers"],
        n_vocab=config["vocab_size"],
        n_text_ctx=config["max_target_positions"],
        n_text_state=config["d_model"],
        n_text_head=config["decoder_attention_heads"],
        n_text_layer=config["decoder_layers"],
    )
    model = whisper.model.Whisper(dims).eval()
    weights = load_file(folder / "model.safetensors")
    weights = {published_name(n): v.float() for n, v in weights.items() if n != "proj_out.weight"}
    model.load_state_dict(weights)
    return model


class MarginDecoder(GreedyDecoder):
    """Greedy; keeps each row's smallest distance between its best and second best logit."""

    def reset(self):
        self.margins = None

    def update(self, tokens, logits, sum_logprobs):
        best = logits.topk(2, dim=-1).values
        margin = best[:, 0] - best[:, 1]
        margin[tokens[:, -1] == self.eot] = torch.inf
        self.margins = margin if self.margins is None else torch.minimum(self.margins, margin)
        return super().update(tokens, logits, sum_logprobs)


def transcribe(model, options, mels):
    task = DecodingTask(model, options)
    task.decoder = MarginDecoder(0, task.tokenizer.eot)
    results = task.run(torch.stack(mels))
    return zip(results, task.decoder.margins.tolist())


def read_mono(path):
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    assert rate == SAMPLE_RATE, f"{path} has {rate} Hz"
    return samples.mean(axis=1)


def scored(text):
    """Lower case, no punctuation but apostrophes inside words."""
    text = re.sub(r"[^a-z0-9' ]", " ", text.lower())
    return " ".join(word.strip("'") for word in text.split() if word.strip("'"))


def read_manifest(folder):
    with open(folder / "manifest.tsv", encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]


def run_set(model, options, corpus, name, batch, limit):
    rows = read_manifest(corpus / name)[:limit]
    lines, kinds = [], Counter()
    for begin in range(0, len(rows), batch):
        part = rows[begin : begin + batch]
        audio = [read_mono(corpus / name / row["relative_path"]) for row in part]
        kinds.update(Path(row["relative_path"]).suffix for row in part)
        mels = [whisper.log_mel_spectrogram(whisper.pad_or_trim(a), model.dims.n_mels) for a in audio]
        for row, samples, (result, margin) in zip(part, audio, transcribe(model, options, mels)):
            lines.append(
                {
                    "path": f"{name}/{row['relative_path']}",
                    "samples": len(samples),
                    "avg_logprob": f"{result.avg_logprob:.5f}",
                    "no_speech_prob": f"{result.no_speech_prob:.3g}",
                    "margin": f"{margin:.4f}",
                    "tokens": " ".join(map(str, result.tokens)),
                    "text": result.text,
                    "transcript": row["transcript"],
                }
            )
    print(f"{name}: {len(rows)} utterances, {dict(kinds)}", flush=True)
    return lines


def report(lines):
    by_set = defaultdict(list)
    for line in lines:
        by_set[line["path"].split("/")[0]].append(line)
    for name, part in [*by_set.items(), ("all", lines)]:
        measured = jiwer.process_words(
            [scored(line["transcript"]) for line in part], [scored(line["text"]) for line in part]
        )
        words = measured.hits + measured.substitutions + measured.deletions
        print(
            f"{name}: WER {100 * measured.wer:.2f} % of {words} words ({measured.substitutions} substituted, "
            f"{measured.deletions} deleted, {measured.insertions} inserted); "
            f"{sum(float(line['margin']) < 0.01 for line in part)} utterances with a margin below 0.01"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--sets", nargs="+", default=["commands", "an4"])
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "pilot_en_reference.tsv")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--limit", type=int, help="only the first utterances of each set")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    model = load_model(arguments.model)
    generation = json.loads((arguments.model / "generation_config.json").read_text())
    assert generation["suppress_tokens"] == [] and generation["begin_suppress_tokens"] == [220, 50256]
    # openai/whisper: an empty suppress_tokens suppresses nothing; suppress_blank is " " and eot, as in the config.
    options = DecodingOptions(without_timestamps=True, suppress_tokens="", language="en", fp16=False)
    lines = []
    for name in arguments.sets:
        lines += run_set(model, options, arguments.corpus, name, arguments.batch, arguments.limit)
    report(lines)
    with open(arguments.output, "w", encoding="utf-8") as file:
        columns = [c for c in lines[0] if c != "transcript"]
        for row in [columns, *([line[c] for c in columns] for line in lines)]:
            file.write("\t".join(map(str, row)) + "\n")


if __name__ == "__main__":
    main()
