#!/usr/bin/env bash
# EST as other people's programs speak it, against a running demo: strongSwan's pki, and curl with OpenSSL by hand. Nothing is skipped: a
# program that is missing fails the run.
#
#   scripts/est.sh DIR      DIR is the folder of a running `tegata demo`
set -euo pipefail

DIR=${1:?usage: scripts/est.sh DIR (the folder of a running demo)}
# shellcheck source=scripts/checks.sh
source "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TEGATA=${TEGATA:-$HERE/target/debug/tegata}
need pki curl openssl python3

PORTAL=$(json 'demo["url"]')
ORIGIN=$(json 'demo["est_url"]')
EST=$ORIGIN/.well-known/est
ROOT="$DIR/$(json 'demo["ca_pem"]')"
ISSUING="$DIR/ca/issuing.pem"
CERT="$DIR/$(json 'due[0]["cert_pem"]')"
KEY="$DIR/$(json 'due[0]["key_pem"]')"
FRESH="$DIR/$(json '[t for t in demo["terminals"] if t["state"] == "fresh"][0]["cert_pem"]')"
REVOKED="$DIR/$(json '[t for t in demo["terminals"] if t["state"] == "revoked"][0]["cert_pem"]')"
TERMINAL=$(json 'due[0]["customer"] + "/" + due[0]["client"]')

names() {
  openssl x509 -in "$1" -noout -subject -nameopt RFC2253,utf8,-esc_msb | sed 's/^subject=//'
}

uri() {
  openssl x509 -in "$1" -noout -ext subjectAltName | sed -n 's/ *URI:/URI:/p'
}

# A new key and a request for the names of a certificate, by OpenSSL: request NAME CERTIFICATE [URI]
request() {
  local subject organization common
  subject=$(names "$2")
  common=$(sed 's/^CN=\([^,]*\),.*/\1/' <<<"$subject")
  organization=$(sed 's/.*,O=\([^,]*\),.*/\1/' <<<"$subject")
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout "$WORK/$1.key" -utf8 -subj "/C=JP/O=$organization/CN=$common" \
    ${3:+-addext "subjectAltName=$3"} -outform DER -out "$WORK/$1.req" 2>/dev/null
  openssl base64 -in "$WORK/$1.req" -out "$WORK/$1.b64"
}

# ask OPERATION BODY [curl options]: the answer in $WORK/answer, the status on standard output.
ask() {
  local operation=$1 body=$2
  shift 2
  curl -sS --cacert "$ROOT" -o "$WORK/answer" -w '%{http_code}' -H 'Content-Type: application/pkcs10' --data-binary "@$body" "$@" "$EST/$operation"
}

# The certificate of the last answer, in PEM.
answered() {
  base64 -d "$WORK/answer" | openssl pkcs7 -inform DER -print_certs
}

is() {
  [ "$1" = "$2" ] || { echo "$1, expected $2" && cat "$WORK/answer" && return 1; }
}

# ---- strongSwan ------------------------------------------------------------------------------------------------------------------------

# It speaks TLS 1.2 at most unless it is told otherwise, so it talks to the listener that has the exception.
est_ca() {
  (cd "$WORK" && pki --estca --url "$ORIGIN" --cacert "$ROOT" --caout estca.pem --outform pem --force)
}

est_renew() {
  pki --gen --type ecdsa --size 256 --outform pem >"$WORK/swan.key" 2>"$WORK/swan.log" &&
    pki --req --in "$WORK/swan.key" --type priv --dn "$(names "$CERT" | sed 's/^\(CN=.*\),\(O=.*\),\(C=.*\)/\3, \2, \1/')" >"$WORK/swan.req" 2>>"$WORK/swan.log" &&
    pki --est --url "$ORIGIN" --cacert "$ROOT" --cacert "$ISSUING" --cert "$CERT" --key "$KEY" --in "$WORK/swan.req" --outform pem >"$WORK/swan.pem" 2>>"$WORK/swan.log" ||
    { cat "$WORK/swan.log" && return 1; }
}

check "strongSwan reads the CA certificates and trusts them" says 'Sub CA cert is trusted' est_ca
check "strongSwan renews with the certificate and key of a due terminal" est_renew
check "its new certificate verifies" openssl verify -x509_strict -purpose sslclient -CAfile "$ROOT" -untrusted "$ISSUING" "$WORK/swan.pem"
check "it has the names of the old one" test "$(names "$WORK/swan.pem") $(uri "$WORK/swan.pem")" = "$(names "$CERT") $(uri "$CERT")"
check "it opens the gate" test \
  "$(curl -sS --cacert "$ROOT" --cert "$WORK/swan.pem" --key "$WORK/swan.key" -o "$WORK/answer" -w '%{http_code}' "$PORTAL/check")" = 200

code() {
  "$TEGATA" --config "$DIR/tegata.toml" --json terminal invite "$TERMINAL" "$@" | python3 -c 'import json, sys; print(json.load(sys.stdin)["code"])'
}
TEGATA_PASSPHRASE_FILE="$DIR/$(json 'demo["passphrase_file"]')"
export TEGATA_PASSPHRASE_FILE
est_enroll() {
  pki --est --url "$ORIGIN" --cacert "$ROOT" --cacert "$ISSUING" --userpass "enroll:$1" --in "$WORK/swan.req" --outform pem >"$WORK/enrolled.pem"
}
check "strongSwan enrols a terminal without a certificate by a code" est_enroll "$(code)"

# ---- curl and OpenSSL ------------------------------------------------------------------------------------------------------------------

mtls=(--cert "$CERT" --key "$KEY")
curl -sS --cacert "$ROOT" "$EST/cacerts" -o "$WORK/cacerts"
check "the CA certificates are a list of two, in lines of base64" says 'Tegata Issuing CA' bash -c \
  "base64 -d '$WORK/cacerts' | openssl pkcs7 -inform DER -print_certs -noout"
curl -sS --cacert "$ROOT" "${mtls[@]}" "$EST/csrattrs" -o "$WORK/csrattrs"
check "the attributes name the curve and the terminal" says 'prime256v1' bash -c "base64 -d '$WORK/csrattrs' | openssl asn1parse -inform DER"

request mine "$CERT" "$(uri "$CERT")"
check "a due terminal renews" is "$(ask simplereenroll "$WORK/mine.b64" "${mtls[@]}")" 200
answered >"$WORK/mine.pem"
check "its certificate verifies" openssl verify -x509_strict -purpose sslclient -CAfile "$ROOT" -untrusted "$ISSUING" "$WORK/mine.pem"
check "the same request gets the same certificate" is "$(ask simplereenroll "$WORK/mine.b64" "${mtls[@]}")" 200
answered >"$WORK/again.pem"
check "octet by octet" cmp "$WORK/mine.pem" "$WORK/again.pem"
tr -d '\n' <"$WORK/mine.b64" >"$WORK/line.b64"
check "base64 in one line is read, too" is "$(ask simplereenroll "$WORK/line.b64" "${mtls[@]}")" 200
check "over TLS 1.2, too, on this listener alone" is "$(ask simplereenroll "$WORK/mine.b64" "${mtls[@]}" --tls-max 1.2)" 200
check "not on the portal's" refuses 'alert protocol version|unsupported protocol' curl -sS --cacert "$ROOT" --tls-max 1.2 "$PORTAL/healthz"
EST=$PORTAL/.well-known/est
check "and on the portal's listener over TLS 1.3" is "$(ask simplereenroll "$WORK/mine.b64" "${mtls[@]}")" 200
request early "$FRESH"
check "too early is said" is "$(ask simplereenroll "$WORK/early.b64" --cert "$FRESH" --key "${FRESH%cert.pem}key.pem")" 409
request theirs "$FRESH"
check "another terminal's names are refused" is "$(ask simplereenroll "$WORK/theirs.b64" "${mtls[@]}")" 400
check "with the reason" says 'names-differ' cat "$WORK/answer"
check "a revoked certificate gets nothing" is "$(ask simplereenroll "$WORK/mine.b64" --cert "$REVOKED" --key "${REVOKED%cert.pem}key.pem")" 403
check "no certificate and no code get nothing" is "$(ask simpleenroll "$WORK/mine.b64")" 401
check "a wrong code gets nothing" is "$(ask simpleenroll "$WORK/mine.b64" -u enroll:0000-0000)" 401

CODE=$(code --approval)
request new "$CERT"
check "where the operator has the last word, the program waits" is "$(ask agent/simpleenroll "$WORK/new.b64" -u "enroll:$CODE")" 202
"$TEGATA" --config "$DIR/tegata.toml" enrollment approve "${CODE%-*}" >/dev/null
check "and gets its certificate after the yes" is "$(ask agent/simpleenroll "$WORK/new.b64" -u "enroll:$CODE")" 200
answered >"$WORK/agent.pem"
check "an agent's identity says that it is one" says 'URI:https://agent\.tegata\.internal/' openssl x509 -in "$WORK/agent.pem" -noout -ext subjectAltName
check "it opens no page" test \
  "$(curl -sS --cacert "$ROOT" --cert "$WORK/agent.pem" --key "$WORK/new.key" -o "$WORK/answer" -w '%{http_code}' "$PORTAL/menu")" = 403
request store "$CERT"
check "but gets its terminal a certificate" is "$(ask simpleenroll "$WORK/store.b64" --cert "$WORK/agent.pem" --key "$WORK/new.key")" 200

check "a key that we make" is "$(ask serverkeygen "$WORK/mine.b64" "${mtls[@]}")" 200
check "comes in two parts, and the key is the certificate's" python3 - "$WORK" <<'PY'
import base64, re, subprocess, sys
work = sys.argv[1]
text = open(f"{work}/answer").read()
key, certs = (base64.b64decode(part) for part in re.findall(r"base64\r\n\r\n(.*?)\r\n--", text, re.S))
open(f"{work}/made.key", "wb").write(key)
pem = subprocess.run(["openssl", "pkcs7", "-inform", "DER", "-print_certs"], input=certs, capture_output=True, check=True).stdout
public = lambda *command, data: subprocess.run(["openssl", *command], input=data, capture_output=True, check=True).stdout
assert public("x509", "-noout", "-pubkey", data=pem) == public("pkey", "-inform", "DER", "-pubout", data=key)
PY

hex() {
  openssl x509 -in "$CERT" -noout "$@" | tail -n 1 | sed 's/.*=//' | tr -d ': '
}
ID=$(python3 -c 'import base64, sys; print(".".join(base64.urlsafe_b64encode(bytes.fromhex(part)).decode().rstrip("=") for part in sys.argv[1:]))' \
  "$(hex -ext authorityKeyIdentifier)" "$(hex -serial)")
check "it learns when to renew" says '"suggestedWindow"' curl -sS --cacert "$ROOT" "${mtls[@]}" "$EST/renewal-info/$ID"

finish
