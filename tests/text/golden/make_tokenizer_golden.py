#!/usr/bin/env python3
"""Makes small_tokenizer.json and tokenizer_golden.json with the published implementations.

Needs: pip install tokenizers tiktoken openai-whisper; ../shared/models/pilot-en beside the checkout (GPT-2's
vocabulary as in Whisper's English-only checkpoints).

  small_tokenizer.json    byte-level BPE of 600 pieces, trained here, with the special tokens of multilingual
                          Whisper but without the timestamps, as in the first checkpoints on the Hugging Face hub
  tokenizer_golden.json   texts with the ids of Hugging Face tokenizers under both vocabularies; words, non-speech
                          tokens and compression ratios of openai/whisper
"""

import json
import pathlib
import random

import tiktoken
import whisper.tokenizer
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from whisper.utils import compression_ratio

HERE = pathlib.Path(__file__).resolve().parent
PILOT = HERE.parents[2] / ".." / "shared" / "models" / "pilot-en"

SENTENCES = [
    "The quick brown fox jumps over the lazy dog, and the dog does not mind it at all.",
    "It's what we've said: they're late, I'm early, you'll see, he'd know, don't ask.",
    "Turn on the light in the kitchen and set the timer to twenty-five minutes, please.",
    "She sells 1,024 sea shells for $3.50 each on 12/31/1999 at 07:45 p.m. (or so).",
    "Der Fluss fließt über große Steine; äußerst schöne Bäume stehen dort.",
    "L'été dernier, j'ai mangé des crêpes à l'hôtel où l'on parlait français.",
    "El niño pequeño comió piñas mañana y noche. ¿Qué tal? ¡Olé!",
    "Быстрая коричневая лиса прыгает через ленивую собаку.",
    "Η γρήγορη αλεπού πηδάει πάνω από το τεμπέλικο σκυλί.",
    "今天天气很好，我们去公园散步吧。語言和文字都很有趣。",
    "今日はとても良い天気ですね。カタカナとひらがなを読みます。",
    "오늘은 날씨가 아주 좋습니다. 한국어를 배우고 있어요.",
    "الطقس جميل اليوم، والسماء صافية. كَيْفَ حَالُكَ؟",
    "מזג האוויר יפה היום, והשמיים בהירים.",
    "आज मौसम बहुत अच्छा है। हम बगीचे में घूमेंगे।",
    "วันนี้อากาศดีมาก เราไปเดินเล่นในสวนกันเถอะ",
    "ມື້ນີ້ອາກາດດີຫຼາຍ", "ဒီနေ့ ရာသီဥတု သာယာတယ်", "આજે હવામાન સારું છે", "Hôm nay thời tiết rất đẹp.",
]

TEXTS = SENTENCES + [
    "", " ", "  ", "     x", "x     ", "a  b   c    d", "\t", "\t\tx", "\n", "\n\n\nx \n y", "\r\n", " \t \n mixed",
    "I'M YOU'RE 'sup ''s 's's 'll 'LL don'tt we'dn't", "o'clock 'tis rock'n'roll",
    "0 1 12 123 1234567890 3.14159 1e-10 ½ Ⅷ ٣٤٥ ५६ 四", "3D 4K h264 x86-64 abc123def",
    "!!! ??? ... -- --- -( (' (\" ((( ))) [[ ]] {{ }} << >>> ~~ `` ^^ __ ||", "a.b,c;d:e!f?g", "$5 £6 €7 ¥8 100%",
    "\u00a0nbsp\u00a0\u00a0between\u00a0 x", "thin\u2009space\u3000wide\u2028line\u2029para\u0085nel", "\u1680ogham \u180evowel",
    "zero\u200bwidth\u200cnon\u200djoiner\ufeffbom", "soft\u00adhyphen", "\x00\x01\x02nul\x1f\x7f\x80\x9f", "\x1c\x1d\x1e\x1f sep",
    "e\u0301 a\u0308\u0323 combining n\u0303", "Z\u0351\u036b\u0343a\u0350\u036blgo", "ﬁ ﬀ ligature ǅ ʰ ª º",
    "😀 😂😂😂 👍🏽 👩‍👩‍👧‍👦 🇩🇪🇫🇷 ❤️ ☃ ♪♫ ♪♪♪ ♭♮♯", "「引用」『二重』（括弧）【墨付き】", "𝒳𝔜𝕫 𐍈𐌰 𠀀𠮷 \U0010ffff \ufffd \uffff",
    "<|endoftext|>", "<|startoftranscript|><|en|> <|0.00|> hi <|notimestamps|>", "Ġhello Ċ Ā", "https://example.org/a?b=c&d=%20#e", "snake_case camelCase SCREAMING-KEBAB",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "ababababababababababab", "hahahahahaha the the the thethethe",
]

WORD_TEXTS = [
    ("en", " Hello, world! It's (quite) nice - isn't it? \"Yes,\" she said..."),
    ("en", " naïve café — “quoted” … 3.14 %"), ("de", " Größe und Maß, über alles."), ("ru", " Быстрая лиса, прыгает!"),
    ("ja", "今日はとても良い天気ですね。カタカナ"), ("zh", "今天天气很好，我们去公园。"), ("th", "วันนี้อากาศดีมาก"),
    ("ko", " 오늘은 날씨가 아주 좋습니다."), ("en", " 👩‍👩‍👧‍👦 family ♪ la la ♪"), ("yue", "今日天氣好好"), ("fr", "L'été, c'est l'hôtel."),
]

RATIO_TEXTS = ["", "a", "Hello, world.", "the " * 60, " no" * 100 + " yes", SENTENCES[0] + SENTENCES[1], SENTENCES[9] * 4]


def special_tokens():
    languages = list(whisper.tokenizer.LANGUAGES)[:99]
    return (["<|endoftext|>", "<|startoftranscript|>"] + [f"<|{code}|>" for code in languages] +
            ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nocaptions|>", "<|notimestamps|>"])


def train_small(path):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=600, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    plain = Tokenizer.from_str(tokenizer.to_str())  # without special tokens, as ordinary text is encoded
    tokenizer.add_special_tokens(special_tokens())
    document = json.loads(tokenizer.to_str())
    path.write_text(json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    return plain, document


def byte_ranks(vocab):
    """The vocabulary as bytes by id (openai/gpt-2 bytes_to_unicode, backwards)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    byte = {chr(b): b for b in printable} | {chr(256 + i): b for i, b in enumerate(others)}
    return {bytes(byte[c] for c in token): id for token, id in vocab.items()}


def openai_tokenizer(vocab, specials, language):
    encoding = tiktoken.Encoding("golden", pat_str=whisper.tokenizer.get_encoding("gpt2")._pat_str,
                                 mergeable_ranks=byte_ranks(vocab), special_tokens=specials)
    return whisper.tokenizer.Tokenizer(encoding=encoding, num_languages=100, language=language)


def words(vocab, specials):
    cases = []
    for language, text in WORD_TEXTS:
        tokenizer = openai_tokenizer(vocab, specials, language)
        ids = tokenizer.encode(text, disallowed_special=()) + [tokenizer.eot]
        texts, runs = tokenizer.split_to_word_tokens(ids)
        cases.append({"language": language, "ids": ids, "words": texts, "lengths": [len(run) for run in runs]})
    return cases


def damaged_bytes():
    """Bytes that are not UTF-8 and what Python makes of them."""
    generator = random.Random(1)
    starts = [0x80, 0xC0, 0xC2, 0xE0, 0xE2, 0xED, 0xEF, 0xF0, 0xF3, 0xF4, 0xF5, 0xFF]
    cases = [b"\xe2\x82", b"a\xf0\x9f\x98b", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\x41"]
    for _ in range(60):
        cases.append(bytes(generator.choice(starts + [0x41, 0x82, 0x9F, 0xA0, 0xBF]) for _ in range(generator.randint(1, 8))))
    return [{"hex": case.hex(), "text": case.decode("utf-8", errors="replace")} for case in cases]


def main():
    small, document = train_small(HERE / "small_tokenizer.json")
    small_specials = {token["content"]: token["id"] for token in document["added_tokens"]}
    small_specials |= {f"<|{i * 0.02:.2f}|>": max(small_specials.values()) + 1 + i for i in range(1501)}
    small_vocab = document["model"]["vocab"]

    gpt2_vocab = json.loads((PILOT / "vocab.json").read_text(encoding="utf-8"))
    gpt2 = Tokenizer(models.BPE.from_file(str(PILOT / "vocab.json"), str(PILOT / "merges.txt")))
    gpt2.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    gpt2_ordinary = {token: id for token, id in gpt2_vocab.items() if token != "<|endoftext|>"}
    gpt2_specials = dict(whisper.tokenizer.get_encoding("gpt2")._special_tokens)

    vocabularies = {"small": (small_vocab, small_specials), "gpt2": (gpt2_ordinary, gpt2_specials)}
    # openai/whisper's list assumes that no vocabulary begins " ♪" with a bare space, which the small one does.
    golden = {
        "texts": [{"text": text, "small": small.encode(text).ids, "gpt2": gpt2.encode(text).ids} for text in TEXTS],
        "words": {name: words(*vocabulary) for name, vocabulary in vocabularies.items()},
        "gpt2_non_speech": list(openai_tokenizer(*vocabularies["gpt2"], None).non_speech_tokens),
        "damaged": damaged_bytes(),
        "compression": [{"text": text, "ratio": compression_ratio(text)} for text in RATIO_TEXTS],
    }
    lines = json.dumps(golden, ensure_ascii=True, separators=(",", ":")).replace("},{", "},\n{")
    (HERE / "tokenizer_golden.json").write_text(lines + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
