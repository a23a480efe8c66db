#!/usr/bin/env bash
# Judges our dependencies: licences, bans and sources (deny.toml). Not a part of scripts/test.sh: building cargo-deny takes longer than
# most of its steps. Run it before a release, with `advisories` as argument where the advisory database can be fetched.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
cargo deny check bans licenses sources "$@"
