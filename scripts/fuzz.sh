#!/usr/bin/env bash
# Runs the fuzz targets: libFuzzer thinks up what strangers could send, led by which code each input reaches, and stops at the first input
# that panics, breaks what a target says must hold, or takes ten seconds. The stable toolchain and a C++ compiler are all it needs: the
# panics of Rust are what is looked for, so there is no sanitizer.
#
#   scripts/fuzz.sh [--seconds N] [TARGET ...]      all targets, 60 seconds each, unless told otherwise
#
# An input that fails is kept in fuzz/artifacts, what was learnt in fuzz/corpus; neither is committed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../fuzz"

each=60
if [ "${1:-}" = --seconds ]; then
  each=${2:?--seconds needs a number}
  shift 2
fi
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
  for file in fuzz_targets/*.rs; do targets+=("$(basename "$file" .rs)"); done
fi
for target in "${targets[@]}"; do
  [ -e "fuzz_targets/$target.rs" ] || { echo "no target is called $target: see fuzz/fuzz_targets" >&2 && exit 2; }
  compgen -G "seeds/$target/*" >/dev/null || { echo "fuzz/seeds/$target has no input to begin with" >&2 && exit 2; }
done

# Naming the machine keeps these flags away from build scripts and macros. They tell libFuzzer which code an input reaches and which values
# it was compared with.
machine=$(rustc -vV | sed -n 's/^host: //p')
RUSTFLAGS="-Cpasses=sancov-module"
for option in level=4 inline-8bit-counters pc-table trace-compares; do
  RUSTFLAGS+=" -Cllvm-args=-sanitizer-coverage-$option"
done
export RUSTFLAGS
cargo build --release --bins --locked --target "$machine" --target-dir target

log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0
failed=0
for target in "${targets[@]}"; do
  mkdir -p "corpus/$target" "artifacts/$target"
  if RUST_BACKTRACE=0 "target/$machine/release/$target" "corpus/$target" "seeds/$target" -max_total_time="$each" -timeout=10 \
    -artifact_prefix="artifacts/$target/" >"$log" 2>&1 </dev/null; then
    passed=$((passed + 1))
    echo "ok      $target: $(sed -n 's/^#\([0-9]*\)\tDONE.*/\1/p' "$log") inputs"
  else
    failed=$((failed + 1))
    echo "FAILED  $target; once more: (cd fuzz && target/$machine/release/$target $(sed -n 's/.*Test unit written to //p' "$log"))"
    grep -vE '^(#[0-9]+|\s+NEW_FUNC)' "$log" | tail -n 40 | sed 's/^/        /'
  fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
