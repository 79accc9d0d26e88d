"""python -m unittest (in this folder): the model is exactly Whisper's, targets and vocabulary are what they should be."""

import json
import tempfile
import unittest
import unittest.mock
from pathlib import Path

import numpy as np
import sentencepiece
import torch
import torch.nn.functional as F
from transformers import (PreTrainedTokenizerFast, SpeechT5FeatureExtractor, SpeechT5ForTextToSpeech, SpeechT5HifiGan,
                          SpeechT5Tokenizer, WhisperFeatureExtractor, WhisperForConditionalGeneration)

import alignment
import corpora
import export_stt
import features
import sentences
import teacher
import train_stt
import train_vocoder
import train_voice
import tokens as vocabulary
import words
from muon import orthogonal
from shards import RATE, ShardWriter, Utterances, pack, unpack
from stt_model import SttConfig, SttModel, start_near_the_diagonal
from windows import IGNORED, WindowSource, letters, mixes

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

    def tone_source(self, **options) -> WindowSource:
        """One utterance: a tone of a second."""
        tone = (3000 * np.sin(np.arange(RATE) / 5)).astype(np.int16)
        for prefix, text in (("synth_own", "Call Anna now."), ("noise", "")):
            with ShardWriter(self.folder, prefix, 0) as writer:
                writer.add(tone, text, "nobody", "test")
        return WindowSource(self.folder, small_tokens(self.folder), "cpu", seed=1, hours=0.01, **options)

    def test_windows_say_when_and_what(self):
        source = self.tone_source(strength=0, empty=0)
        tokens = source.tokens
        for _ in range(20):
            windows = source.plan(1, 6.0)
            window, batch = windows[0], source.batch(windows, 6.0)
            self.assertEqual(batch.samples.shape, (1, 6 * RATE))
            self.assertEqual(window.into[len(window.into) - len(window.out)], window.into[0])
            start = window.into.index(tokens.start)
            self.assertTrue(all(i == IGNORED for i in window.out[:start]))  # the prompt
            into, out = window.into[start:], window.out[start:]
            self.assertTrue(all(o in (i, IGNORED) for i, o in zip(into[1:], out)))
            self.assertEqual([o for o in out if o != IGNORED][-1], tokens.end)
            stamps = [(i - tokens.timestamp_begin) / 50 for i in out if i >= tokens.timestamp_begin]
            self.assertEqual(stamps, sorted(stamps))
            heard = np.flatnonzero(batch.samples[0].abs().numpy() > 0.2 * batch.samples.abs().max().item()) / RATE
            if stamps:
                self.assertLess(abs(stamps[0] - heard[0]), 0.1)
                self.assertLess(abs(stamps[-1] - heard[-1]), 0.1)
            said = tokens.decode([o for o in out if o != IGNORED])
            self.assertEqual(said, " Call Anna now." * len(window.pieces))
            self.assertEqual(window.letters, letters(" ".join(["Call Anna now."] * len(window.pieces))))

    def test_windows_without_speech_say_so(self):
        source = self.tone_source(empty=1)
        tokens = source.tokens
        for window in source.plan(50, 4.0):
            self.assertEqual(window.letters, [])
            self.assertIn([o for o in window.out if o not in (IGNORED, tokens.timestamp(0))], ([tokens.no_speech], [tokens.end]))

    def test_speed_changes_length_and_pitch(self):
        sound = torch.from_numpy((8000 * np.sin(np.arange(RATE) / 5)).astype(np.int16))
        faster = features.resampled(sound, torch.arange(RATE // 2, dtype=torch.float64) * 1.25 + 10)
        wanted = 8000 / 32768 * torch.sin((torch.arange(RATE // 2, dtype=torch.float64) * 1.25 + 10) / 5).float()
        self.assertLess((faster - wanted).abs().max().item(), 1e-3)

    def test_augmentation_of_no_strength_changes_nothing(self):
        sound = 0.1 * torch.randn(2, RATE)
        same = features.augment(sound, torch.randn(2, RATE), features.Chance("cpu", 1), 0.0)
        self.assertLess((same - sound).abs().max().item(), 1e-5)
        other = features.augment(sound, torch.randn(2, RATE), features.Chance("cpu", 1), 1.0)
        self.assertTrue(torch.isfinite(other).all())
        self.assertGreater((other - sound).abs().max().item(), 0.01)

    def test_a_warp_moves_a_tone_along_the_mels(self):
        tone = torch.sin(torch.arange(RATE) * 2 * torch.pi * 1500 / RATE)[None]
        places = [features.log_mel(tone, torch.tensor([warp]))[0].mean(1).argmax().item() for warp in (0, features.NO_WARP, 30)]
        self.assertEqual(sorted(set(places)), places)
        same = features.log_mel(tone, torch.tensor([features.NO_WARP])) - features.log_mel(tone)
        self.assertLess(same.abs().max().item(), 1e-4)

    def test_spec_augment_hides_spans_and_bands(self):
        mel = torch.randn(4, 80, 800)
        masked = features.spec_augment(mel, features.Chance("cpu", 3))
        hidden = masked != mel
        self.assertTrue(0.02 < hidden.float().mean().item() < 0.6)
        self.assertTrue(torch.equal(masked[hidden], mel.mean(dim=(1, 2), keepdim=True).expand_as(mel)[hidden]))

    def test_muon_makes_matrices_orthogonal(self):
        steps = orthogonal(torch.randn(3, 16, 48))
        singular = torch.linalg.svdvals(steps)
        self.assertTrue(((singular > 0.5) & (singular < 1.4)).all())

    def test_speech_to_text_trains_restarts_and_exports(self):
        self.tone_source()
        with ShardWriter(self.folder, "held_out_dev", 0) as writer:
            writer.add(np.zeros(RATE, np.int16), "Call Anna now.", "nobody", "test")
        common = ["--data", str(self.folder), "--tokens", str(self.folder), "--run", str(self.folder / "run"), "--d-model", "64",
                  "--encoder-layers", "1", "--decoder-layers", "1", "--batch-seconds", "16", "--hours", "0.01", "--ctc-only", "0"]
        run(train_stt, [*common, "--minutes", "0.001"])
        first = torch.load(self.folder / "run/checkpoint.pt", weights_only=True)["progress"]
        run(train_stt, [*common, "--minutes", str(first["seconds"] / 60 + 0.001)])
        second = torch.load(self.folder / "run/checkpoint.pt", weights_only=True)["progress"]
        self.assertGreater(second["step"], first["step"])
        log = (self.folder / "run/log.jsonl").read_text()
        self.assertEqual(log.count('"measured": "held_out_dev"'), 2)
        run(export_stt, ["--checkpoint", str(self.folder / "run/checkpoint.pt"), "--tokens", str(self.folder),
                         "--out", str(self.folder / "out")])
        WhisperForConditionalGeneration.from_pretrained(self.folder / "out")

    def test_a_teacher_is_listened_to(self):
        source = self.tone_source(empty=0)
        tokens = source.tokens
        torch.manual_seed(0)
        other = SttModel(SttConfig(tokens.size, d_model=64, heads=1, encoder_layers=2, decoder_layers=1, ffn=64))
        export_stt.export(other, tokens, self.folder / "tokenizer.json", self.folder / "teacher")
        wise = teacher.Teacher(self.folder / "teacher", tokens, "cpu", torch.float32)
        batch = source.batch(source.plan(4, 4.0), 4.0)
        mel = features.log_mel(batch.samples)
        # Who is the teacher has nothing to learn, led or not; who is not learns in every part.
        copy = SttModel.of_folder(self.folder / "teacher")
        states = copy.encoder.states(mel)
        for led, apart in ((1, True), (0, False)):
            found, audio = wise.listening(copy.encoder, mel, led, apart)
            self.assertLess(max(abs(loss.item()) for loss in found.values()), 1e-4)
            self.assertLess(max((a - b).abs().max().item() for a, b in zip([*states, audio], [*wise.states, states[-1]])), 1e-4)
            found = wise.reading(copy.decoder, audio, audio, batch.tokens, batch.targets, led)
            same = found.pop("expected"), found.pop("said")
            self.assertLess(max(abs(loss.item()) for loss in found.values()), 1e-4)
        self.assertLess((F.cross_entropy(copy.decoder(batch.tokens, audio).flatten(0, 1), batch.targets.flatten()) - same[1]).abs().item(), 1e-4)
        expected = wise.expected(batch.tokens)
        wanted = copy.decoder(batch.tokens, states[-1]).softmax(-1)[..., : tokens.end + 1]
        self.assertLess((expected - wanted).abs().max().item(), 1e-4)
        pupil = SttModel(SttConfig(tokens.size, d_model=64, heads=1, encoder_layers=2, decoder_layers=1, ffn=64))
        found, audio = wise.listening(pupil.encoder, mel, 1, True)
        self.assertLess((audio[1:] - pupil.encoder(mel)[1:]).abs().max().item(), 1e-4)
        read = wise.reading(pupil.decoder, audio.detach(), wise.states[-1], batch.tokens, batch.targets, 1)
        # Nobody expects the teacher's words better than the teacher.
        self.assertGreater(read["expected"].item(), same[0].item())
        sum([*found.values(), *read.values()]).backward()
        self.assertTrue(all(p.grad.abs().sum() > 0 for p in pupil.parameters() if p.requires_grad))
        # Who is not trusted teaches nothing; each window counts by its trust.
        some = torch.tensor([0.5, 0, 1, 0])
        whole, part, rest, none = (wise.listening(pupil.encoder, mel, 0, False, trust)[0] for trust in (None, some, 1 - some, 0 * some))
        for name, loss in whole.items():
            self.assertAlmostEqual(loss.item(), part[name].item() + rest[name].item(), places=4)
            self.assertEqual(none[name].item(), 0)
        # Apart, what the last layer makes teaches nobody below it.
        pupil.zero_grad()
        wise.listening(pupil.encoder, mel, 0, True)[0]["end"].backward()
        self.assertIsNone(pupil.encoder.conv1.weight.grad)
        common = ["--data", str(self.folder), "--tokens", str(self.folder), "--run", str(self.folder / "run"), "--d-model", "64",
                  "--encoder-layers", "2", "--decoder-layers", "1", "--batch-seconds", "40", "--hours", "0.01", "--measure",
                  "--teacher", str(self.folder / "teacher")]
        run(train_stt, [*common, "--minutes", "0.05", "--apart", "1", "--rounded", "1"])
        checkpoint = torch.load(self.folder / "run/checkpoint.pt", weights_only=True)
        done = checkpoint["progress"]["seconds"] / 60
        del checkpoint["optimizers"]  # it may have travelled without them
        torch.save(checkpoint, self.folder / "run/checkpoint.pt")
        run(train_stt, [*common, "--minutes", str(done + 0.05), "--apart", "0", "--rounded", "0"])
        rows = [json.loads(line) for line in (self.folder / "run/log.jsonl").read_text().splitlines()]
        self.assertGreaterEqual(rows[0].keys(), {"map1", "fresh_audio_maps", "fresh_said", "end_alone"})
        self.assertGreaterEqual(rows[-1].keys(), {"end", "said"})
        self.assertNotIn("end_alone", rows[-1])
        self.assertTrue(all(np.isfinite(row["norm"]) for row in rows))

    def test_four_bits_are_sixteen_steps_a_block(self):
        matrix = torch.randn(3, 64)
        rounded = train_stt.in_four_bits(matrix)
        for block, of in zip(rounded.unflatten(-1, (-1, 32)).flatten(0, 1), matrix.unflatten(-1, (-1, 32)).flatten(0, 1)):
            self.assertLessEqual(len(block.unique()), 16)
            self.assertLess((block - of).abs().max().item(), of.abs().max().item() / 7.9)
        self.assertLess((train_stt.in_four_bits(rounded) - rounded).abs().max().item(), 1e-5)
        self.assertTrue(torch.equal(train_stt.in_four_bits(torch.zeros(1, 32)), torch.zeros(1, 32)))

    def test_speech_that_nobody_wrote_down_is_for_the_teacher_alone(self):
        tokens = small_tokens(self.folder)
        with ShardWriter(self.folder, "human_untold", 0) as writer:
            writer.add(np.full(15 * RATE, 900, np.int16), "", "a", "test")
        source = WindowSource(self.folder, tokens, "cpu", 1, hours=0.01, sources=mixes("untold=1"), empty=0)
        self.assertEqual(len(source.found["untold"]), 3)  # of 5 s
        for window in source.plan(20, 8.0):
            self.assertEqual(set(window.out), {IGNORED})
            self.assertTrue(window.pieces)

    def test_a_pruned_vocabulary_keeps_common_pieces(self):
        whole = vocabulary.train(TEXTS, 400)
        whole.save(str(self.folder / "tokenizer.json"))
        small = vocabulary.pruned(self.folder / "tokenizer.json", TEXTS[:20], 300)
        small.save(str(self.folder / "small.json"))
        names = set(whole.get_vocab())
        self.assertLessEqual(set(small.get_vocab()), names)
        self.assertEqual(small.decode(small.encode(" " + TEXTS[0]).ids), " " + TEXTS[0])

    def test_single_digits_become_strings_of_one_speaker(self):
        digits = [(np.full(1000, 9000, np.int16), "Three", "a"), (np.full(1000, 9000, np.int16), "Five", "b")]
        for audio, text, speaker in corpora.digit_strings(iter(digits), 20):
            self.assertEqual(set(text.lower().split()), {"three" if speaker == "a" else "five"})
            self.assertGreaterEqual(len(audio), 1000 * len(text.split()))

    def test_what_measures_is_in_no_text_to_learn(self):
        texts = ["It was the best of times, it was the worst.", "Nobody knew the way to the old mill."]
        self.assertEqual(sentences.without_runs_of(texts, ["SO IT WAS THE BEST OF TIMES INDEED"]), texts[1:])

    def test_books_become_sentences(self):
        (self.folder / "book.txt").write_text(
            "Title\n*** START OF THE PROJECT ***\nCHAPTER ONE\n\n\"I saw 3 ships,\" he said. Nobody\nelse had seen them; "
            "that was _odd_, he thought!\n\n*** END OF THE PROJECT ***\nLicence text that nobody reads aloud.\n")
        self.assertEqual(sentences.book_sentences(self.folder), ["Nobody else had seen them.", "That was odd, he thought!"])

    def test_word_errors(self):
        self.assertEqual(words.errors("The cat sat on twenty-one mats, Mister.", "the cat sat 21 big hats, Mr."), (3, 7))
        self.assertEqual(words.rate([("a b", ""), ("c d", "c d e")]), 0.75)

    def taught(self) -> None:
        """A shard of four utterances as synthesize.py --set voice writes them."""
        with ShardWriter(self.folder, "voice", 0) as writer:
            for i in range(4):
                writer.add((3000 * np.sin(np.arange(RATE + 800 * i) / 5)).astype(np.int16), "Call Anna now.", "slt", "test",
                           phones=[["k", 0.2], ["ao", 0.4], ["l", 0.5], ["ae", 0.6], ["n", 0.7], ["ax", 0.8], ["n", 0.85], ["aw", 1.0]])

    def voice_batches(self) -> tuple[Utterances, train_voice.VoiceBatches]:
        self.taught()
        utterances = Utterances(self.folder, ["voice"])
        train_voice.train_tokenizer(TEXTS, self.folder)
        pieces = sentencepiece.SentencePieceProcessor(model_file=str(self.folder / "spm_char.model"))
        return utterances, train_voice.VoiceBatches(utterances, pieces, "cpu", seed=1)

    def test_voice_batches_hold_each_utterance_once(self):
        utterances, batches = self.voice_batches()
        batch = batches.batch(np.arange(4))
        for i in range(4):
            mel = features.voice_mel(torch.from_numpy(utterances.audio(i))[None])[0]
            frames = 2 * int(batch.said[i].sum())
            self.assertEqual(frames, len(mel) // 2 * 2)
            self.assertLess((batch.labels[i, :frames] - mel[:frames]).abs().max().item(), 5e-3)
        self.assertEqual(sorted(i for rows in batches.round(2.5) for i in rows), [0, 1, 2, 3])
        self.assertEqual([len(rows) for rows in batches.round(1000)], [4])

    def test_voice_passes_equal_transformers(self):
        _, batches = self.voice_batches()
        batch = batches.batch(np.arange(4))
        model = train_voice.new_model(80).eval()
        model.speecht5.decoder.prenet.config.speech_decoder_prenet_dropout = 0.0
        frames = batch.said.repeat_interleave(2, 1)
        with torch.no_grad():
            encoded = train_voice.encode(model, batch.tokens, batch.known)
            past = train_voice.blurred_past(batch.labels[:, 1::2], batch.said, torch.zeros(80), torch.ones(80), hidden=0, noise=0)
            states, looked = train_voice.decode(model, encoded, batch.known, past)
            published = model(input_ids=batch.tokens, attention_mask=batch.known.long(), output_attentions=True,
                              labels=batch.labels.masked_fill(~frames[..., None], -100),
                              speaker_embeddings=train_voice.speaker().expand(4, -1))
            self.assertAlmostEqual(train_voice.spoken_loss(model, states, batch).item(), published.loss.item(), places=4)
        for ours, theirs in zip(looked, published.cross_attentions):
            self.assertLess((ours - theirs).abs().max().item(), 1e-4)

    def test_voice_trains_restarts_and_speaks_in_transformers(self):
        self.taught()
        common = ["--data", str(self.folder), "--run", str(self.folder / "run"), "--save-minutes", "0"]
        for minutes in ("0.001", "0.1"):  # the second goes on from the checkpoint of the first
            run(train_voice, [*common, "--minutes", minutes, "--batch-seconds", "4"])
            run(train_vocoder, [*common, "--minutes", minutes, "--batch", "2", "--mel-only-minutes", "0", "--frames", "16",
                                "--voice", str(self.folder / "run")])
        run(train_voice, ["--run", str(self.folder / "run"), "--slim", str(self.folder / "slim")])
        run(train_voice, ["--run", str(self.folder / "slim"), "--export", str(self.folder / "voice")])
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
        times = alignment.letter_times(alignment.pairs([text, "Oh no."], [alignment.numbers(phones)] * 2)[0], phones)
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
