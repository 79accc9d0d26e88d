"""Writes whisper_normalizer_golden.json: what openai-whisper's normalizers and jiwer make of texts.

pip install openai-whisper jiwer, then run this. Deterministic. The texts are the cases of
openai-whisper's own tests (test_normalizer.py, MIT licence), sentences of ours, and random
sequences of all the words that numbers are made of.
"""

import json
import pathlib
import random

import jiwer
from whisper.normalizers import BasicTextNormalizer, EnglishTextNormalizer
from whisper.normalizers.english import EnglishNumberNormalizer

PUBLISHED = """two|thirty one|five twenty four|nineteen ninety nine|twenty nineteen|two point five million
four point two billions|200 thousand|200 thousand dollars|$20 million|€52.4 million|£77 thousands
two double o eight|three thousand twenty nine|forty three thousand two hundred sixty
forty three thousand two hundred and sixty|nineteen fifties|thirty first
thirty three thousand and three hundred and thirty third|three billion|millions|july third twenty twenty
august twenty sixth twenty twenty one|3 14|3.14|3 point 2|3 point 14|fourteen point 4
two point two five dollars|two hundred million dollars|$20.1 million|ninety percent|seventy six per cent
double oh seven|double zero seven|nine one one|nine double one|one triple oh one|two thousandth
thirty two thousandth|minus 500|positive twenty thousand|two dollars and seventy cents|3 cents|$0.36
three euros and sixty five cents|three and a half million|forty eight and a half dollars|b747|10 th|10th
mobilisation|cancelation|Let's|he's like|she's been like|10km|10mm|RC232
Mr. Park visited Assoc. Prof. Kim Jr."""

OURS = """The colour of Mrs. O'Neil's neighbour's aeroplane wasn't grey.|I'ma say: y'all can't, won't & shouldn't!
Um, hmm, I'd done it; he'd gone, they'd been there. It's got nothing.|[noise] (laughs) <unk> well [[x]] (a (b) c)
We paid $1,234.56, €5 and £0.07 for 12% of 3,000,000 items.|He said \u201cI\u2019m fine\u201d \u2014 didn\u2019t he?
Na\u00efve caf\u00e9 cr\u00e8me br\u00fbl\u00e9e, \u0141\u00f3d\u017a, stra\u00dfe, \u00d8re, \u00c6on, \u0153uvre
The 21st of May, at 5:30 p.m., 192.168.0.1 went down.|one hundred and one dalmatians and a half
and a half|two and a half and a half|half and a half|nine and   a\u00a0half percent|ones and twos and 1s and 1
point five|zero point zero five|one point two point three|0.5 million|1.23456 thousand|2.50 million|1. 5
minus|minus one|minus minus two|plus and|negative zero|positive of|per cent|percent|one per|per one cent
double|double double|triple nine|double nineteen|triple zero double one|one double|dollar|ten dollars cents
zero|oh|o|zero hundred|0 million|00 7|007 hundred|o o seven|twenty o eight|twenty zero|hundred hundred
one hundred hundred|thousand million billion|nine hundred ninety nine decillion decillion|999999999999999999999999 million
eighth nineth ninth eightth|sixes sixs sixth|ninety ninth|hundredth hundreds thousandths|a hundred and a thousand
twenty ten|twenty eleven twelve|one two three|ten one|eleven one|thirty thirty|one thirty one|hundred one ten
\u0663 \u0664.\u0665 \u0661\u0660|\u0663 million|x\u00b2 \u00bd \u2460 \uff11\uff12|5\u00a0000|a\u2003b\u200bc\u180ed\x1ce
St. John's Dr. Gov. Sen. Rep. Lt. Col. Esq. Sr. Hon. Rev. Pres. Capt. Gen. Ald. Asst.|10 st 3 nd 4 s 5th s
100%|% 5|$|$ 5|5 $|...|.5|5.|a.b|U.S.A.|3.14.15|\u20ac.50|a% b%|$0.00|$0.5|$10.5 \u00a25|$5 and \u00a25
\u0130stanbul \u03a3\u0391\u03a3|\u00e9\u0301|\u4f60\u597d\uff0c\u4e16\u754c\u3002|\u0928\u092e\u0938\u094d\u0924\u0947|\u3053\u3093\u306b\u3061\u306f (\u7b11) \u304c\u3093|\U0001f600 ok|\u1e9e
    |||'tis 'em ' s don 't|it 's rock 'n' roll|ain't ma'am wanna gotta gonna imma woulda coulda shoulda
organise analyse theatre litres travelling practise licence jewellery|1 1s 11 1st|one|ones|the one"""

NOUNS = "dog house meeting colour ticket report engine programme theatre kilometre".split()
NAMES = "Mr. Smith|Mrs. Jones|Dr. Brown|Prof. Lee|St. Paul|Gen. Grant|Anna".split("|")
VERBS = "didn't see|can't find|won't sell|he'd gone to|she's got|they've lost|we're at|I'm near|let's buy".split("|")


def random_texts(count):
    rng = random.Random(1)
    words = sorted(EnglishNumberNormalizer().words) + ["5", "12", "3.5", "0", "$7", "007", "-2", "word", "a", "half"]
    for i in range(count):
        yield " ".join(rng.choice(words) for _ in range(rng.randint(2, 9)))
        small = "one two five nine ten twelve twenty ninety hundred thousand million and point oh double 40 2.5".split()
        number = " ".join(rng.choice(small) for _ in range(rng.randint(1, 6)))
        yield (f"{rng.choice(NAMES)} {rng.choice(VERBS)} the {rng.choice(NOUNS)}, {number} "
               f"{rng.choice(['dollars', 'percent', 'cents', 'euros', 'times', 'dollars and seven cents'])}"
               f"{rng.choice(['.', '!', '?', ''])}")


def word_error_cases(count):
    rng = random.Random(2)
    pairs = [("", ""), ("", "a b"), ("a b", ""), ("a", "a"), ("a b", "b a"), ("a b c", "x a b c"), ("a b c", "c b a")]
    for _ in range(count):
        vocabulary = "abcde"[: rng.randint(2, 5)]
        reference = [rng.choice(vocabulary) for _ in range(rng.randint(1, 14))]
        hypothesis = list(reference)
        for _ in range(rng.randint(0, 8)):
            at = rng.randrange(len(hypothesis) + 1)
            change = rng.randrange(3)
            if change == 0:
                hypothesis.insert(at, rng.choice(vocabulary))
            elif at < len(hypothesis):
                hypothesis[at : at + 1] = [] if change == 1 else [rng.choice(vocabulary)]
        pairs.append((" ".join(reference), " ".join(hypothesis)))
    for reference, hypothesis in pairs:
        out = jiwer.process_words(reference, hypothesis)
        yield [reference, hypothesis, out.hits, out.substitutions, out.deletions, out.insertions, out.wer]


def main():
    english = EnglishTextNormalizer()
    plain, folded = BasicTextNormalizer(), BasicTextNormalizer(remove_diacritics=True)
    letters = BasicTextNormalizer(split_letters=True)
    split = lambda text: [case for line in text.split("\n") for case in line.split("|")]
    published, ours = split(PUBLISHED), split(OURS)
    rows = [[text, english(text)] for text in [*published, *ours, *random_texts(200)]]
    basic = [[text, plain(text), folded(text), letters(text)] for text in ours]
    golden = {"published": len(published), "english": rows, "basic": basic, "word_errors": list(word_error_cases(300))}
    path = pathlib.Path(__file__).parent / "whisper_normalizer_golden.json"
    lines = [f'{json.dumps(key)}: ' + ("[\n" + ",\n".join(json.dumps(row) for row in value) + "]"
                                       if isinstance(value, list) else json.dumps(value))
             for key, value in golden.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


main()
