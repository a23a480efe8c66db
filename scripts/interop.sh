#!/usr/bin/env bash
# Other people's programs judge a running demo: its certificates, its bundles and its front door. Nothing is skipped: a program that is
# missing fails the run. Where a program's exit status lies, its text is judged.
#
#   scripts/interop.sh DIR      DIR is the folder of a running `tegata demo`
set -euo pipefail

DIR=${1:?usage: scripts/interop.sh DIR (the folder of a running demo)}
# shellcheck source=scripts/checks.sh
source "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
PKILINT=${TEGATA_PKILINT_BIN:-/opt/tegata-pkilint/bin}
TEGATA=${TEGATA:-$(dirname "${BASH_SOURCE[0]}")/../target/debug/tegata}
need openssl certtool ocsptool certutil crlutil vfychain pk12util keytool curl faketime python3 "$PKILINT/lint_pkix_cert" "$PKILINT/lint_crl"

# ---- the demo's files ----------------------------------------------------------------------------------------------------------------

ROOT="$DIR/$(json 'demo["ca_pem"]')"
ADDRESS=$(json 'demo["url"].removeprefix("https://")')
PORT=${ADDRESS##*:}
ALIASES=$(json '" ".join(a.removeprefix("https://").split(":")[0] for a in demo["alias_urls"])')
COUNT=$(json 'len(demo["terminals"])')

# field N NAME: of terminal N.
field() {
  json "demo['terminals'][$1]['$2']"
}

export P12_PASSWORD=
first=$DIR/$(field 0 p12)
P12_PASSWORD=$(field 0 p12_password)
openssl pkcs12 -in "$first" -passin env:P12_PASSWORD -cacerts -nokeys -out "$WORK/cas.pem" 2>/dev/null
awk -v base="$WORK/ca-" '/BEGIN CERT/{n++} n{print > (base n ".pem")}' "$WORK/cas.pem"
ISSUING=
for file in "$WORK"/ca-*.pem; do
  openssl x509 -in "$file" -out "$file"
  if [ "$(openssl x509 -in "$file" -noout -subject -nameopt RFC2253)" != "$(openssl x509 -in "$ROOT" -noout -subject -nameopt RFC2253)" ]; then
    ISSUING=$file
  fi
done
[ -n "$ISSUING" ] || { echo "the bundle holds no issuing CA" >&2 && exit 1; }

NSS="sql:$WORK/nss"
mkdir "$WORK/nss"
certutil -N --empty-password -d "$NSS"
certutil -A -d "$NSS" -n root -t "CT,," -i "$ROOT"

# ---- judges --------------------------------------------------------------------------------------------------------------------------

# No finding from WARNING up, but for $2: a line that pkilint is known to get wrong.
lint() {
  local text rest
  text=$("$PKILINT/lint_pkix_cert" lint -s WARNING "$1") || true
  rest=$(grep -E '\((WARNING|ERROR|FATAL)\)' <<<"$text" | grep -vF -- "${2:-no exception}" || true)
  # Its exit status is the number of its findings; without any it prints nothing.
  if [ -z "${2:-}" ] && [ -n "$text" ]; then echo "$text" && return 1; fi
  if [ -n "$rest" ]; then echo "$text" && return 1; fi
}

openssl_verifies() { # PURPOSE TIME FILE
  openssl verify -x509_strict -attime "$2" -purpose "$1" -CAfile "$ROOT" -untrusted "$ISSUING" "$3"
}

gnutls_verifies() { # OID TIME FILE
  cat "$3" "$ISSUING" >"$WORK/chain.pem"
  says 'Chain verification output: Verified\. The certificate is trusted\.' \
    env TZ=UTC faketime -f "@$(date -u -d "@$2" +'%Y-%m-%d %H:%M:%S')" certtool --verify --load-ca-certificate "$ROOT" --verify-purpose "$1" --infile "$WORK/chain.pem"
}

nss_verifies() { # USAGE TIME FILE
  says 'Chain is good!' vfychain -d "$NSS" -u "$1" -b "$(date -u -d "@$2" +%y%m%d%H%M%SZ)" -a "$3" "$ISSUING"
}

http_status() { # EXPECTED CERT KEY
  local got
  got=$(curl -sS -o /dev/null -w '%{http_code}' --cacert "$ROOT" --cert "$2" --key "$3" "https://$ADDRESS/login")
  [ "$got" = "$1" ] || { echo "answered $got, not $1" && return 1; }
}

now=$(date +%s)

echo "--- the CA"
check "pkilint finds nothing in the root" lint "$ROOT"
check "pkilint finds nothing in the issuing CA" lint "$ISSUING"
check "pkilint finds nothing between root and issuing CA" "$PKILINT/lint_pkix_signer_signee_cert_chain" lint -s WARNING "$ROOT" "$ISSUING"
check "OpenSSL verifies the issuing CA strictly" openssl verify -x509_strict -CAfile "$ROOT" "$ISSUING"
check "the root is P-384 and the issuing CA P-256, with a path length of 0" bash -c \
  "openssl x509 -in '$ROOT' -noout -text | grep -q 'ASN1 OID: secp384r1' && openssl x509 -in '$ISSUING' -noout -text | grep -q 'ASN1 OID: prime256v1' \
   && openssl x509 -in '$ISSUING' -noout -text | grep -q 'CA:TRUE, pathlen:0'"

for ((n = 0; n < COUNT; n++)); do
  state=$(field $n state)
  echo "--- terminal $(field $n customer)/$(field $n client), $state"
  cert="$WORK/leaf-$n.pem"
  openssl x509 -in "$DIR/$(field $n cert_pem)" -out "$cert"
  key="$DIR/$(field $n key_pem)"
  bundle="$DIR/$(field $n p12)"
  P12_PASSWORD=$(field $n p12_password)
  end=$(date -u -d "$(field $n not_after)" +%s)
  at=$((end - 86400))
  san=$(openssl x509 -in "$cert" -noout -ext subjectAltName | grep -oE 'https://terminal\.tegata\.internal/[0-9a-f-]{36}')

  check "its SAN is one terminal id" test -n "$san"
  check "its serial begins with its last day in Japan" test "$(openssl x509 -in "$cert" -noout -serial | cut -c8-15)" = "$(TZ=Asia/Tokyo date -d "@$end" +%Y%m%d)"
  check "pkilint finds nothing" lint "$cert"
  check "OpenSSL verifies it strictly for a TLS client" openssl_verifies sslclient "$at" "$cert"
  check "OpenSSL refuses it for a TLS server" refuses 'unsupported certificate purpose|unsuitable certificate purpose' openssl_verifies sslserver "$at" "$cert"
  check "GnuTLS verifies it for a TLS client" gnutls_verifies 1.3.6.1.5.5.7.3.2 "$at" "$cert"
  check "NSS verifies it for a TLS client" nss_verifies 0 "$at" "$cert"
  check "OpenSSL refuses it a second after its end" refuses 'certificate has expired' openssl_verifies sslclient $((end + 1)) "$cert"
  check "OpenSSL opens the bundle" openssl pkcs12 -in "$bundle" -passin env:P12_PASSWORD -nodes -noout
  check "NSS opens the bundle" pk12util -l "$bundle" -W "$P12_PASSWORD" -d "$NSS"
  check "Java opens the bundle: one key with its chain" says 'Certificate chain length: [23]' \
    keytool -J-Duser.language=en -list -v -storetype PKCS12 -keystore "$bundle" -storepass "$P12_PASSWORD"
  check "GnuTLS opens the bundle" says 'BEGIN .*PRIVATE KEY' certtool --p12-info --inder --infile "$bundle" --password "$P12_PASSWORD"
  check "GnuTLS complains of nothing in the bundle" never_says 'rror|failed' certtool --p12-info --inder --infile "$bundle" --password "$P12_PASSWORD"
  case $state in
    fresh | due) check "the front door lets it in" http_status 200 "$cert" "$key" ;;
    *) check "the front door answers it, and does not let it in" http_status 403 "$cert" "$key" ;;
  esac
  case $state in
    expired) check "OpenSSL refuses it now" refuses 'certificate has expired' openssl_verifies sslclient "$now" "$cert" ;;
    *) check "OpenSSL verifies it now" openssl_verifies sslclient "$now" "$cert" ;;
  esac
done

echo "--- the front door"
dial() {
  openssl s_client -connect "127.0.0.1:$PORT" -servername localhost -CAfile "$ROOT" -verify_return_error "$@"
}
check "TLS 1.3 with a chain that OpenSSL verifies" says 'Verify return code: 0 \(ok\)' dial -tls1_3 -verify_hostname localhost
check "the protocol is TLS 1.3" says 'New, TLSv1\.3' dial
check "TLS 1.2 is refused" refuses 'alert protocol version' dial -tls1_2
# Debian's OpenSSL does not even offer 1.1 at its default security level.
check "TLS 1.1 is refused" refuses 'alert|no protocols available|internal error' dial -tls1_1 -cipher 'ALL:@SECLEVEL=0'
check "h2 is chosen when offered" says 'ALPN protocol: h2' dial -alpn h2,http/1.1
check "http/1.1 is chosen when h2 is not offered" says 'ALPN protocol: http/1\.1' dial -alpn http/1.1
check "a protocol that we do not speak is refused" refuses 'alert no application protocol' dial -alpn ftp
issuer=$(openssl x509 -in "$ISSUING" -noout -subject -nameopt oneline | sed 's/^subject= *//')
# s_client prints the names under this heading, one a line.
ca_names() {
  dial -tls1_3 -nameopt oneline </dev/null 2>/dev/null | sed -n '/^Acceptable client certificate CA names/,/^Requested Signature/p'
}
check "a client certificate is requested, and our issuing CA is named" bash -c "grep -qxF -- \"\$1\" <<<\"\$2\" || { echo \"\$2\"; exit 1; }" _ "$issuer" "$(ca_names)"
for group in X25519 P-256; do
  check "key exchange over $group" says 'Verify return code: 0' dial -groups "$group"
done
for host in localhost $ALIASES; do
  check "the server's certificate is for $host" says 'Verify return code: 0' dial -verify_hostname "$host"
done
check "the server's certificate is for 127.0.0.1" says 'Verify return code: 0' dial -verify_ip 127.0.0.1
check "the server's certificate is not for any other name" says 'hostname mismatch' dial -verify_hostname example.jp
dial </dev/null 2>/dev/null | openssl x509 -out "$WORK/server.pem"
# pkilint 0.13 asks for at least two labels in a host name; the demo is served as "localhost".
check "pkilint finds nothing in the server's certificate" lint "$WORK/server.pem" 'Invalid domain name syntax: "localhost"'
check "OpenSSL verifies it strictly for a TLS server" openssl_verifies sslserver "$now" "$WORK/server.pem"
check "GnuTLS verifies it for a TLS server" gnutls_verifies 1.3.6.1.5.5.7.3.1 "$now" "$WORK/server.pem"
check "NSS verifies it for a TLS server" nss_verifies 1 "$now" "$WORK/server.pem"
check "without a certificate the door answers with a page" bash -c "[ \"\$(curl -sS -o /dev/null -w '%{http_code}' --cacert '$ROOT' 'https://$ADDRESS/login')\" = 403 ]"

echo "--- certificate status (OCSP)"
STATUS=$(json 'demo["ocsp_url"]')
ask() { # ARGUMENTS of openssl ocsp, which verifies the answer's signature and chain
  openssl ocsp -issuer "$ISSUING" -CAfile "$ROOT" -url "$STATUS/ocsp" "$@"
}
gnutls_asks() { # FILE [--nonce]
  ocsptool --ask="$STATUS/ocsp" --load-cert "$1" --load-issuer "$ISSUING" --load-trust "$ISSUING" "${@:2}"
}
# NSS finds the address in the certificate itself, and the issuing CA's certificate by its other address.
nss_asks() {
  vfychain -d "$NSS" -pp -f -g leaf -m ocsp -s requireInfo -u 0 -a "$1"
}
status_lint() { # FILE
  local text
  text=$("$PKILINT/lint_ocsp_response" lint -s WARNING "$1") || true
  [ -z "$text" ] || { echo "$text" && return 1; }
}
for ((n = 0; n < COUNT; n++)); do
  state=$(field $n state)
  cert="$WORK/leaf-$n.pem"
  expected=good
  if [ "$state" = revoked ]; then expected=revoked; fi
  for hash in -sha1 -sha256; do
    for nonce in -nonce -no_nonce; do
      check "OpenSSL: terminal $n, $state, is $expected ($hash $nonce)" says "leaf-$n.pem: $expected" ask $hash $nonce -cert "$cert" -respout "$WORK/status-$n.der"
      check "OpenSSL verifies that answer" says 'Response verify OK' ask $hash $nonce -cert "$cert"
      check "pkilint finds nothing in that answer" status_lint "$WORK/status-$n.der"
    done
  done
  for nonce in --no-nonce --nonce; do
    check "GnuTLS: terminal $n is $expected ($nonce)" says "Certificate Status: $expected" gnutls_asks "$cert" $nonce
    check "GnuTLS verifies that answer" says 'Verifying OCSP Response: Success' gnutls_asks "$cert" $nonce
  done
  case $state in
    fresh | due) check "NSS asks by itself and accepts terminal $n" says 'Chain is good!' nss_asks "$cert" ;;
    revoked) check "NSS asks by itself and refuses terminal $n" says 'SEC_ERROR_REVOKED_CERTIFICATE|has been revoked' nss_asks "$cert" ;;
  esac
done
check "the reason is told" says 'Reason: keyCompromise' ask -cert "$WORK/leaf-3.pem"
check "the front door's certificate is good" says 'server.pem: good' ask -cert "$WORK/server.pem"
never=0x20291122ABABABABABABABABABABABAB
check "a serial that was never issued is unknown" says "$never: unknown" ask -serial $never
check "several in one request are answered in one" says "leaf-0.pem: good" ask -cert "$WORK/leaf-3.pem" -serial $never -cert "$WORK/leaf-0.pem"
check "another CA's certificate is none of our business" says 'unauthorized \(6\)' openssl ocsp -issuer "$ROOT" -CAfile "$ROOT" -url "$STATUS/ocsp" -cert "$ISSUING"
openssl ocsp -respin "$WORK/status-0.der" -noverify -resp_text | openssl x509 -out "$WORK/responder.pem"
check "pkilint finds nothing in the responder's certificate" lint "$WORK/responder.pem"
check "pkilint finds nothing between issuing CA and responder" "$PKILINT/lint_pkix_signer_signee_cert_chain" lint -s WARNING "$ISSUING" "$WORK/responder.pem"
check "the responder's certificate needs no check and is no terminal" refuses 'purpose' openssl_verifies sslclient "$now" "$WORK/responder.pem"
openssl ocsp -issuer "$ISSUING" -cert "$WORK/leaf-0.pem" -no_nonce -reqout "$WORK/status.req"
get() {
  curl -sS -f -o "$1" "$STATUS/ocsp/$(openssl base64 -A -in "$WORK/status.req" | sed 's#+#%2B#g; s#/#%2F#g; s#=#%3D#g')"
}
check "the answer to GET" get "$WORK/status-get.der"
check "OpenSSL verifies it" says 'leaf-0.pem: good' openssl ocsp -respin "$WORK/status-get.der" -no_nonce -issuer "$ISSUING" -CAfile "$ROOT" -cert "$WORK/leaf-0.pem"
check "the issuing CA is where its certificates say" bash -c \
  "curl -sS -f \"\$(openssl x509 -in '$WORK/leaf-0.pem' -noout -ext authorityInfoAccess | sed -n 's/ *CA Issuers - URI://p')\" | openssl x509 -inform der | cmp - '$ISSUING'"

echo "--- revocation lists (CRL)"
FULL=$(json 'demo["crl_url"]')
fetch() { # URL NAME: NAME.crl in DER, NAME.crl.pem
  curl -sS -f -o "$WORK/$2.crl" "$1" && openssl crl -inform DER -in "$WORK/$2.crl" -out "$WORK/$2.crl.pem"
}
list_lint() { # FILE [ARL]
  local text profile
  for profile in PKIX BR; do
    text=$("$PKILINT/lint_crl" lint -t "${2:-CRL}" -p "$profile" -s WARNING "$1") || true
    [ -z "$text" ] || { echo "$text" && return 1; }
  done
}
openssl_checks() { # LIST CERT
  openssl verify -x509_strict -crl_check -attime "$now" -CAfile "$ROOT" -untrusted "$ISSUING" -CRLfile "$1" "$2"
}
gnutls_checks() { # LIST CERT
  cat "$2" "$ISSUING" >"$WORK/chain.pem"
  certtool --verify --load-ca-certificate "$ROOT" --load-crl "$1" --infile "$WORK/chain.pem"
}
# Each certificate's list is fetched from where it says; the full one is for all of them.
check "the full list is where the demo says" fetch "$FULL" full
for ((n = 0; n < COUNT; n++)); do
  state=$(field $n state)
  cert="$WORK/leaf-$n.pem"
  check "terminal $n names one list, and it is there" fetch "$(openssl x509 -in "$cert" -noout -ext crlDistributionPoints | sed -n 's/ *URI://p')" "leaf-$n"
  for list in leaf-$n full; do
    case $state in
      revoked)
        check "OpenSSL: terminal $n is revoked ($list)" refuses 'certificate revoked' openssl_checks "$WORK/$list.crl" "$cert"
        check "GnuTLS: terminal $n is revoked ($list)" refuses 'certificate chain is revoked' gnutls_checks "$WORK/$list.crl.pem" "$cert"
        ;;
      fresh | due)
        check "OpenSSL: terminal $n is not revoked ($list)" openssl_checks "$WORK/$list.crl" "$cert"
        check "GnuTLS: terminal $n is not revoked ($list)" says 'Verified\. The certificate is trusted\.' gnutls_checks "$WORK/$list.crl.pem" "$cert"
        ;;
    esac
  done
done
check "OpenSSL fetches the list by itself: revoked" refuses 'certificate revoked' openssl verify -crl_check -crl_download -CAfile "$ROOT" -untrusted "$ISSUING" "$WORK/leaf-3.pem"
check "OpenSSL fetches the list by itself: good" openssl verify -crl_check -crl_download -CAfile "$ROOT" -untrusted "$ISSUING" "$WORK/leaf-1.pem"
# Two terminals share a shard once in 128 times, five never.
for ((n = 0; n < COUNT; n++)); do
  if ! cmp -s "$WORK/leaf-$n.crl" "$WORK/leaf-3.crl"; then other=$WORK/leaf-$n.crl; fi
done
check "OpenSSL takes no other shard's list for the revoked one's" refuses 'different CRL scope' openssl_checks "$other" "$WORK/leaf-3.pem"
for list in full leaf-3 leaf-1; do
  check "OpenSSL verifies the list's signature ($list)" says 'verify OK' openssl crl -inform DER -in "$WORK/$list.crl" -noout -verify -CAfile "$ISSUING"
  check "GnuTLS verifies the list's signature ($list)" says 'Verified\. The certificate is trusted\.' certtool --verify-crl --load-ca-certificate "$ISSUING" --infile "$WORK/$list.crl.pem"
  check "pkilint finds nothing in the list ($list)" list_lint "$WORK/$list.crl"
done
check "GnuTLS reads the full list" says 'Revoked certificates \(1\)' certtool --crl-info --inder --infile "$WORK/full.crl"
check "the reason is told" says 'Key Compromise' openssl crl -inform DER -in "$WORK/full.crl" -noout -text
check "NSS takes the full list up" crlutil -I -B -i "$WORK/full.crl" -d "$NSS"
check "NSS refuses the revoked one by it" refuses 'SEC_ERROR_REVOKED_CERTIFICATE|has been revoked' vfychain -d "$NSS" -pp -g leaf -m crl -s requireInfo -u 0 -a "$WORK/leaf-3.pem" "$ISSUING"
check "NSS accepts the good one by it" says 'Chain is good!' vfychain -d "$NSS" -pp -g leaf -m crl -s requireInfo -u 0 -a "$WORK/leaf-1.pem" "$ISSUING"
export TEGATA_PASSPHRASE_FILE=$DIR/$(json 'demo["passphrase_file"]')
check "the command writes the full list" "$TEGATA" --config "$DIR/$(json 'demo["config"]')" ca crl --out "$WORK/written.crl.pem"
check "OpenSSL refuses the revoked one by that file" refuses 'certificate revoked' openssl_checks "$WORK/written.crl.pem" "$WORK/leaf-3.pem"
check "OpenSSL accepts the good one by that file" openssl_checks "$WORK/written.crl.pem" "$WORK/leaf-1.pem"
check "the command writes the root's list" "$TEGATA" --config "$DIR/$(json 'demo["config"]')" ca root-crl --out "$WORK/root.crl.pem"
cat "$WORK/root.crl.pem" >>"$WORK/written.crl.pem"
check "OpenSSL accepts the good one by the lists of all CAs" openssl verify -x509_strict -crl_check_all -CAfile "$ROOT" -untrusted "$ISSUING" -CRLfile "$WORK/written.crl.pem" "$WORK/leaf-1.pem"
check "GnuTLS verifies the signature of the root's list" says 'Verified\. The certificate is trusted\.' certtool --verify-crl --load-ca-certificate "$ROOT" --infile "$WORK/root.crl.pem"
openssl crl -in "$WORK/root.crl.pem" -outform DER -out "$WORK/root.crl"
check "pkilint finds nothing in the root's list" list_lint "$WORK/root.crl" ARL

# A certificate that bears the name of our CA but not its signature.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$WORK/forged-ca.key" -out "$WORK/forged-ca.pem" -days 2 \
  -subj "$(openssl x509 -in "$ISSUING" -noout -subject -nameopt compat | sed 's/^subject= *//')" -utf8 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$WORK/forged.key" -out "$WORK/forged.csr" -subj "/CN=JP_u00000001_client0001" 2>/dev/null
openssl x509 -req -in "$WORK/forged.csr" -CA "$WORK/forged-ca.pem" -CAkey "$WORK/forged-ca.key" -CAcreateserial -days 2 -out "$WORK/forged.pem" 2>/dev/null
check "a certificate with the name of our CA but not its signature is not let in" http_status 403 "$WORK/forged.pem" "$WORK/forged.key"

finish
