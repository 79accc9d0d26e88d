#!/bin/sh -e
# The voice of a run as data/models/parley-mini-voice: exported, converted, compressed to int8, measured, with its card.
#     release_voice.sh RUN DATA [BUILD [LISTENER ...]]
# RUN: of train_voice.py and train_vocoder.py; DATA: of synthesize.py --set voice; LISTENER: pocketsphinx (if none is named), or the
# folder of a speech-to-text model
here=$(dirname "$0")
run=$1 data=$2 build=${3:-$here/../../build}
shift $(($# < 3 ? $# : 3))
[ $# -gt 0 ] || set -- pocketsphinx
model=$here/../../data/models/parley-mini-voice
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 "$here/train_voice.py" --run "$run" --export "$work/voice"
python3 "$here/train_vocoder.py" --run "$run" --export "$work/vocoder"
"$build/parley" convert "$work/voice" --vocoder "$work/vocoder" --voices "$work/voice/voices" -o "$work/f16" --name parley-mini-voice
"$build/parley" compress "$work/f16" -o "$work/parley-mini-voice" --weights int8
sed -i 's/"name": "parley-mini-voice-int8"/"name": "parley-mini-voice"/' "$work/parley-mini-voice/model.json"
python3 "$here/evaluate_voice.py" --data "$data" --voice "$work/parley-mini-voice" --build "$build" --listeners "$@" \
        --table "$work/results.md" --picture "$work/parley-mini-voice/spectrogram.png"
{ cat "$here/parley-mini-voice.md"; echo; cat "$work/results.md"; } > "$work/parley-mini-voice/MODEL_CARD.md"
rm -rf "$model"
mkdir -p "$(dirname "$model")"
mv "$work/parley-mini-voice" "$model"
