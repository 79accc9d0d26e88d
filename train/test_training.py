"""python -m unittest (in this folder): the model is exactly Whisper's, targets and vocabulary are what they should be."""

import tempfile
import unittest
import unittest.mock
from pathlib import Path

import numpy as np
import torch
from transformers import (PreTrainedTokenizerFast, SpeechT5FeatureExtractor, SpeechT5ForTextToSpeech, SpeechT5HifiGan,
                          SpeechT5Tokenizer, WhisperFeatureExtractor, WhisperForConditionalGeneration)

import alignment
import export_stt
import features
import fit_no_speech
import sentences
import train_vocoder
import train_voice
import tokens as vocabulary
from shards import RATE, ShardWriter, Utterances, pack, unpack
from stt_model import SttConfig, SttModel, start_near_the_diagonal
from windows import IGNORED, WindowSource, letters

TEXTS = sentences.own_sentences(200, 1)


def small_tokens(folder: Path) -> vocabulary.SttTokens:
    vocabulary.train(TEXTS, 300).save(str(folder / "tokenizer.json"))
    return vocabulary.SttTokens(folder)


def run(script, arguments: list[str]) -> None:
    with unittest.mock.patch("sys.argv", [script.__name__, *arguments]):
        script.main()


class Training(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.folder = Path(self.scratch.name)
        self.addCleanup(self.scratch.cleanup)

    def test_exported_model_equals_transformers(self):
        torch.manual_seed(0)
        tokens = small_tokens(self.folder)
        model = SttModel(SttConfig(tokens.size, d_model=32, heads=2, encoder_layers=2, decoder_layers=2, ffn=64)).eval()
        start_near_the_diagonal(model.encoder)
        for parameter in model.parameters():  # what export rounds to f16 is exact
            parameter.data = parameter.data.half().float()
        export_stt.export(model, tokens, self.folder / "tokenizer.json", self.folder / "out")
        theirs = WhisperForConditionalGeneration.from_pretrained(self.folder / "out", dtype=torch.float32).eval()
        mel, ids = torch.randn(2, 80, 3000), torch.randint(0, tokens.size, (2, 9))
        with torch.no_grad():
            ours, _ = model(mel, ids)
            published = theirs(input_features=mel, decoder_input_ids=ids).logits
        self.assertLess((ours - published).abs().max().item(), 1e-4)

    def test_shorter_windows_use_the_first_positions(self):
        model = SttModel(SttConfig(50, d_model=32, heads=2, encoder_layers=1, decoder_layers=1, ffn=64)).eval()
        self.assertEqual(model.encoder(torch.randn(1, 80, 400)).shape, (1, 200, 32))

    def test_vocabulary_keeps_every_text(self):
        tokens = small_tokens(self.folder)
        for text in [*TEXTS[:20], "Zürich & co: 100 % naïve"]:
            self.assertEqual(tokens.decode(tokens.encode(" " + text)), " " + text)
        self.assertEqual(tokens.size - tokens.timestamp_begin, 1501)
        fast = PreTrainedTokenizerFast(tokenizer_file=str(self.folder / "tokenizer.json"))
        self.assertEqual(fast.convert_tokens_to_ids("<|30.00|>"), tokens.timestamp(30))

    def test_windows_say_when_and_what(self):
        tokens = small_tokens(self.folder)
        tone = (3000 * np.sin(np.arange(RATE) / 5)).astype(np.int16)
        for prefix, text in (("synth_own", "Call Anna now."), ("noise", "")):
            with ShardWriter(self.folder, prefix, 0) as writer:
                writer.add(tone, text, "nobody", "test")
        source = WindowSource(self.folder, tokens, seed=1, strength=0, empty=0)
        for _ in range(20):
            audio, into, out, text = source.window(6.0)
            self.assertEqual(len(audio), 6 * RATE)
            self.assertEqual(into[0], tokens.start)
            self.assertTrue(all(o in (i, IGNORED) for i, o in zip(into[1:], out)))
            self.assertEqual([o for o in out if o != IGNORED][-1], tokens.end)
            stamps = [(i - tokens.timestamp_begin) / 50 for i in out if i >= tokens.timestamp_begin]
            self.assertEqual(stamps, sorted(stamps))
            if stamps:
                first = np.flatnonzero(np.abs(audio) > 0.01)[0] / RATE
                self.assertLess(abs(stamps[0] - first), 0.1)
            self.assertIn("Call Anna now.", text)

    def test_voice_trains_restarts_and_speaks_in_transformers(self):
        (self.folder / "ljspeech_sentences.csv").write_text("LJ001-0001|Call Anna now.|Call Anna now.\n")
        with ShardWriter(self.folder, "voice", 0) as writer:
            for i in range(4):
                writer.add((3000 * np.sin(np.arange(RATE + 800 * i) / 5)).astype(np.int16), "Call Anna now.", "slt", "test",
                           phones=[["k", 0.2], ["ao", 0.4], ["l", 0.5], ["ae", 0.6], ["n", 0.7], ["ax", 0.8], ["n", 0.85], ["aw", 1.0]])
        common = ["--data", str(self.folder), "--run", str(self.folder / "run"), "--save-minutes", "0"]
        for minutes in ("0.001", "0.05"):  # the second goes on from the checkpoint of the first
            run(train_voice, [*common, "--corpus", str(self.folder), "--minutes", minutes, "--batch-seconds", "4"])
            run(train_vocoder, [*common, "--minutes", minutes, "--batch", "2", "--mel-only-minutes", "0", "--frames", "16"])
        run(train_voice, ["--run", str(self.folder / "run"), "--export", str(self.folder / "voice")])
        run(train_vocoder, ["--run", str(self.folder / "run"), "--export", str(self.folder / "vocoder")])
        voice = SpeechT5ForTextToSpeech.from_pretrained(self.folder / "voice", dtype=torch.float32)
        vocoder = SpeechT5HifiGan.from_pretrained(self.folder / "vocoder", dtype=torch.float32)
        ids = SpeechT5Tokenizer.from_pretrained(self.folder / "voice")("Call Anna now.", return_tensors="pt").input_ids
        speaker = torch.from_numpy(np.load(self.folder / "voice/voices/slt.npy"))[None]
        audio = voice.generate_speech(ids, speaker, vocoder=vocoder, maxlenratio=2.0)
        self.assertTrue(torch.isfinite(audio).all())
        self.assertGreater(len(audio), 0)

    def test_letters_are_heard_when_their_phones_are(self):
        text = "Please stop."
        phones = [("p", 0.1), ("l", 0.2), ("iy", 0.5), ("z", 0.6), ("s", 0.7), ("t", 0.8), ("aa", 0.9), ("p", 1.0), ("pau", 1.3)]
        times = alignment.letter_times(alignment.pairs(text, phones), len(text), phones)
        self.assertTrue(np.all(np.diff(times) >= 0))
        for letter, end in (("P", 0.1), ("l", 0.2), ("st", 0.8), ("op", 1.0), (".", 1.3)):
            self.assertAlmostEqual(times[text.index(letter) + len(letter) - 1], end, places=6)
        self.assertTrue(0.2 < times[text.index("ea")] <= 0.5)

    def test_packed_shards_come_back(self):
        speech = (8000 * np.sin(np.arange(2 * RATE) / 20)).astype(np.int16)
        with ShardWriter(self.folder / "a", "synth_own", 3) as writer:
            writer.add(speech[:RATE], "one", "x", "test")
            writer.add(speech[RATE:], "two", "x", "test")
        pack(self.folder / "a", self.folder / "b", 16)
        unpack(self.folder / "b", self.folder / "c")
        back = Utterances(self.folder / "c", ["synth_own"])
        self.assertEqual([back.row(i)["text"] for i in range(2)], ["one", "two"])
        self.assertEqual(len(back.audio(1)), RATE)
        self.assertGreater(np.corrcoef(back.audio(1), speech[RATE:])[0, 1], 0.95)

    def test_features_equal_transformers(self):
        audio = 0.1 * torch.randn(30 * RATE)
        published = WhisperFeatureExtractor()(audio.numpy(), sampling_rate=RATE, return_tensors="pt").input_features[0]
        self.assertLess((features.log_mel(audio[None])[0] - published).abs().max().item(), 1e-4)
        voice = SpeechT5FeatureExtractor()(audio_target=audio.numpy(), sampling_rate=RATE, return_tensors="pt").input_values[0]
        ours = features.voice_mel(audio[None])[0]
        self.assertEqual(ours.shape, voice.shape)
        self.assertLess((ours - voice).abs().max().item(), 1e-3)

    def test_no_speech_is_fitted_to_one_side(self):
        torch.manual_seed(0)
        speech = torch.arange(40) % 2 == 0
        states = torch.randn(40, 64) + torch.where(speech, 2.0, -2.0)[:, None]
        states[:, :8] = 4.0  # as a decoder's: part of them is always the same
        embedding = torch.randn(100, 64) * 0.05
        row = fit_no_speech.fit(states[:20], speech[:20], embedding, 7)
        embedding[7] = row
        probability = (states @ embedding.T).softmax(1)[:, 7]
        self.assertTrue(((probability > 0.6) != speech)[20:].all())  # states that it was not fitted on

    def test_log_mel_of_silence_is_flat(self):
        mel = features.log_mel(torch.zeros(1, RATE))
        self.assertEqual(mel.shape, (1, 80, 100))
        self.assertAlmostEqual(mel.min().item(), -1.5)

    def test_capital_transcripts_become_sentences(self):
        self.assertEqual(sentences.read_speech("AND THAT'S WHAT I SAID"), "And that's what I said")
        self.assertEqual(sentences.read_speech("H I N I C H FIVE"), "H I N I C H five")
        self.assertEqual(sentences.read_speech("IT WAS A MAN"), "It was a man")
        self.assertEqual(sentences.read_speech("one"), "One")

    def test_letters_for_ctc(self):
        self.assertEqual(letters("I'm Ab."), [11, 2, 15, 1, 3, 4])


if __name__ == "__main__":
    unittest.main()
