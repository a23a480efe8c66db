#!/usr/bin/env bash
# The REST API as other people's programs use it, against a running demo: curl, with the very examples of the manual, and schemathesis, which reads
# the description and asks whatever it can think of. Nothing is skipped: a program that is missing fails the run.
#
#   scripts/api.sh DIR      DIR is the folder of a running `tegata demo`
set -euo pipefail

DIR=${1:?usage: scripts/api.sh DIR (the folder of a running demo)}
# shellcheck source=scripts/checks.sh
source "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TEGATA=${TEGATA:-$HERE/target/debug/tegata}
SCHEMATHESIS=${TEGATA_SCHEMATHESIS_BIN:?the folder with schemathesis: scripts/test.sh says where}/schemathesis
need curl openssl python3 "$SCHEMATHESIS"

PORTAL=$(json 'demo["url"]')
ROOT="$DIR/$(json 'demo["ca_pem"]')"
TEGATA_PASSPHRASE_FILE="$DIR/$(json 'demo["passphrase_file"]')"
export TEGATA_PASSPHRASE_FILE TEGATA_CONFIG="$DIR/tegata.toml"

# field NAME: a value of the JSON object on standard input.
field() {
  python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"
}

tegata() {
  "$TEGATA" --json "$@"
}

# ---- the examples of the manual --------------------------------------------------------------------------------------------------------

# As a vendor's program stands in its folder: the CA, a certificate with its key, an API key of the customer.
mkdir "$WORK/vendor"
cp "$ROOT" "$WORK/vendor/ca.pem"
cp "$DIR/$(json 'due[0]["cert_pem"]')" "$WORK/vendor/cert.pem"
cp "$DIR/$(json 'due[0]["key_pem"]')" "$WORK/vendor/key.pem"
CUSTOMER=$(json 'due[0]["customer"]')
tegata api-key create --customer "$CUSTOMER" --name vendor --scope terminals:read --scope terminals:write --scope log:read >"$WORK/made"
KEY=$(field key <"$WORK/made") SECRET=$(field secret <"$WORK/made")
TERMINAL=$(tegata terminal show "$CUSTOMER/$(json 'due[0]["client"]')" | field id)
export KEY SECRET TERMINAL

# examples LANGUAGE: each command of the manual that begins with curl, one a line.
examples() {
  sed -n '/^```sh$/,/^```$/p' "$HERE/docs/manual/$1/api.md" | sed -e ':joined' -e '/\\$/{N;s/ *\\\n */ /;b joined' -e '}' | grep '^curl '
}

# Runs an example against the demo: the answer in $WORK/answer; holds where it is one of success.
runs() {
  local status
  status=$(cd "$WORK/vendor" && eval "${1//https:\/\/portal.example.jp/$PORTAL}" -sS -o "$WORK/answer" -w '%{http_code}')
  [[ $status == 2?? ]] || { echo "$status" && cat "$WORK/answer" && return 1; }
}

check "both manuals show the same examples" test "$(examples ja)" = "$(examples en)"
check "there are examples" test "$(examples en | wc -l)" -ge 3
while read -r example; do
  check "as the manual says: ${example##* }" runs "$example"
done < <(examples en)
check "the terminal was renamed, once" says '"count": 1|^1$' bash -c \
  "'$TEGATA' --json audit list --limit 50 | python3 -c 'import json, sys; print(sum(row[\"action\"] == \"terminal.renamed\" for row in json.load(sys.stdin)))'"
mtls=(--cacert "$ROOT" --cert "$WORK/vendor/cert.pem" --key "$WORK/vendor/key.pem")
check "without the key nothing" says 'no-api-key' curl -sS "${mtls[@]}" "$PORTAL/api/v1/terminals"
check "without the certificate nothing" says 'no-certificate' curl -sS --cacert "$ROOT" --user "$KEY:$SECRET" "$PORTAL/api/v1/terminals"

# ---- schemathesis ----------------------------------------------------------------------------------------------------------------------

# A program of the operator's, at a terminal of its own, so that whatever is revoked or retired by chance is not what it stands on.
tegata customer add --kind operator --code 990001 --name operator >"$WORK/customer"
OPERATOR=$(field id <"$WORK/customer")
tegata terminal add --customer "$OPERATOR" --name monitor >/dev/null
tegata cert issue "$OPERATOR/client0001" --out "$WORK/operator" --key p256 >"$WORK/issued"
P12=$(field p12 <"$WORK/issued") PASSWORD_FILE=$(field password_file <"$WORK/issued")
openssl pkcs12 -in "$P12" -passin "file:$PASSWORD_FILE" -nokeys -clcerts -out "$WORK/operator.pem"
openssl pkcs12 -in "$P12" -passin "file:$PASSWORD_FILE" -nocerts -noenc -out "$WORK/operator.key"
scopes=()
for scope in terminals:{read,write,end,recover,add,invite} certificates:revoke customers:read forecast:read log:read; do
  scopes+=(--scope "$scope")
done
tegata api-key create --everything --customer "$OPERATOR" --name schemathesis "${scopes[@]}" >"$WORK/made"
BASIC=$(printf '%s:%s' "$(field key <"$WORK/made")" "$(field secret <"$WORK/made")" | base64 -w 0)

# A terminal and a certificate that are there, so that not every answer is "there is none".
tegata terminal add --customer "$CUSTOMER" --name victim >"$WORK/victim"
tegata cert issue "$CUSTOMER/$(field client <"$WORK/victim")" --out "$WORK/handover" --key p256 >"$WORK/issued"
printf '[parameters]\n"path.terminal" = "%s"\n"path.serial" = "%s"\n' "$(field id <"$WORK/victim")" "$(field serial <"$WORK/issued")" \
  >"$WORK/schemathesis.toml"

# The same questions each time. What is left out of the checks is said here:
# - positive_data_acceptance: a well-formed name of a terminal that is not there is no fault of the description
# - use_after_free, ensure_resource_availability: nothing is deleted here
judged() {
  (cd "$WORK" && timeout 300 "$SCHEMATHESIS" run "$PORTAL/api/v1/openapi.json" --request-cert "$WORK/operator.pem" --request-cert-key "$WORK/operator.key" \
    --tls-verify "$ROOT" --header "Authorization: Basic $BASIC" --checks all \
    --exclude-checks positive_data_acceptance,use_after_free,ensure_resource_availability \
    --max-examples "${EXAMPLES:-15}" --seed 1 --no-color) | cut -c 1-200
}
check "schemathesis finds no 5xx and no answer that is not described" judged
check "the log says what it did" says 'schemathesis' tegata audit list --limit 50
check "and is intact" says '"intact": true' tegata audit verify
finish
