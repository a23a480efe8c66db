# What the scripts that judge a running demo share; sourced by them. DIR is the demo's folder,
# where there is one.
#
# Nothing is skipped: a program that is missing fails the run. Where a program's exit status lies, its text is judged.

export LC_ALL=C.UTF-8
if [ -n "${DIR:-}" ]; then
  [ -e "$DIR/demo.json" ] || { echo "$DIR/demo.json is missing: is the demo running?" >&2 && exit 2; }
  DIR=$(cd "$DIR" && pwd)
fi

# Each argument is a program that must be there.
need() {
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null || { echo "$program is missing: scripts/test.sh installs it" >&2 && exit 2; }
  done
}

WORK=$(mktemp -d)
finished=
# A script that ends before its last line has failed, whoever calls it and however.
trap 'rm -rf "$WORK"; [ -n "$finished" ] || printf "\n%s ended early\n0 passed, 1 failed\n" "$0"' EXIT
passed=0
failed=0

# check NAME COMMAND...: one line for one fact; the output is shown only when the fact does not hold.
check() {
  local name=$1
  shift
  if "$@" >"$WORK/output" 2>&1 </dev/null; then
    passed=$((passed + 1))
    echo "ok      $name"
  else
    failed=$((failed + 1))
    echo "FAILED  $name"
    sed -n '1,40s/^/        /p' "$WORK/output"
  fi
}

# Holds when the command's text (both outputs) matches, whatever its exit status.
says() {
  local pattern=$1 text
  shift
  text=$("$@" 2>&1 </dev/null) || true
  grep -qE -- "$pattern" <<<"$text" || { echo "$text" && return 1; }
}

# Holds when the command fails and its text matches.
refuses() {
  local pattern=$1 text
  shift
  if text=$("$@" 2>&1 </dev/null); then echo "$text" && echo "(it did not refuse)" && return 1; fi
  grep -qE -- "$pattern" <<<"$text" || { echo "$text" && return 1; }
}

# Holds when the command's text says nothing like $1.
never_says() {
  local pattern=$1 text
  shift
  text=$("$@" 2>&1 </dev/null) || true
  if grep -qE -- "$pattern" <<<"$text"; then echo "$text" && return 1; fi
}

# json EXPRESSION: a value of the demo's document, as Python reads it; `due` are the terminals that are due.
json() {
  python3 - "$DIR/demo.json" "$1" <<'PY'
import json, sys
demo = json.load(open(sys.argv[1], encoding="utf-8"))
due = [terminal for terminal in demo["terminals"] if terminal["state"] == "due"]
print(eval(sys.argv[2], {"demo": demo, "due": due}))
PY
}

# The last line of a script, and its verdict.
finish() {
  finished=yes
  echo
  echo "$passed passed, $failed failed"
  [ "$failed" = 0 ]
}
