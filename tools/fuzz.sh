#!/usr/bin/env bash
# Feeds the parsers mutated files under AddressSanitizer:
#
#   tools/fuzz.sh [-n runs] [target ...]     default: 1,000,000 runs of every tests/fuzz/<target>_fuzz.cpp
#
# A target names in its first line the rooms that it is built of. tests/fuzz/corpus/<target>/ holds the inputs to start
# from; what libFuzzer finds on the way is kept in build/fuzz/. Exit status 1 when an input crashes, hangs or leaks:
# the input lies in build/fuzz/<target>/, and `build/fuzz/<target>_fuzz FILE` runs it again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

runs=1000000
if [ "${1:-}" = -n ]; then
  runs=$2
  shift 2
fi
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
  for source in tests/fuzz/*_fuzz.cpp; do targets+=("$(basename "$source" _fuzz.cpp)"); done
fi

out=build/fuzz
mkdir -p "$out/objects"
python3 tools/opgen.py src/ops "$out/gen"
# Only what a target reaches is linked: a room may have sources that refer to rooms which are left out.
flags=(-w -std=c++20 -O1 -g1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
  -ffunction-sections -Iinclude -Isrc "-I$out/gen")
compiler=(clang++-19)
! command -v ccache >/dev/null || compiler=(ccache clang++-19)

compile() {
  local source=$1 object
  object=$out/objects/${source//\//_}.o
  [ "$object" -nt "$source" ] && [ -z "$(find include src -name '*.h' -newer "$object" -print -quit)" ] ||
    "${compiler[@]}" "${flags[@]}" -c "$source" -o "$object"
}

# build <target>
build() {
  local source=tests/fuzz/$1_fuzz.cpp rooms sources objects=() s
  rooms=$(sed -n '1s|^// rooms: ||p' "$source")
  [ -n "$rooms" ] || { echo "fuzz: $source must name its rooms in its first line" >&2; return 1; }
  sources=$(for room in $rooms; do
    folder=src/$room
    [ "$room" != gen ] || folder=$out/gen  # what opgen wrote: the list of all ops
    # What needs LLVM is the compiler's and thixo-gen's: no target reaches it.
    find "$folder" -name '*.cpp' ! -name '*_test.cpp' ! -path 'src/codegen/llvm/*' ! -path 'src/codegen/gen_*.cpp'
  done)
  export out
  export -f compile
  declare -p flags compiler >"$out/settings"
  printf '%s\n' "$source" $sources | xargs -P "$(nproc)" -I{} bash -c 'source "$out/settings"; compile {}'
  for s in $source $sources; do objects+=("$out/objects/${s//\//_}.o"); done
  clang++-19 -fsanitize=fuzzer,address,undefined -fuse-ld=lld -Wl,--gc-sections "${objects[@]}" -pthread \
    -o "$out/$1_fuzz"
}

failed=0
for target in "${targets[@]}"; do
  echo "fuzz $target: building"
  build "$target"
  mkdir -p "$out/$target/corpus"
  corpus=("$out/$target/corpus")
  [ ! -d "tests/fuzz/corpus/$target" ] || corpus+=("tests/fuzz/corpus/$target")
  dictionary=()
  [ ! -f "tests/fuzz/$target.dict" ] || dictionary=("-dict=tests/fuzz/$target.dict")
  log=$out/$target.log
  echo "fuzz $target: $runs runs"
  start=$SECONDS
  # libFuzzer prints a line for every power of two and every find; one in 20 seconds is enough to see that it lives.
  if "$out/${target}_fuzz" -runs="$runs" -max_len=8192 -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
    "-artifact_prefix=$out/$target/" "${dictionary[@]}" "${corpus[@]}" 2>&1 | tee "$log" |
    awk '/^#[0-9]+/ { if (systime() - last >= 20) { last = systime(); print "  " $0; fflush() } }'; then
    done_runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    echo "fuzz $target: $done_runs runs without a finding in $((SECONDS - start)) s"
  else
    failed=1
    echo "fuzz $target: FAILED (the whole log: $log)"
    grep -E '^(==|SUMMARY|.*(runtime error|artifact_prefix|Test unit written))' "$log" | tail -n 10 | sed 's/^/  /'
  fi
done
exit "$failed"
