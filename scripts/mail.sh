#!/usr/bin/env bash
# Reminders by mail against a real mail server (aiosmtpd): STARTTLS, TLS and plain on loopback, a server that is down, puts off, refuses, or
# is cut off in the middle; webhooks against a receiver that puts off, hangs, leads elsewhere, or is gone. A deployment of its own, in a folder of its own. Nothing is skipped: a program that is missing fails the run.
#
#   scripts/mail.sh
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TEGATA=${TEGATA:-$HERE/target/debug/tegata}
# shellcheck source=scripts/checks.sh
source "$HERE/scripts/checks.sh"
need openssl faketime
# Debian's own, which has Debian's modules, whatever else is called python3.
PYTHON=/usr/bin/python3
"$PYTHON" -c 'import aiosmtpd, icalendar' || { echo "aiosmtpd or icalendar is missing: scripts/test.sh installs them" >&2 && exit 2; }

export TEGATA_PASSPHRASE="a passphrase for tests"
PLACE=$WORK/place
servers=()
stop_servers() { for server in "${servers[@]}"; do kill "$server" 2>/dev/null || true; done; }
trap 'stop_servers; rm -rf "$WORK"; [ -n "$finished" ] || printf "\n%s ended early\n0 passed, 1 failed\n" "$0"' EXIT

port() { "$PYTHON" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# serve MODE: a mail server of that kind; its port and folder become PORT_MODE and $WORK/MODE.
serve() {
  local mode=$1 at
  at=$(port)
  mkdir -p "$WORK/$mode"
  "$PYTHON" "$HERE/scripts/smtpd.py" "$mode" "$at" "$WORK/$mode" "$WORK/server.pem" "$WORK/server.key" >"$WORK/$mode.log" 2>&1 &
  servers+=($!)
  for _ in $(seq 100); do grep -q ready "$WORK/$mode.log" && break || sleep 0.1; done
  declare -g "PORT_$mode=$at"
}

# config NAME LINE...: the deployment's configuration with this [mail].
config() {
  local name=$1
  shift
  { cat "$PLACE/base.toml" && echo "[mail]" && printf '%s\n' 'from = "tegata@example.jp"' 'hour = 0' 'on_holidays = true' "$@"; } >"$PLACE/$name.toml"
}

# with NAME ARGUMENT...: tegata with that configuration.
with() {
  local name=$1
  shift
  "$TEGATA" --config "$PLACE/$name.toml" "$@"
}

# The files that a mail server keeps of an address.
kept() { find "$WORK/$1" -name "*-$2.eml" | sort; }
count() { [ "$(kept "$1" "$2" | wc -l)" = "$3" ] || { kept "$1" "$2" && return 1; }; }
# Each argument after the first is a part of the address's state in the outbox.
state() { with starttls notify outbox --customer u00000001 | grep -F "$1" | head -1; }

key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 2)
openssl req -x509 "${key[@]}" -subj /CN=test-ca -keyout "$WORK/ca.key" -out "$WORK/ca.pem" 2>/dev/null
openssl req -x509 "${key[@]}" -subj /CN=other-ca -keyout "$WORK/other.key" -out "$WORK/other.pem" 2>/dev/null
openssl req -x509 "${key[@]}" -subj /CN=localhost -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE \
  -CA "$WORK/ca.pem" -CAkey "$WORK/ca.key" -keyout "$WORK/server.key" -out "$WORK/server.pem" 2>/dev/null
for mode in starttls tls plain; do serve "$mode"; done

"$TEGATA" init --dir "$PLACE" --organization "テスト医療情報センター" --host portal.example.jp >/dev/null
sed "s|^# ca_file = \"receivers-ca.pem\"|ca_file = \"$WORK/ca.pem\"|" "$PLACE/tegata.toml" >"$PLACE/base.toml"
echo "mail password" >"$WORK/password"
echo "wrong" >"$WORK/wrong"
account=('user = "tegata"' "password_file = \"$WORK/password\"")
config starttls 'host = "localhost"' "port = $PORT_starttls" "ca_file = \"$WORK/ca.pem\"" "${account[@]}"
config tls 'host = "localhost"' "port = $PORT_tls" 'tls = "tls"' "ca_file = \"$WORK/ca.pem\""
config plain 'host = "127.0.0.1"' "port = $PORT_plain" 'tls = "none"'
config other 'host = "localhost"' "port = $PORT_starttls" "ca_file = \"$WORK/other.pem\"" "${account[@]}"
config named 'host = "127.0.0.1"' "port = $PORT_starttls" "ca_file = \"$WORK/ca.pem\"" "${account[@]}"
config bare 'host = "localhost"' "port = $PORT_plain" "ca_file = \"$WORK/ca.pem\""
config wrong 'host = "localhost"' "port = $PORT_starttls" "ca_file = \"$WORK/ca.pem\"" 'user = "tegata"' "password_file = \"$WORK/wrong\""
config dead 'host = "localhost"' "port = $(port)" "ca_file = \"$WORK/ca.pem\""

with starttls customer add --code 103001 --name みどり医院 >/dev/null
for name in 受付1 診察室; do with starttls terminal add --customer u00000001 --name "$name" >/dev/null; done
for number in 1 2; do
  with starttls cert issue "u00000001/client000$number" --out "$WORK/issued$number" --key p256 \
    --not-after "$(date -u -d "+$((number * 5)) days" +%F)" >/dev/null
done
contact() { with starttls notify contacts add --customer u00000001 --address "$1" --name "$1" >/dev/null; }
contact jimu@example.jp

echo "--- the mail server's name and account"
test_mail() { with "$1" notify test --customer u00000001 --address "${2:-jimu@example.jp}"; }
again() { with starttls notify retry >/dev/null; }
check "STARTTLS with an account" says 'delivered' test_mail starttls
check "it was said over TLS, and the server kept it" grep -q '^X-Test-Cipher: (' "$(kept starttls jimu@example.jp | tail -1)"
check "TLS from the first byte" says 'delivered' test_mail tls
check "plain on this machine" says 'delivered' test_mail plain
check "a certificate of another CA is refused" says 'again from .*(UnknownIssuer|certificate)' test_mail other
check "a certificate of another name is refused" says 'again from .*(NotValidForName|certificate)' test_mail named
check "a server without STARTTLS gets nothing" says 'again from .*STARTTLS' test_mail bare
check "a wrong password is a failure that is tried again" says 'again from .*535' test_mail wrong
check "no password is in what is said of it" never_says 'mail password|wrong' with starttls notify outbox --failed
check "after that all of them arrive, and the day's digest" says 'for 1 customer\(s\); 5 notice\(s\) delivered, 0 not' bash -c "$(declare -f with again); TEGATA='$TEGATA' PLACE='$PLACE'; again; with starttls notify run"

echo "--- the digest"
check "a customer's digest of a day is written once" says 'for 0 customer\(s\); 0 notice' with starttls notify run
letter=$(kept starttls jimu@example.jp | tail -1)
cat >"$WORK/judge.py" <<'PY'

import email, email.policy, icalendar, sys
mail = email.message_from_binary_file(open(sys.argv[1], "rb"), policy=email.policy.default)
assert mail["Subject"].startswith("【証明書の期限】2台、次の期限は"), mail["Subject"]
assert mail["From"].addresses[0].addr_spec == "tegata@example.jp", mail["From"]
assert mail["To"] == "jimu@example.jp" and mail["Auto-Submitted"] == "auto-generated"
text = mail.get_body(("plain",)).get_content()
for part in ["受付1（端末番号 1-1）", "診察室（端末番号 1-2）", "残り5日", "残り10日", "https://portal.example.jp", "一度も使われていません"]:
    assert part in text, (part, text)
dates = [part for part in mail.iter_attachments()]
assert dates[0].get_content_type() == "text/calendar" and dates[0].get_filename() == "tegata.ics"
events = [e for e in icalendar.Calendar.from_ical(dates[0].get_payload(decode=True)).walk("VEVENT")]
assert [str(e["SUMMARY"]) for e in events] [0].startswith("証明書の期限：受付1") and len(events) == 2, events
assert len({str(e["UID"]) for e in events}) == 2 and events[0]["DTSTART"].dt.tzinfo is not None
PY
check "another program reads it: subject, terminals, what to do, calendar" "$PYTHON" "$WORK/judge.py" "$letter"
before=$(kept starttls jimu@example.jp | wc -l)
check "two processes at once write one digest and send each mail once" bash -c "$(declare -f with); TEGATA='$TEGATA' PLACE='$PLACE'
  faketime -f '+1d' bash -c '\"\$0\" --config \"\$1\" notify run & \"\$0\" --config \"\$1\" notify run; wait' \"\$TEGATA\" \"\$PLACE/starttls.toml\""
check "one more, and no two" count starttls jimu@example.jp $((before + 1))

echo "--- what goes wrong"
contact never@example.jp
contact later@example.jp
check "an address that the server refuses is given up at once" says 'given up .*550' test_mail starttls never@example.jp
check "one that is put off is tried again" says 'again from .*451|delivered' test_mail starttls later@example.jp
again
with starttls notify run >/dev/null || true
check "and arrives" says 'delivered' state later@example.jp
check "a server that is down loses nothing" says 'again from .*(refused|Connect)' test_mail dead
again
check "when it is back, the mail arrives" says '[1-9] notice\(s\) delivered' with starttls notify run
with starttls notify contacts remove --customer u00000001 --address never@example.jp >/dev/null
contact hang@example.jp
with starttls notify run >/dev/null || true
before=$(kept starttls hang@example.jp | wc -l)
touch "$WORK/starttls/hang"
"$TEGATA" --config "$PLACE/starttls.toml" notify test --customer u00000001 --address hang@example.jp >/dev/null 2>&1 &
sender=$!
for _ in $(seq 100); do [ "$(kept starttls hang@example.jp | wc -l)" -gt "$before" ] && break || sleep 0.1; done
kill -9 "$sender"
rm "$WORK/starttls/hang"
check "a sender that is killed leaves the mail to the next one, after a while" says ' 0 notice\(s\) delivered' with starttls notify run
faketime -f '+4m' "$TEGATA" --config "$PLACE/starttls.toml" notify run >/dev/null
check "it arrives twice rather than never" count starttls hang@example.jp $((before + 2))
ids() { grep -h '^Message-ID:' "$(kept starttls hang@example.jp | tail -2 | head -1)" "$(kept starttls hang@example.jp | tail -1)" | sort -u | wc -l; }
check "with the same Message-ID" says '^1$' ids
echo "--- webhooks"
# hook NAME: one that leads to that path of the receiver; its number becomes ID_NAME.
hook() {
  local said
  said=$(with starttls --json webhook add --customer u00000001 --url "https://localhost:$PORT_hooks/$1" --private)
  "$PYTHON" -c 'import json, sys; print(json.loads(sys.argv[1])["secret"])' "$said" >"$WORK/hooks/secret-$1"
  declare -g "ID_$1=$("$PYTHON" -c 'import json, sys; print(json.loads(sys.argv[1])["id"])' "$said")"
}
test_hook() { with starttls webhook test "$1"; }
heard() { grep -c -E -- "$1" "$WORK/hooks/log"; }

PORT_hooks=$(port)
mkdir "$WORK/hooks"
"$PYTHON" "$HERE/scripts/hookd.py" "$PORT_hooks" "$WORK/hooks" "$WORK/server.pem" "$WORK/server.key" >"$WORK/hooks.log" 2>&1 &
servers+=($!)
for _ in $(seq 100); do grep -q ready "$WORK/hooks.log" && break || sleep 0.1; done
with starttls webhook add --customer u00000001 --url "https://localhost:$PORT_hooks/ok" >/dev/null
check "an address on this machine is refused unless the operator permits it" says 'not on the open network' test_hook 1
with starttls webhook remove 1 >/dev/null
for name in ok later gone redirect hang; do hook "$name"; done
check "a test is delivered over TLS" says '^delivered' test_hook "$ID_ok"
check "another program finds its signature right" says '^1$' heard '^ok verified .* webhook.test$'
check "an answer of 500 is tried again" says 'answered 500' test_hook "$ID_later"
check "410 ends it" says 'given up: answered 410' test_hook "$ID_gone"
check "a redirect is not followed" says 'answered 302' test_hook "$ID_redirect"
check "and nobody was asked elsewhere" never_says elsewhere cat "$WORK/hooks/log"
check "a receiver that hangs is left after 15 seconds" says 'no answer within 15 seconds' test_hook "$ID_hang"
for id in "$ID_hang" "$ID_redirect" "$ID_gone"; do with starttls webhook remove "$id" >/dev/null; done
again
with starttls notify run >/dev/null || true
check "what was put off arrives, with the same id" says '^1 2$' \
  bash -c "grep '^later verified .* webhook.test' '$WORK/hooks/log' | cut -d' ' -f3 | sort | uniq -c | awk '{ n++; c = \$1 } END { print n, c }'"
with starttls terminal add --customer u00000001 --name 会計 >/dev/null
with starttls cert issue u00000001/client0003 --out "$WORK/issued3" --key p256 >/dev/null
with starttls notify run >/dev/null || true
check "a certificate that is issued is told" says '^1$' heard '^ok verified .* certificate.issued$'
check "and those that end soon were" says '^[2-9]$' heard '^ok verified .* certificate.expiring$'
secret=$(with starttls --json webhook rotate "$ID_ok")
check "the secret before signs too for a day" says '^delivered' test_hook "$ID_ok"
"$PYTHON" -c 'import json, sys; print(json.loads(sys.argv[1])["secret"])' "$secret" >"$WORK/hooks/secret-ok"
check "and so does the new one" says '^delivered' test_hook "$ID_ok"
check "nothing that came was forged" never_says FORGED cat "$WORK/hooks/log"
check "no secret is in the operation log" never_says whsec with starttls audit list

echo "--- the operation log"
check "the operation log says what was given up, and is whole" says 'notice.given-up' with starttls audit list
check "the chain of the operation log holds" with starttls audit verify
finish
