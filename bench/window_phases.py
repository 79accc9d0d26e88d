#!/usr/bin/env python3
"""Does it matter where the windows fall? Word error rates of long recordings for both strategies and several phases.

    python3 bench/window_phases.py build/models/pilot-en ../shared/corpus/commands ../shared/corpus/an4

Makes recordings of utterances, with pauses and without any, each led by some seconds of silence, and transcribes them with
--vad off, so that all windows shift by the lead, and the same with the detector, which skips it.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from score import word_error_rate

HERE = Path(__file__).parent


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("corpora", nargs="+")
    parser.add_argument("--program", default="build/transcribe")
    parser.add_argument("--minutes", default="10")
    parser.add_argument("--leads", nargs="+", default=["0", "1", "2", "5", "9"])
    parser.add_argument("--options", nargs=argparse.REMAINDER, default=[], help="of transcribe; last")
    arguments = parser.parse_args()
    print("| pauses | strategy | vad | " + " | ".join(f"{lead} s first" for lead in arguments.leads) + " |")
    print("|---" * (len(arguments.leads) + 3) + "|")
    with tempfile.TemporaryDirectory() as folder:
        recording = Path(folder) / "recording.wav"
        for pauses in (["0.2", "2"], ["0", "0"]):
            cells = {("windows", "off"): [], ("windows", "webrtc"): [], ("sequential", "-"): []}
            for lead in arguments.leads:
                make = [sys.executable, HERE / "make_recording.py", *arguments.corpora, "--minutes", arguments.minutes]
                subprocess.run([*make, "--pauses", *pauses, "--lead", lead, "-o", recording], check=True)
                for (strategy, vad), row in cells.items():
                    command = [arguments.program, "-m", arguments.model, "--strategy", strategy, "--quiet"]
                    command += [*(["--vad", vad] if vad != "-" else []), *arguments.options, recording]
                    text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
                    row.append(f"{word_error_rate(recording.with_suffix('.txt').read_text(), text):.2f}")
            for (strategy, vad), row in cells.items():
                print(f"| {pauses[0]} to {pauses[1]} s | {strategy} | {vad} | " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
