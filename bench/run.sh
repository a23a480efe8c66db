#!/usr/bin/env bash
# How fast it is, beside something that sets the floor, on the machine at hand. Each scenario is one file of this folder; docs/CAPACITY.md
# has what was measured.
#
#   bench/run.sh SCENARIO [--quick] [--json]
#
# --quick takes one short round instead of five or more; --json prints the last line alone, an object with at least scenario, per_second,
# p50_ms, p99_ms, server_cpu_us (processor time of the server for each request) and floor_us (what cannot be undercut).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C.UTF-8

SCENARIO=
QUICK=
JSON=
for argument in "$@"; do
  case $argument in
    --quick) QUICK=1 ;;
    --json) JSON=1 ;;
    [a-z]*) SCENARIO=$argument ;;
    *) echo "usage: bench/run.sh SCENARIO [--quick] [--json]" >&2 && exit 2 ;;
  esac
done
if [ ! -e "bench/$SCENARIO.sh" ] || [ "$SCENARIO" = run ]; then
  echo "no such scenario: ${SCENARIO:-(none named)}; there are: $(cd bench && ls ./*.sh | sed 's#^\./##; s#\.sh$##' | grep -v '^run$' | tr '\n' ' ')" >&2
  exit 2
fi

WORK=$(mktemp -d)
PIDS=()
finish() {
  local pid
  for pid in "${PIDS[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${PIDS[@]}"; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$WORK"
}
trap finish EXIT

# ---- what scenarios share -----------------------------------------------------------------------------------------------------------------

# A line for people.
note() {
  [ -n "$JSON" ] || echo "$*"
}

# Each argument is a program and, behind a colon, its Debian package.
need() {
  local pair
  for pair in "$@"; do
    command -v "${pair%%:*}" >/dev/null || { echo "${pair%%:*} is missing: apt-get install ${pair#*:}" >&2 && exit 2; }
  done
}

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

TEGATA=target/release/tegata
build() {
  note "building the release"
  cargo build --release --locked --quiet -p tegata
}

# A demo of the release build in $WORK/demo; its process is $SERVER. Requests are not logged. From here on everything runs before the machine's
# other work, where that is permitted.
start_demo() {
  renice -n -10 $$ >/dev/null 2>&1 || true
  RUST_LOG=warn "$TEGATA" demo --dir "$WORK/demo" --listen 127.0.0.1:0 >"$WORK/demo.log" 2>&1 </dev/null &
  SERVER=$!
  PIDS+=("$SERVER")
  local waited=0
  until [ -e "$WORK/demo/demo.json" ]; do
    if ! kill -0 "$SERVER" 2>/dev/null || [ "$waited" -ge 300 ]; then cat "$WORK/demo.log" >&2 && exit 1; fi
    sleep 0.2
    waited=$((waited + 1))
  done
}

# demo EXPRESSION: a value of the demo's document, as Python reads it.
demo() {
  python3 -c 'import json, sys; demo = json.load(open(sys.argv[1], encoding="utf-8")); print(eval(sys.argv[2]))' "$WORK/demo/demo.json" "$1"
}

# Processor time that these processes have used so far, in microseconds.
cpu_us() {
  local pid total=0 tick
  tick=$((1000000 / $(getconf CLK_TCK)))
  for pid in "$@"; do
    total=$((total + $(awk '{sub(/^.*\) /, ""); print $12 + $13}' "/proc/$pid/stat") * tick))
  done
  echo "$total"
}

# shellcheck source=/dev/null
source "bench/$SCENARIO.sh"
