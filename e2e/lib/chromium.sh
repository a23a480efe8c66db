#!/bin/sh
# Starts Chromium with a policy folder of its own: TEGATA_E2E_ETC is shown to it, and to nobody else, as /etc/chromium.
# Chromium reads managed policies from that one machine-wide folder, so two browsers with different policies could not run otherwise.
# Without root the same works inside a user namespace. File descriptors 3 and 4 (the debugging pipe) pass through untouched.
set -eu
: "${TEGATA_E2E_ETC:?the folder to show as /etc/chromium}"
export TEGATA_E2E_ETC
if [ "$(id -u)" = 0 ]; then root=; else root=--map-root-user; fi
# shellcheck disable=SC2016,SC2086 # the inner shell expands its own variables; an empty $root must vanish
exec unshare --mount --propagation private $root /bin/sh -c 'mount --bind "$TEGATA_E2E_ETC" /etc/chromium && exec "$@"' sh \
  "${TEGATA_E2E_CHROMIUM:-/usr/bin/chromium}" "$@"
