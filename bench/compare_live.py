#!/usr/bin/env python3
"""Ours and whisper.cpp's stream example listening to the same recording: processor seconds for a second of it, and how long after a
word has ended it is first shown.

    python3 bench/compare_live.py build/models/pilot-en two.wav --whisper-stream whisper-stream --ggml ggml-model-q8_0.bin

A private PulseAudio server plays the recording at its own speed into a null sink; each program in turn hears the sink's monitor.
Words and when they end come from our transcript of the whole file. A word is shown when a text on the screen has it in the order
of the words spoken just before. Needs pulseaudio and pulseaudio-utils.
"""

import argparse
import difflib
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import threading
import time
import wave
from pathlib import Path

from compare import machine

TOOLS = ["pulseaudio", "pactl", "paplay", "parec"]


def bare_words(text):
    return re.findall(r"[a-z0-9]+", text.lower().replace("'", ""))


def spoken_words(program, model, recording, threads):
    """[(word, seconds at its end)]"""
    command = [program, "-m", model, "--quiet", "-f", "json", "--word-timestamps", "--endpoint-silence", "0.5", "--threads", str(threads), str(recording)]
    transcript = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    words = [word for segment in transcript["segments"] for word in segment["words"]]
    return [(bare, word["end"]) for word in words for bare in bare_words(word["word"])]


class SoundServer:
    """PulseAudio with a null sink, for the programs that are run with its environment."""

    def __init__(self, folder):
        paths = ["XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "PULSE_RUNTIME_PATH", "PULSE_STATE_PATH"]
        self.environment = os.environ | {name: folder for name in paths}
        self.environment |= {"PULSE_SERVER": f"unix:{folder}/sound", "SDL_AUDIODRIVER": "pulseaudio", "HOME": folder}
        modules = [f"module-native-protocol-unix socket={folder}/sound auth-anonymous=1", "module-null-sink sink_name=test rate=48000"]
        command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"]
        self.server = subprocess.Popen(
            command + [part for module in modules for part in ("-L", module)], env=self.environment, stderr=subprocess.DEVNULL
        )
        for _ in range(100):
            if subprocess.run(["pactl", "info"], env=self.environment, capture_output=True).returncode == 0:
                return
            time.sleep(0.1)
        raise SystemExit("PulseAudio does not start")

    def close(self):
        self.server.kill()
        self.server.wait()

    def play(self, recording):
        """Returns when all was played: the moment when the first of it could be heard at the monitor."""
        monitor = subprocess.Popen(
            ["parec", "--device=test.monitor", "--raw", "--rate=16000", "--channels=1", "--format=s16le", "--latency-msec=20"],
            env=self.environment,
            stdout=subprocess.PIPE,
        )
        monitor.stdout.read(3200)  # it runs
        player = subprocess.Popen(["paplay", "--device=test", "--latency-msec=50", str(recording)], env=self.environment)
        while not any(monitor.stdout.read(320)):
            pass
        begun = time.monotonic()
        monitor.kill()
        player.wait()
        return begun


def our_texts(output):
    """Texts, and the bytes that do not make a whole one yet."""
    *lines, rest = output.split(b"\n")
    events = map(json.loads, lines)
    return [event["text"] for event in events if event["event"] in ("partial", "final")], rest


def their_texts(output):
    """Rewritten in place: what stands behind the last return is on the screen."""
    pieces = [piece for piece in re.split(rb"\r|\n", output.replace(b"\x1b[2K", b"")) if piece.strip()]
    return [piece.decode(errors="replace") for piece in pieces[-1:]], b""


class Listener:
    """A program that hears the microphone. What it shows is kept with the time."""

    def __init__(self, command, environment, texts):
        self.shown, self.texts = [], texts
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        rest = b""
        while block := os.read(self.process.stdout.fileno(), 65536):
            now = time.monotonic()
            texts, rest = self.texts(rest + block)
            self.shown += [(now, text) for text in texts]

    def stop(self):
        """Processor seconds of all its life."""
        self.process.send_signal(signal.SIGINT)
        _, _, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = 0
        self.thread.join()
        return usage.ru_utime + usage.ru_stime


def delays(shown, words, begun, memory):
    """Seconds from the end of each word that is ever shown. memory: seconds that a text may reach back."""
    first = {}
    for at, text in shown:
        now = at - begun
        spoken = [i for i, (_, end) in enumerate(words) if now - memory <= end <= now]
        matcher = difflib.SequenceMatcher(None, [words[i][0] for i in spoken], bare_words(text), autojunk=False)
        for block in matcher.get_matching_blocks():
            for i in spoken[block.a : block.a + block.size]:
                first.setdefault(i, now - words[i][1])
    return list(first.values())


def commands(arguments):
    threads = str(arguments.threads)
    yield "parley", our_texts, [
        *[arguments.program, "-m", arguments.model, "--mic", "pulse", "-f", "jsonl", "--quiet"],
        *["--beam", "1", "--temperature", "0", "--threads", threads],
    ]
    yield "whisper.cpp", their_texts, [
        *[arguments.whisper_stream, "-m", arguments.ggml, "-l", "en", "-ng", "-nf", "-t", threads],
        *["--step", str(arguments.step), "--length", str(arguments.length)],
    ]


def measure(command, texts, server, arguments, words):
    listener = Listener(command, server.environment, texts)
    time.sleep(2)
    begun = server.play(arguments.recording)
    time.sleep(2)
    seconds = listener.stop()
    found = sorted(delays(listener.shown, words, begun, arguments.length / 1000 + 3)) or [float("nan")]
    return seconds, len(found), statistics.median(found), found[len(found) * 95 // 100]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="our model folder")
    parser.add_argument("recording", type=Path, help="16 kHz WAV (bench/make_recording.py)")
    parser.add_argument("--program", default="build/transcribe")
    parser.add_argument("--whisper-stream", help="whisper.cpp's program, built with WHISPER_SDL2")
    parser.add_argument("--ggml", help="the same model for it")
    parser.add_argument("--step", type=int, default=500, help="its milliseconds between texts; ours: 500")
    parser.add_argument("--length", type=int, default=5000, help="its milliseconds of audio behind a text")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing or not (arguments.whisper_stream and arguments.ggml):
        print("live beside whisper.cpp is left out: it needs", ", ".join(missing) or "its stream example and --ggml")
        return
    with wave.open(str(arguments.recording)) as file:
        seconds = file.getnframes() / file.getframerate()
    facts = machine()
    words = spoken_words(arguments.program, arguments.model, arguments.recording, arguments.threads)
    print(f"live: {seconds:.0f} s, {len(words)} words, {arguments.threads} threads, {facts['cpu']}, load {facts['load_average']:.1f}")
    print(f"{'':12} {'CPU s/s':>8} {'shown':>6} {'median s':>9} {'95 % s':>7}   from the word's end to the first text with it")
    costs = []
    with tempfile.TemporaryDirectory() as folder:
        server = SoundServer(folder)
        try:
            for name, texts, command in commands(arguments):
                cost, shown, median, late = measure(command, texts, server, arguments, words)
                costs.append(cost)
                print(f"{name:12} {cost / seconds:8.3f} {shown:6} {median:9.2f} {late:7.2f}", flush=True)
        finally:
            server.close()
    print(f"whisper.cpp works {costs[1] / costs[0]:.1f} times as much")


if __name__ == "__main__":
    main()
