#!/bin/sh
# run.sh TARGET SEEDS CORPUS: fuzzes for $FUZZ_SECONDS (10). New inputs are added to CORPUS; a crash is left in CORPUS-crashes.
set -eu
target=$1 seeds=$2 corpus=$3
mkdir -p "$corpus" "$corpus-crashes" "$seeds"
exec "$target" "$corpus" "$seeds" -max_total_time="${FUZZ_SECONDS:-10}" -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=256 \
  -max_len=131072 -artifact_prefix="$corpus-crashes/" -print_final_stats=1
