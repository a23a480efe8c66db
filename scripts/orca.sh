#!/usr/bin/env bash
# Programs that behave on the wire as ORCA's own two do renew against a running demo: Java over TLS 1.2, C with libcurl over HTTP/1.1 and
# over h2. Nothing is skipped: a program that is missing fails the run.
#
#   scripts/orca.sh DIR      DIR is the folder of a running `tegata demo`
set -euo pipefail

DIR=${1:?usage: scripts/orca.sh DIR (the folder of a running demo)}
# shellcheck source=scripts/checks.sh
source "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TEGATA=${TEGATA:-$HERE/target/debug/tegata}
need javac gcc openssl curl python3

ORIGIN=$(json 'demo["orca_url"]')
ROOT="$DIR/$(json 'demo["ca_pem"]')"
PORT=${ORIGIN##*:}
javac -d "$WORK" "$HERE/e2e/orca/Renew.java"
gcc -O1 -Wall -Werror -o "$WORK/renew" "$HERE/e2e/orca/renew.c" -lcurl -lssl -lcrypto

# renew NAME N PROGRAM...: terminal N renews; what the program printed stays in $WORK/NAME.
renew() {
  local name=$1 n=$2
  shift 2
  mkdir "$WORK/$name"
  timeout 60 "$@" "$ORIGIN" "$ROOT" "$DIR/$(json "due[$n]['p12']")" "$(json "due[$n]['p12_password']")" "$WORK/$name" ${HTTP:-} \
    >"$WORK/$name/said"
}

# The register's word for the certificate that a program got.
state_of() {
  "$TEGATA" --config "$DIR/tegata.toml" --json cert show "$(sed -n 's/^serial //p' "$WORK/$1/said")"
}

echo "--- as monsiaj"
check "a Java program over TLS 1.2 renews, opens its file and comes back with it" renew java 0 java -cp "$WORK" Renew
check "its certificate is known to be in use" says '"state": ?"used"' state_of java
echo "--- as glclient2"
HTTP=1.1 check "a C program over HTTP/1.1 with Transfer-Encoding: identity renews and comes back" renew c11 1 "$WORK/renew"
check "its certificate is known to be in use" says '"state": ?"used"' state_of c11
HTTP=2 check "the same over h2" renew c2 1 "$WORK/renew"
check "asking again gave the same certificate" diff "$WORK/c11/said" "$WORK/c2/said"
check "OpenSSL opens the file with the password that came with it" openssl pkcs12 -in "$WORK/java/new.p12" -passin "file:$WORK/java/new.pass" -noout
check "the file is in the 3DES format, which opens everywhere" says 'pbeWithSHA1And3-KeyTripleDES-CBC' \
  openssl pkcs12 -in "$WORK/java/new.p12" -passin "file:$WORK/java/new.pass" -info -noout

echo "--- TLS of this listener"
dial() {
  openssl s_client -connect "127.0.0.1:$PORT" -servername localhost -CAfile "$ROOT" -verify_return_error "$@"
}
check "TLS 1.3" says 'New, TLSv1\.3' dial -tls1_3
check "TLS 1.2, by its exception" says 'New, TLSv1\.2' dial -tls1_2
# Debian's OpenSSL does not even offer these at its default security level.
for old in 1_1 1; do
  check "TLS ${old/_/.} is refused" says 'alert (protocol version|handshake failure)' dial "-tls$old" -cipher 'ALL:@SECLEVEL=0'
done
for suite in ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-ECDSA-CHACHA20-POLY1305; do
  check "TLS 1.2 with $suite" says "Cipher is $suite" dial -tls1_2 -cipher "$suite"
done
# Everything else that OpenSSL knows for TLS 1.2: suites without forward secrecy or without authenticated encryption.
others=$(openssl ciphers 'ALL:COMPLEMENTOFALL:!ECDHE+AESGCM:!ECDHE+CHACHA20:@SECLEVEL=0')
check "no other suite of TLS 1.2" says 'alert handshake failure' dial -tls1_2 -cipher "$others:@SECLEVEL=0"
check "a program without a certificate is told so in the words that ORCA's programs know" test \
  "$(curl -sS --cacert "$ROOT" -w ' %{http_code} %{content_type}' "$ORIGIN/api/cert")" = "NOT PERMITTED CERTIFICATE 403 text/plain"
check "doctor names the exception" says 'TLS 1\.2 is on for ORCA.*: demo: monsiaj' "$TEGATA" --config "$DIR/tegata.toml" doctor

finish
