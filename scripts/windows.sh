#!/usr/bin/env bash
# The agent's program for Windows, run by Wine against a running demo: it enrols, renews, and puts certificates into the user's store of
# Windows and into files, which other people's programs read. Nothing is skipped: a program that is missing fails the run.
#
#   scripts/windows.sh DIR FOLDER      DIR is the folder of a running `tegata demo`, FOLDER that of tegata-agent.exe, tegata-agentw.exe and the
#                                      DLL of scripts/windows.c
set -euo pipefail

DIR=${1:?usage: scripts/windows.sh DIR FOLDER (the folder of a running demo, that of the programs)}
FOLDER=$(cd "${2:?usage: scripts/windows.sh DIR FOLDER}" && pwd)
# shellcheck source=scripts/checks.sh
source "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TEGATA=${TEGATA:-$HERE/target/debug/tegata}
need wine wineserver openssl python3

export WINEPREFIX=$WORK/wine WINEDEBUG=-all WINEDLLOVERRIDES="mscoree,mshtml=" WINEPATH
WINEPATH=$(sed 's|/|\\|g; s|^|Z:|' <<<"$FOLDER")
trap 'wineserver -k || true; rm -rf "$WORK"' EXIT
DRIVE=$WINEPREFIX/drive_c
PORTAL=$(json 'demo["url"]')
ROOT="$DIR/$(json 'demo["ca_pem"]')"
TEGATA_PASSPHRASE_FILE="$DIR/$(json 'demo["passphrase_file"]')"
export TEGATA_PASSPHRASE_FILE

agent() {
  wine "$FOLDER/tegata-agent.exe" "$@" | tr -d '\r'
}

# A path of ours as Windows programs see it.
windows() {
  sed 's|/|\\|g; s|^|Z:|' <<<"$1"
}

code() {
  "$TEGATA" --config "$DIR/tegata.toml" --json terminal invite "$1" | python3 -c 'import json, sys; print(json.load(sys.stdin)["code"])'
}

# The SHA-1 of all certificates in a store of the user's, as Wine keeps them: stored NAME
stored() {
  wine reg query "HKCU\\Software\\Microsoft\\SystemCertificates\\$1\\Certificates" 2>/dev/null | tr -d '\r' | sed -n 's/.*Certificates\\//p' | sort
}

sha1() {
  openssl x509 -in "$1" -noout -fingerprint -sha1 | sed 's/.*=//; s/://g'
}

is() {
  [ "$1" = "$2" ] || { echo "$1, expected $2" && return 1; }
}

check "Wine makes a Windows" wineboot --init
HOME_FOLDER=$(echo "$DRIVE"/users/*/AppData/Local)

# ---- a terminal without a certificate ------------------------------------------------------------------------------------------------

TERMINAL=$(json '[t["customer"] + "/" + t["client"] for t in demo["terminals"] if t["state"] == "fresh"][0]')
mkdir -p "$HOME_FOLDER/tegata-agent/hooks"
printf '@echo %%TEGATA_STORE%% %%TEGATA_STORE_KIND%%>>%%LOCALAPPDATA%%\\deployed.txt\r\n' >"$HOME_FOLDER/tegata-agent/hooks/deploy.cmd"
check "it enrols by a code, for the user's store, PEM files and a bundle" agent enroll --server "$PORTAL" --ca "$(windows "$ROOT")" \
  --code "$(code "$TERMINAL")" --store windows-user --store 'web=pem:C:\pem' --store 'java=p12:C:\client.p12'
AGENT=$HOME_FOLDER/tegata-agent
FIRST=$AGENT/stores/windows-user/gen/0001/chain.pem
check "the user's store has its certificate, and no other" is "$(stored My)" "$(sha1 "$FIRST")"
check "the CA above lies where Windows looks for it" is "$(stored CA)" "$(sha1 "$DIR/ca/issuing.pem")"
check "nothing was put among the roots" is "$(stored Root)" ""
check "a new process finds it there with its key" says "$(openssl x509 -in "$FIRST" -noout -serial | sed 's/.*=//')" agent stores list
PEM=$DRIVE/pem/$(tr -d '\r\n' <"$DRIVE/pem/current" | tr '\\' /)
check "a small file names the folder of the PEM files" is \
  "$(openssl x509 -in "$PEM/combined.pem" -noout -pubkey)" "$(openssl pkey -in "$PEM/combined.pem" -pubout)"
check "OpenSSL opens the bundle with the password beside it" openssl pkcs12 -in "$DRIVE/client.p12" -passin "file:$DRIVE/client.p12.password" -nodes
check "the hook was called for each store" is "$(tr -d ' \r' <"$HOME_FOLDER/deployed.txt" | sort | tr '\n' ' ')" "javap12 webpem windows-userwindows-user "
check "the doctor finds nothing" agent doctor
check "the round of the task works without a console" wine "$FOLDER/tegata-agentw.exe" once
BEFORE=$(stored My)
check "the agent goes with its keys" agent uninstall --yes
check "its folder is gone" test ! -e "$AGENT"
check "what it put into the store stays there" is "$(stored My)" "$BEFORE"

# ---- a terminal whose certificate is due ---------------------------------------------------------------------------------------------

OLD="$DIR/$(json 'due[0]["cert_pem"]')"
P12="$DIR/$(json 'due[0]["p12"]')"
json 'due[0]["p12_password"]' >"$WORK/password"
check "it adopts the bundle of a due terminal and puts it in" agent adopt --server "$PORTAL" \
  --p12 "$(windows "$P12")" --password-file "$(windows "$WORK/password")"
# At what instant of its window it would renew by itself, chance says: it may have done so already.
check "it renews it" agent renew --now windows-user
SECOND=$AGENT/stores/windows-user/gen/0002/chain.pem
check "the new certificate verifies" openssl verify -x509_strict -purpose sslclient -CAfile "$ROOT" -untrusted "$DIR/ca/issuing.pem" "$SECOND"
check "the store has the new one, the old one is gone, and another terminal's stayed" is "$(stored My)" "$(sort <<<"$BEFORE
$(sha1 "$SECOND")")"
check "the old one had been there" says "$(openssl x509 -in "$OLD" -noout -serial | sed 's/.*=//')" openssl x509 \
  -in "$AGENT/stores/windows-user/gen/0001/chain.pem" -noout -serial

# ---- what calls it -------------------------------------------------------------------------------------------------------------------

sed 's/DOMAIN.USER/user/' "$HERE/packaging/agent/windows/tegata-agent.xml" >"$WORK/task.xml"
wineserver -w # a service that could not start at the first start of all starts only after an end
check "Wine's task scheduler starts" wine net start Schedule
check "the task is read as one" wine schtasks /Create /TN "Tegata agent" /XML "$(windows "$WORK/task.xml")"
sed -i 's/<Hidden>true/<Hidden>perhaps/' "$WORK/task.xml"
check "and would not be with a mistake in it" refuses '' wine schtasks /Create /TN "Tegata agent 2" /XML "$(windows "$WORK/task.xml")"

finish
