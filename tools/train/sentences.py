"""Text to speak: the public-domain sentences of LJ Speech, of whole books, and sentences of our own grammar."""

import csv
import random
import re
import unicodedata
from pathlib import Path

MEASURING_SPEAKERS = {"1272", "2035"}  # of dev-clean

NAMES = """Anna Ben Carla David Emma Frank Grace Henry Iris Jack Karen Liam Maria Nina Oscar Peter Rosa Sam Tina Victor
Wendy Helen Robert Laura Daniel Sophie Martin Julia Thomas Alice George Susan Paul Kate Simon Ruth Mark Lucy
John Michael Sarah James Linda Mary Emily Tom""".split()
PLACES = """London Paris Berlin Madrid Rome Vienna Boston Chicago Denver Seattle Toronto Sydney Tokyo Oslo Dublin Lisbon Athens
Prague Austin Dallas Geneva Munich Zurich Cairo Delhi Moscow Warsaw Brussels Stockholm""".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
ROOMS = ["kitchen", "bedroom", "bathroom", "living room", "garage", "garden", "office", "hall", "cellar", "attic"]
THINGS = ["light", "lamp", "radio", "television", "fan", "heater", "window", "door", "music", "alarm", "camera", "printer"]
COLOURS = "red green blue yellow white black brown orange purple grey".split()
GOODS = ["milk", "bread", "butter", "coffee", "tea", "sugar", "rice", "apples", "oranges", "eggs", "cheese", "water", "potatoes",
         "tomatoes", "paper", "soap", "flour", "onions", "carrots", "fish"]
WEATHER = ["sunny", "rainy", "cloudy", "windy", "cold", "warm", "snowy", "foggy", "stormy", "dry"]
VERBS = ["turn on", "turn off", "switch on", "switch off", "open", "close", "start", "stop", "check", "move", "clean", "repair"]
UNITS = ["minutes", "hours", "meters", "miles", "pounds", "dollars", "degrees", "seconds", "days", "weeks", "pages", "euros"]
JOBS = ["doctor", "teacher", "driver", "baker", "farmer", "lawyer", "nurse", "singer", "writer", "painter", "pilot", "judge"]
ONES = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
eighteen nineteen""".split()
TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()
ORDINALS = """first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth
sixteenth seventeenth eighteenth nineteenth twentieth twenty-first twenty-second twenty-third twenty-fourth twenty-fifth
twenty-sixth twenty-seventh twenty-eighth twenty-ninth thirtieth thirty-first""".split()

# A word in braces is drawn from the list or number maker of that name.
TEMPLATES = """{verb} the {thing} in the {room}.
{verb} the {colour} {thing}.
Please {verb} the {thing}.
Could you {verb} the {thing} in the {room}?
Is the {thing} in the {room} still on?
Turn the {thing} in the {room} up a little.
Set a timer for {number} minutes.
Wake me up at {time}.
Call {name} {when}.
Send a message to {name}: I will be there at {time}.
Tell {name} that the meeting is on {day} at {time}.
The meeting is on {day} at {time}.
What is the weather in {place}?
What will the weather be like in {place} on {day}?
It will be {weather} in {place} on {day}.
The temperature is {number} degrees.
How far is it from {place} to {place}?
It is {number} {unit} from here to {place}.
Today is {day}, {month} {ordinal}.
The {ordinal} of {month} is a {day}.
My birthday is on the {ordinal} of {month}, {year}.
He was born in {place} in {year}.
In {year} they moved from {place} to {place}.
My number is {digits}.
The code is {digits}.
{digits}.
Room {number} is on the {ordinal} floor.
Please buy {number} {good} and some {good}.
We need {good}, {good} and {good}.
That will be {number} dollars and {number} cents.
The price rose from {number} to {number} dollars.
{name} and {name} live in {place}.
{name} is a {job} from {place}.
Where does {name} live now?
Who told you that {name} was in {place}?
Why did the {job} leave {place} so early?
When does the train to {place} leave?
The train to {place} leaves at {time} from platform {number}.
The next bus comes in {number} minutes.
Do you have any {good} left?
I would like {number} {good}, please.
How many {unit} are left?
Play some music in the {room}.
Play the {colour} song again.
Yes, {name}, the {room} is {colour}.
No, {name}, the {room} is {colour}.
Today is {day}, {month} {number}.
Wake me up at {time}.
Go {direction} {number} {unit}.
{number} plus {number} is {number}.
Good morning, {name}, how are you today?
Thank you very much, {name}.
Yes, please. No, thank you.
The {colour} {thing} belongs to {name}.
Read page {number} again, please.
Remind me {when} to call the {job}.
I think that the {job} is right.
Please repeat that more slowly.
The answer is {number} percent.
Chapter {number}.
The parcel for {name} arrived on {day}.
Nobody knew what the {job} wanted in the {room}.
She paid {number} {unit} for a {colour} {thing}.""".splitlines()


def number(n: int) -> str:
    if n < 20:
        return ONES[n]
    if n < 100:
        return TENS[n // 10] + ("-" + ONES[n % 10] if n % 10 else "")
    if n < 1000:
        return ONES[n // 100] + " hundred" + (" and " + number(n % 100) if n % 100 else "")
    return number(n // 1000) + " thousand" + (" " + number(n % 1000) if n % 1000 else "")


def year(rng: random.Random) -> str:
    century, rest = rng.choice([17, 18, 19, 20]), rng.randrange(10, 100)
    return number(century) + " " + number(rest)


def fill(template: str, rng: random.Random) -> str:
    makers = {
        "verb": lambda: rng.choice(VERBS), "thing": lambda: rng.choice(THINGS), "room": lambda: rng.choice(ROOMS),
        "colour": lambda: rng.choice(COLOURS), "name": lambda: rng.choice(NAMES), "place": lambda: rng.choice(PLACES),
        "day": lambda: rng.choice(DAYS), "month": lambda: rng.choice(MONTHS), "good": lambda: rng.choice(GOODS),
        "weather": lambda: rng.choice(WEATHER), "unit": lambda: rng.choice(UNITS), "job": lambda: rng.choice(JOBS),
        "ordinal": lambda: rng.choice(ORDINALS), "year": lambda: year(rng),
        "when": lambda: rng.choice(["now", "today", "tonight", "tomorrow", "again", "later", "on " + rng.choice(DAYS)]),
        "direction": lambda: rng.choice(["left", "right", "forward", "back"]),
        "digits": lambda: " ".join(rng.choice(ONES[:10]) for _ in range(rng.randrange(3, 9))),
        "time": lambda: number(rng.randrange(1, 13)) + rng.choice(
            [" o'clock", " thirty", " fifteen", " forty-five", " twenty", "", " in the morning", " in the evening"]),
        "number": lambda: number(rng.choice([rng.randrange(1, 13), rng.randrange(100), rng.randrange(1000),
                                             100 * rng.randrange(10, 100)])),
    }
    out = template
    for key, make in makers.items():
        while "{" + key + "}" in out:
            out = out.replace("{" + key + "}", make(), 1)
    return out[0].upper() + out[1:]


def own_sentences(count: int, seed: int, forbidden: set[str] = frozenset()) -> list[str]:
    """Different sentences, none of them forbidden (the sentences that measure)."""
    rng = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        sentence = fill(rng.choice(TEMPLATES), rng)
        if sentence not in forbidden:
            found[sentence] = None
    return list(found)


def lj_sentences(corpus: Path) -> dict[str, str]:
    """Identifier -> sentence, numbers in words. Public domain."""
    with open(corpus / "ljspeech_sentences.csv", newline="", encoding="utf-8") as file:
        return {row[0]: clean(row[2]) for row in csv.reader(file, delimiter="|", quoting=csv.QUOTE_NONE)}


def book_sentences(folder: Path | None, longest: int = 170) -> list[str]:
    """Different sentences of the plain texts in a folder (Project Gutenberg's form), each of which can be said in 15 s: no figures,
    no chapter heads. Nothing for no folder."""
    found: dict[str, None] = {}
    for path in sorted(folder.glob("*.txt")) if folder else []:
        text = path.read_bytes().decode("utf-8", "replace").replace("\r", "")
        body = re.split(r"\*\*\* ?(?:START|END) OF [^*]*\*\*\*", text)
        for paragraph in re.split(r"\n\s*\n", max(body, key=len)):
            whole = clean(paragraph.replace("_", "").replace("\n", " "))
            for sentence in re.split(r"(?<=[.!?;])\s+(?=[A-Z'a-z])", whole):
                sentence = re.sub(r"(?<![A-Za-z])'|'(?![A-Za-z])", "", sentence).strip(" ,;:")
                if 15 < len(sentence) < longest and re.fullmatch(r"[A-Za-z][A-Za-z',.;:!? -]*", sentence) and not sentence.isupper():
                    found[sentence[0].upper() + sentence[1:] + ("" if sentence[-1] in ".!?" else ".")] = None
    return list(found)


def manifest(folder: Path) -> list[dict]:
    """relative_path, speaker, duration_s and transcript of each recording."""
    with open(folder / "manifest.tsv", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def measured_texts(corpus: Path) -> list[str]:
    """Transcripts of the human recordings that measure, and the LJ sentences that no voice is to teach."""
    names = ("librispeech_test_clean_4", "librispeech_test_other_100", "librispeech_dev_clean_mp3", "commands")
    spoken = [row["transcript"] for name in names for row in manifest(corpus / name)
              if name != "librispeech_dev_clean_mp3" or row["speaker"] in MEASURING_SPEAKERS]
    return spoken + [text for name, text in lj_sentences(corpus).items() if held_out(name)]


def plain(text: str) -> str:
    """Without case, punctuation and hyphens."""
    return " ".join(re.sub(r"[^a-z' ]", "", text.lower().replace("-", " ")).split())


def without_runs_of(texts: list[str], measured: list[str], length: int = 6) -> list[str]:
    """Texts that share no run of this many words with what measures."""
    def runs(text: str) -> set[tuple[str, ...]]:
        words = plain(text).split()
        return {tuple(words[i: i + length]) for i in range(len(words) - length + 1)}

    forbidden = set().union(*map(runs, measured))
    return [text for text in texts if forbidden.isdisjoint(runs(text))]


def clean(text: str) -> str:
    """ASCII as far as English goes, no quotation marks: nobody hears them."""
    table = str.maketrans({"’": "'", "‘": "'", "—": ", ", "–": ", ", **dict.fromkeys('“”"[]()', "")})
    text = unicodedata.normalize("NFKD", text.translate(table).replace("--", ", ").replace(" ,", ","))
    return " ".join(text.encode("ascii", "ignore").decode().split())


def held_out(identifier: str) -> bool:
    """About 2 % of the LJ sentences are never trained on in any voice: the chapters LJ050 from 0200 on."""
    return identifier.startswith("LJ050-") and identifier >= "LJ050-0200"


def read_speech(transcript: str) -> str:
    """Capital transcripts without punctuation (LibriSpeech, AN4) as a sentence: single letters stay capitals."""
    if not transcript.isupper():
        return transcript[0].upper() + transcript[1:]
    words = transcript.split()
    spelled = {i for i, word in enumerate(words)
               if len(word) == 1 and (word not in "AI" or any(
                   0 <= j < len(words) and len(words[j]) == 1 for j in (i - 1, i + 1)))}
    out = [word if i in spelled or word == "I" or word.startswith("I'") else word.lower() for i, word in enumerate(words)]
    out = [("I'" + word[2:].lower()) if word.startswith("I'") else word for word in out]
    text = " ".join(out)
    return text[0].upper() + text[1:]
