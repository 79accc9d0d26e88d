#!/bin/sh -e
# The model of a run as data/models/parley-mini-en: converted, compressed, measured, with its card. What train_stt.py rounds while it
# learns is stored in four bits, the encoder's attention in eight.
#     release_stt.sh EXPORTED DATA [BUILD]          EXPORTED: the folder of export_stt.py
here=$(dirname "$0")
exported=$1 data=$2 build=${3:-$here/../../build}
model=$here/../../data/models/parley-mini-en
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$build/parley" convert "$exported" -o "$work/f16" --weights f16 --name parley-mini-en
"$build/parley" compress "$work/f16" -o "$work/parley-mini-en" --weights int4 --keep 'embed_positions=f16' --keep '^encoder.*_proj=int8'
sed -i 's/"name": "parley-mini-en-int4_block32"/"name": "parley-mini-en"/' "$work/parley-mini-en/model.json"
python3 "$here/evaluate_stt.py" --data "$data" --model "$work/parley-mini-en" --transcribe "$build/transcribe" --table "$work/results.md"
{ cat "$here/parley-mini-en.md"; echo; cat "$work/results.md"; } > "$work/parley-mini-en/MODEL_CARD.md"
rm -rf "$model"
mkdir -p "$(dirname "$model")"
mv "$work/parley-mini-en" "$model"
