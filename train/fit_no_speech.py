"""Teaches an exported model to say <|nospeech|>, and nothing else: one row of the embedding, in closed form.

Whisper's rule drops a window whose first distribution gives <|nospeech|> more than 0.6 and whose text is improbable. For a
checkpoint that never learned that token, its row is fitted here so that its logit lies above the sum of all others in windows
without speech, and far below it in windows with speech (ridge regression on the decoder's state at <|startoftranscript|>).

python fit_no_speech.py --data DATA --tokens TOKENS --model EXPORTED [--windows 60]
"""

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

import features
from stt_model import SttModel
from tokens import SttTokens
from windows import WindowSource

ABOVE, BELOW = 4.0, -8.0  # wanted logit, minus the logarithm of the sum of all others' exponentials


@torch.no_grad()
def state_at_start(model: SttModel, samples: np.ndarray, start: int) -> Tensor:
    """What the output matrix is multiplied with, for the first token: [d]."""
    mel = features.log_mel(torch.from_numpy(samples.astype(np.float32))[None])
    decoder = model.decoder
    x = decoder.embed_tokens(torch.tensor([[start]])) + decoder.embed_positions.weight[:1]
    audio = model.encoder(mel)
    for layer in decoder.layers:
        x = layer(x, audio)
    return decoder.layer_norm(x)[0, 0]


def windows(source: WindowSource, count: int, rng: np.random.Generator) -> list[tuple[np.ndarray, bool]]:
    """30 s each, as transcribe makes them: sound, then nothing; half of them with speech."""
    found = []
    for i in range(count):
        seconds = rng.uniform(1.5, 20)
        speech = i % 2 == 0
        while True:
            samples, _, _, text = source.window(max(seconds, 4.0)) if speech else source.empty(int(seconds * features.RATE))
            if speech == bool(text):
                break
        found.append((np.pad(samples, (0, 30 * features.RATE - len(samples))), speech))
    return found


def fit(states: Tensor, speech: Tensor, embedding: Tensor, row: int, ridge: float = 0.02) -> Tensor:
    """The new row: the old one with the smallest change that puts the logits where they should be."""
    others = torch.cat([embedding[:row], embedding[row + 1:]])
    wanted = torch.logsumexp(states @ others.T, dim=1) + torch.where(speech, BELOW, ABOVE)
    kernel = states @ states.T
    kernel = kernel + ridge * kernel.diagonal().mean() * torch.eye(len(states))
    weights = torch.linalg.solve(kernel, wanted - states @ embedding[row])
    return embedding[row] + states.T @ weights


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--data", type=Path, required=True)
    arguments.add_argument("--tokens", type=Path, required=True)
    arguments.add_argument("--model", type=Path, required=True, help="folder of export_stt.py, changed in place")
    arguments.add_argument("--windows", type=int, default=60)
    arguments.add_argument("--workers", type=int, default=2)
    arguments.add_argument("--seed", type=int, default=6)
    options = arguments.parse_args()
    torch.set_num_threads(1)
    tokens = SttTokens(options.tokens)
    tensors = load_file(options.model / "model.safetensors")
    model = SttModel.of_folder(options.model)
    source = WindowSource(options.data, tokens, options.seed, strength=0.4)
    found = windows(source, options.windows, np.random.default_rng(options.seed))
    with ThreadPoolExecutor(options.workers) as pool:
        states = torch.stack(list(pool.map(lambda window: state_at_start(model, window[0], tokens.start), found)))
    speech = torch.tensor([has_speech for _, has_speech in found])
    embedding = model.decoder.embed_tokens.weight.data
    held_out = torch.arange(len(found)) % 4 >= 2  # a pair of four
    trial = embedding.clone()
    for name, chosen in (("half of the windows", ~held_out), ("all windows", torch.ones_like(held_out))):
        trial[tokens.no_speech] = fit(states[chosen], speech[chosen], embedding, tokens.no_speech)
        probability = F.softmax(states @ trial.T, dim=1)[:, tokens.no_speech]
        for label, group in (("seen", chosen), ("unseen", ~chosen)):
            if group.any():
                wrong = ((probability > 0.6) == speech)[group]
                print(f"fitted on {name}, {label}: {int(wrong.sum())} of {len(wrong)} windows on the wrong side", flush=True)
    tensors["model.decoder.embed_tokens.weight"][tokens.no_speech] = trial[tokens.no_speech].to(torch.float16)
    save_file(tensors, options.model / "model.safetensors", metadata={"format": "pt"})


if __name__ == "__main__":
    main()
