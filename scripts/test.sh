#!/usr/bin/env bash
# The one gate: installs what a bare Debian machine with the Rust toolchain lacks (as root or by sudo), then runs every step below, in
# this order, and stops at the first that fails. It measures nothing and needs no input. The last line is "N passed, N failed" for all.
#
#   scripts/test.sh                     everything
#   scripts/test.sh --list              the names of the steps
#   scripts/test.sh --only NAME ...     only these steps
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export DEBIAN_FRONTEND=noninteractive CARGO_TERM_COLOR=never CARGO_TERM_PROGRESS_WHEN=never

STEPS=(format lints tests postgres generated interop fuzz browser windows)

# A command of the binary, and the file that must hold exactly its output.
GENERATED=(
  "config example|docs/config.example.toml"
)

PKILINT_VERSION=0.13.3
SCHEMATHESIS_VERSION=4.32.5
WINDOWS_TOOLCHAIN="${XDG_CACHE_HOME:-$HOME/.cache}/tegata/windows-toolchain"
RUN=$(mktemp -d)
trap 'rm -rf "$RUN"' EXIT
TEGATA=target/debug/tegata

# ---- what the steps need -------------------------------------------------------------------------------------------------------------

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

update_packages() {
  [ ! -e "$RUN/apt-updated" ] || return 0
  as_root apt-get -q -y -o DPkg::Lock::Timeout=600 update
  touch "$RUN/apt-updated"
}

# Each argument is FILE:PACKAGE; the package is installed when the file is missing.
ensure() {
  local pair missing=()
  for pair in "$@"; do
    if [ ! -e "${pair%%:*}" ] && ! command -v "${pair%%:*}" >/dev/null; then missing+=("${pair#*:}"); fi
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  echo "installing: ${missing[*]}"
  update_packages
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=600 install --no-install-recommends "${missing[@]}"
}

ensure_compiler() {
  ensure cc:gcc /usr/include/stdio.h:libc6-dev
}

# The programs of other people that read our bytes.
ensure_judges() {
  ensure openssl:openssl certtool:gnutls-bin certutil:libnss3-tools keytool:default-jre-headless curl:curl python3:python3 \
    faketime:faketime
  ensure "/usr/share/doc/python3-aiosmtpd:python3-aiosmtpd" "/usr/share/doc/python3-icalendar:python3-icalendar"
  ensure_python_program pkilint "$PKILINT_VERSION" TEGATA_PKILINT_BIN
}

# What talks to a running demo: what our stand-ins for ORCA's own programs are built with, and what reads the description of the REST API.
ensure_clients() {
  ensure_compiler
  ensure_python_program schemathesis "$SCHEMATHESIS_VERSION" TEGATA_SCHEMATHESIS_BIN
  ensure pki:strongswan-pki "/usr/share/doc/libstrongswan-standard-plugins:libstrongswan-standard-plugins"
  ensure javac:default-jdk-headless curl-config:libcurl4-openssl-dev /usr/include/openssl/ssl.h:libssl-dev
  ensure nginx:nginx-light haproxy:haproxy caddy:caddy
}

# ensure_python_program NAME VERSION VARIABLE: it has a Python environment of its own, which is made again when its version is not this one.
# VARIABLE says where its programs are.
ensure_python_program() {
  local name=$1 version=$2 folder=/opt/tegata-$1 installed
  if [ ! -w /opt ] && [ ! -w "$folder" ]; then folder="${XDG_CACHE_HOME:-$HOME/.cache}/tegata/$name"; fi
  export "$3=$folder/bin"
  installed=$("$folder/bin/python" -c "import importlib.metadata as m; print(m.version('$name'))" 2>/dev/null || true)
  [ "$installed" = "$version" ] && return 0
  python3 -c 'import ensurepip, venv' 2>/dev/null || ensure "(python3-venv):python3-venv"
  echo "installing: $name $version into $folder"
  rm -rf "$folder"
  mkdir -p "$(dirname "$folder")"
  python3 -m venv "$folder"
  "$folder/bin/pip" --quiet --disable-pip-version-check install "$name==$version"
}

ensure_browser() {
  ensure /usr/bin/chromium:chromium /usr/share/chromium/locales/ja.pak:chromium-l10n \
    /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc:fonts-noto-cjk unshare:util-linux mount:mount
  ensure node:nodejs npm:npm
}

# The tests are named too, so that the dependencies keep the very features that the step before built them with: nothing is built twice.
build_binary() {
  ensure_compiler
  cargo build --workspace --bins --tests --locked
}

# ---- the steps -----------------------------------------------------------------------------------------------------------------------

step_format() {
  cargo fmt --all --check
  cargo fmt --manifest-path fuzz/Cargo.toml --check
}

step_lints() {
  ensure_compiler
  cargo clippy --workspace --all-targets --locked -- -D warnings
}

# Unit and integration tests; other people's programs read every profile's output in crates/pki/tests.
step_tests() {
  ensure_compiler
  ensure_judges
  cargo test --workspace --locked
}

ensure_postgres() {
  ensure psql:postgresql-client runuser:util-linux
  compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null && return 0
  # The package would make a cluster of its own and start it; ours lives in a temporary folder.
  as_root mkdir -p /etc/postgresql-common/createcluster.d
  echo 'create_main_cluster = false' | as_root tee /etc/postgresql-common/createcluster.d/tegata-test.conf >/dev/null
  ensure "(postgres):postgresql"
  as_root rm /etc/postgresql-common/createcluster.d/tegata-test.conf
}

# The server refuses to run as root.
as_postgres() {
  if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
}

stop_postgres() {
  local server
  server=$(head -n 1 "$cluster/data/postmaster.pid" 2>/dev/null) || return 0
  as_postgres kill -INT "$server" 2>/dev/null || true
  local waited=0
  while kill -0 "$server" 2>/dev/null && [ "$waited" -lt 100 ]; do
    sleep 0.1
    waited=$((waited + 1))
  done
}

# A CA, and a certificate of its for localhost and no other name.
make_server_certificate() {
  local key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 2)
  openssl req -x509 "${key[@]}" -subj /CN=test-ca -keyout ca.key -out ca.pem
  openssl req -x509 "${key[@]}" -subj /CN=localhost -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE \
    -CA ca.pem -CAkey ca.key -keyout server.key -out server.pem
}

# The rooms that keep or reach the register once more, on a real PostgreSQL that lives for this step alone. One role is asked for its
# password, all others are trusted; nothing is written through to the disk. Three years of fifty agents are lived through once, in the step
# before.
step_postgres() {
  ensure_compiler
  ensure_judges
  ensure_postgres
  local bin port
  bin=$(dirname "$(compgen -G '/usr/lib/postgresql/*/bin/postgres' | sort -V | tail -n 1)")
  # Not local: the trap runs when this function is over. The step runs in a shell of its own.
  cluster=$(mktemp -d)
  trap 'stop_postgres; rm -rf "$cluster"' EXIT
  if [ "$(id -u)" = 0 ]; then chown postgres "$cluster"; fi
  (cd "$cluster" && as_postgres "$bin/initdb" --pgdata "$cluster/data" --username postgres --auth trust --encoding UTF8 --locale C.UTF-8 \
    --no-sync >/dev/null)
  as_postgres sed -i '1i host all tegata_with_password 127.0.0.1/32 scram-sha-256' "$cluster/data/pg_hba.conf"
  (cd "$cluster" && as_postgres bash -c "$(declare -f make_server_certificate); make_server_certificate" 2>/dev/null)
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  (cd "$cluster" && as_postgres "$bin/pg_ctl" start --silent --wait --pgdata "$cluster/data" --log "$cluster/log" --options \
    "-h 127.0.0.1 -p $port -k $cluster -c ssl=on -c ssl_cert_file=$cluster/server.pem -c ssl_key_file=$cluster/server.key -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=300") || {
    cat "$cluster/log"
    return 1
  }
  chmod 755 "$cluster"
  TEGATA_TEST_POSTGRES="postgres://postgres@127.0.0.1:$port/postgres" TEGATA_TEST_POSTGRES_CA="$cluster/ca.pem" \
    cargo test -p tegata-store -p tegata-authority -p tegata-web -p tegata --locked -- --skip years::
}

# Files that the binary prints are what it prints.
step_generated() {
  build_binary
  local pair file words
  for pair in "${GENERATED[@]}"; do
    file=${pair#*|}
    read -ra words <<<"${pair%%|*}"
    if ! diff -u "$file" <("$TEGATA" "${words[@]}"); then
      echo "$file is stale: $TEGATA ${words[*]} > $file"
      echo "0 passed, 1 failed"
      return 1
    fi
  done
  echo "${#GENERATED[@]} passed, 0 failed"
}

# start_demo FOLDER: a demo in FOLDER/demo on loopback; its process is $server.
start_demo() {
  "$TEGATA" demo --dir "$1/demo" --listen 127.0.0.1:0 >"$1/log" 2>&1 </dev/null &
  server=$!
  local waited=0
  until [ -e "$1/demo/demo.json" ]; do
    if ! kill -0 "$server" 2>/dev/null || [ "$waited" -ge 600 ]; then
      cat "$1/log"
      echo "the demo did not start"
      return 1
    fi
    sleep 0.2
    waited=$((waited + 1))
  done
}

stop_server() {
  [ -n "$server" ] || return 0
  kill "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
}

# Other people's programs read the files of a running demo and talk to it.
step_interop() {
  ensure_judges
  ensure_clients
  build_binary
  # Not local: the trap runs when this function is over. The step runs in a shell of its own.
  folder=$RUN/interop
  server=
  mkdir "$folder"
  trap 'stop_server' EXIT
  scripts/mail.sh
  start_demo "$folder"
  scripts/interop.sh "$folder/demo"
  scripts/orca.sh "$folder/demo"
  scripts/est.sh "$folder/demo"
  scripts/api.sh "$folder/demo"
  scripts/proxies.sh "$folder/demo"
}

# What strangers could send, thought up by libFuzzer: here a few seconds for each target, with scripts/fuzz.sh as long as one likes.
step_fuzz() {
  ensure_compiler
  ensure c++:g++
  scripts/fuzz.sh --seconds 10
}

# A real browser with real certificates, through everything a person can do.
step_browser() {
  ensure_judges
  ensure_browser
  build_binary
  (cd e2e && npm ci --no-audit --no-fund --silent && node run.js)
}

# A compiler with Windows' standard library. Debian has none that is new enough, but a compiler with the library's source, which cargo builds;
# it lies aside, so that it does not displace the one that everything else is built with. Whatever version is offered is taken, if it will do.
# Called as a condition, where a command that fails does not end the shell: hence each "or return".
ensure_windows_compiler() {
  ensure x86_64-w64-mingw32-gcc:gcc-mingw-w64-x86-64 wine:wine || return
  windows_rustc >/dev/null 2>&1 && return
  local packages=$RUN/windows-packages package standard llvm
  rm -rf "$packages" "$WINDOWS_TOOLCHAIN" && mkdir -p "$packages" "$WINDOWS_TOOLCHAIN" || return
  update_packages || return
  (cd "$packages" && apt-get -q download rustc-web rust-web-src libstd-rust-web-dev) || return
  standard=$(dpkg-deb -f "$packages"/libstd-rust-web-dev_*.deb Depends | grep -oE 'libstd-rust-web-[0-9.]+') || return
  (cd "$packages" && apt-get -q download "$standard") || return
  llvm=$(dpkg-deb -f "$packages/$standard"_*.deb Depends | grep -oE 'libllvm[0-9]+') || return
  ensure "/usr/share/doc/$llvm:$llvm" || return
  for package in "$packages"/*.deb; do dpkg-deb -x "$package" "$WINDOWS_TOOLCHAIN" || return; done
  windows_rustc
}

# Whether the compiler is there, works, and is as new as our crates want it.
windows_rustc() {
  local version wanted
  version=$(LD_LIBRARY_PATH="$WINDOWS_TOOLCHAIN/usr/lib/x86_64-linux-gnu" "$WINDOWS_TOOLCHAIN/usr/bin/rustc" --version | cut -d' ' -f2)
  wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  [ -n "$version" ] && printf '%s\n' "$wanted" "$version" | sort -CV || { echo "rustc ${version:-is missing}, wanted: $wanted" && return 1; }
}

# cargo, for Windows
cargo_windows() {
  local command=$1
  shift
  RUSTC="$WINDOWS_TOOLCHAIN/usr/bin/rustc" LD_LIBRARY_PATH="$WINDOWS_TOOLCHAIN/usr/lib/x86_64-linux-gnu" RUSTC_BOOTSTRAP=1 \
    RUSTUP_TOOLCHAIN="${RUSTUP_TOOLCHAIN:-stable}" CARGO_TARGET_DIR=target/windows CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER=wine \
    CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER=x86_64-w64-mingw32-gcc \
    cargo "$command" -p tegata-agent --target x86_64-pc-windows-gnu -Zbuild-std=std,panic_abort,test --locked "$@"
}

stop_windows() {
  stop_server
  WINEPREFIX=$folder/wine wineserver -k 2>/dev/null || true
}

# The agent's program for Windows: its own tests, and all that it does, under Wine. Where that cannot be had, one line says so.
step_windows() {
  local missing=""
  if [ "$(uname -m)" != x86_64 ] || ! command -v apt-get >/dev/null; then
    missing="this is no Debian on x86_64"
  elif ! (ensure_windows_compiler); then
    missing="its compiler, mingw-w64 or Wine cannot be had here"
  fi
  if [ -n "$missing" ]; then
    echo "SKIPPED windows: $missing; nothing of the agent for Windows was built or tried"
    echo "0 passed, 0 failed"
    return 0
  fi
  ensure_judges
  build_binary
  # Not local: the trap runs when this function is over. The step runs in a shell of its own.
  folder=$RUN/windows
  server=
  mkdir "$folder"
  trap 'stop_windows' EXIT
  local programs=target/windows/x86_64-pc-windows-gnu/debug
  cargo_windows build --bins
  x86_64-w64-mingw32-gcc -Wall -Wextra -Werror -shared -O1 -o "$programs/bcryptprimitives.dll" scripts/windows.c -lcrypt32 -ladvapi32
  export WINEPREFIX=$folder/wine WINEDEBUG=-all WINEDLLOVERRIDES="mscoree,mshtml=" WINEPATH
  WINEPATH="Z:$(sed 's|/|\\|g' <<<"$PWD/$programs")"
  wineboot --init
  cargo_windows test --lib
  start_demo "$folder"
  scripts/windows.sh "$folder/demo" "$programs"
}

# ---- running them --------------------------------------------------------------------------------------------------------------------

# Adds up what the test runners said at their ends: cargo's "test result:" lines, or the plain line of our own.
count() {
  awk '
    /^test result: / { passed += $4; failed += $6; skipped += $8 }
    /^[0-9]+ passed, [0-9]+ failed$/ { passed += $1; failed += $3 }
    END { print passed + 0, failed + 0, skipped + 0 }
  ' "$1"
}

run_step() {
  local name=$1 log=$2 started=$SECONDS status
  echo
  echo "=== $name"
  set +e
  (
    set -e
    "step_$name"
  ) </dev/null 2>&1 | tee "$log"
  status=${PIPESTATUS[0]}
  set -e
  local verdict=FAILED
  if [ "$status" = 0 ]; then verdict=passed; fi
  echo "=== $name: $verdict after $((SECONDS - started)) s"
  return "$status"
}

main() {
  local wanted=()
  case "${1:-}" in
    --list)
      printf '%s\n' "${STEPS[@]}"
      return 0
      ;;
    --only)
      shift
      wanted=("$@")
      ;;
    "") wanted=("${STEPS[@]}") ;;
    *)
      echo "usage: scripts/test.sh [--list | --only STEP...]" >&2
      return 2
      ;;
  esac
  [ ${#wanted[@]} -gt 0 ] || { echo "--only needs the name of a step: ${STEPS[*]}" >&2 && return 2; }
  local name
  for name in "${wanted[@]}"; do
    declare -F "step_$name" >/dev/null || { echo "no step is called $name: ${STEPS[*]}" >&2 && return 2; }
  done

  local passed=0 failed=0 skipped=0 broken="" p f s
  for name in "${wanted[@]}"; do
    local status=0
    run_step "$name" "$RUN/$name.log" || status=$?
    read -r p f s <<<"$(count "$RUN/$name.log")"
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    if [ "$status" != 0 ]; then
      broken=$name
      [ "$f" -gt 0 ] || failed=$((failed + 1))
      break
    fi
    if [ "$f" -gt 0 ]; then broken=$name && break; fi
  done
  echo
  if [ -n "$broken" ]; then echo "the step $broken failed; again: scripts/test.sh --only $broken"; else echo "all of: ${wanted[*]}"; fi
  echo "$SECONDS s in all"
  echo "$passed passed, $failed failed$([ "$skipped" = 0 ] || echo ", $skipped skipped")"
  [ -z "$broken" ]
}

main "$@"
