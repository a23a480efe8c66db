#!/usr/bin/env bash
# Other reverse proxies ask the gate of a running demo whether a request may pass: nginx, Caddy and HAProxy, set up as docs/manual/en/gateway.md
# says. Nothing is skipped: a program that is missing fails the run.
#
#   scripts/proxies.sh DIR      DIR is the folder of a running `tegata demo`
set -euo pipefail

DIR=${1:?usage: scripts/proxies.sh DIR (the folder of a running demo)}
# shellcheck source=scripts/checks.sh
source "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
need nginx caddy haproxy openssl curl python3

GATE=$(json 'demo["forward_auth_url"]')
CA="$DIR/$(json 'demo["ca_pem"]')"
PROXY_CERT="$DIR/$(json 'demo["proxy"]["cert_pem"]')"
PROXY_KEY="$DIR/$(json 'demo["proxy"]["key_pem"]')"
# The field of a terminal in a state.
of() {
  json "next(t for t in demo['terminals'] if t['state'] == '$1')['$2']"
}
free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
NGINX=$(free_port) CADDY=$(free_port) HAPROXY=$(free_port) APP=$(free_port) INNER=$(free_port)
PIDS=()
trap 'kill "${PIDS[@]}" 2>/dev/null || true; wait; rm -rf "$WORK"; [ -n "$finished" ] || printf "\n%s ended early\n0 passed, 1 failed\n" "$0"' EXIT

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
  -keyout "$WORK/server.key" -out "$WORK/server.pem" 2>/dev/null
cat "$WORK/server.pem" "$WORK/server.key" >"$WORK/server-both.pem"
cat "$PROXY_CERT" "$PROXY_KEY" >"$WORK/proxy-both.pem"
chmod 644 "$WORK"/*.pem "$WORK/server.key"

# The application says whom it was told of.
cat >"$WORK/app.py" <<'PY'
import http.server, sys
class App(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        told = [self.headers.get(name, "-") for name in ("X-Tegata-Customer", "X-Tegata-Terminal", "X-Tegata-Serial")]
        body = ("app sees " + " ".join(told) + "\n").encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), App).serve_forever()
PY
python3 "$WORK/app.py" "$APP" &
PIDS+=($!)

mkdir "$WORK/nginx"
cat >"$WORK/nginx/nginx.conf" <<CONF
daemon off; master_process off; pid $WORK/nginx/pid; error_log $WORK/nginx/error.log;
events {}
http {
  access_log off;
  client_body_temp_path $WORK/nginx/b; proxy_temp_path $WORK/nginx/p; fastcgi_temp_path $WORK/nginx/f; uwsgi_temp_path $WORK/nginx/u; scgi_temp_path $WORK/nginx/s;
  server {
    listen 127.0.0.1:$NGINX ssl;
    ssl_certificate $WORK/server.pem; ssl_certificate_key $WORK/server.key;
    ssl_protocols TLSv1.3;
    ssl_client_certificate $CA; ssl_verify_client optional_no_ca;
    location = /tegata {
      internal;
      proxy_pass $GATE/forward-auth;
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_set_header X-SSL-Client-Cert \$ssl_client_escaped_cert;
      proxy_set_header Client-Cert "";
      proxy_set_header X-Forwarded-Tls-Client-Cert "";
      proxy_set_header X-Forwarded-Client-Cert "";
      proxy_set_header Host localhost;
      proxy_ssl_certificate $PROXY_CERT; proxy_ssl_certificate_key $PROXY_KEY;
      proxy_ssl_trusted_certificate $CA; proxy_ssl_verify on; proxy_ssl_verify_depth 2;
      proxy_ssl_name localhost; proxy_ssl_server_name on; proxy_ssl_protocols TLSv1.3;
    }
    location / {
      auth_request /tegata;
      auth_request_set \$tegata_customer \$upstream_http_x_tegata_customer;
      auth_request_set \$tegata_terminal \$upstream_http_x_tegata_terminal;
      auth_request_set \$tegata_serial \$upstream_http_x_tegata_serial;
      proxy_set_header X-Tegata-Customer \$tegata_customer;
      proxy_set_header X-Tegata-Terminal \$tegata_terminal;
      proxy_set_header X-Tegata-Serial \$tegata_serial;
      proxy_pass http://127.0.0.1:$APP;
    }
  }
}
CONF
nginx -p "$WORK/nginx" -c "$WORK/nginx/nginx.conf" 2>"$WORK/nginx/start.log" &
PIDS+=($!)

cat >"$WORK/Caddyfile" <<CONF
{
  admin off
  auto_https off
  storage file_system $WORK/caddy
}
https://localhost:$CADDY {
  bind 127.0.0.1
  tls $WORK/server.pem $WORK/server.key {
    client_auth {
      mode request
    }
  }
  route {
    request_header -X-Tegata-*
    forward_auth $GATE {
      uri /forward-auth
      header_up Host localhost
      header_up Client-Cert ":{http.request.tls.client.certificate_der_base64}:"
      header_up -X-SSL-Client-Cert
      header_up -X-Forwarded-Tls-Client-Cert
      header_up -X-Forwarded-Client-Cert
      copy_headers X-Tegata-Customer X-Tegata-Terminal X-Tegata-Serial
      transport http {
        tls_client_auth $PROXY_CERT $PROXY_KEY
        tls_trusted_ca_certs $CA
        tls_server_name localhost
      }
    }
    reverse_proxy 127.0.0.1:$APP
  }
}
CONF
HOME="$WORK" caddy run --config "$WORK/Caddyfile" --adapter caddyfile >"$WORK/caddy.log" 2>&1 &
PIDS+=($!)

cat >"$WORK/tegata.lua" <<'LUA'
-- Asks the gate by way of a listener of this HAProxy's own, which shows the proxy's certificate.
core.register_action("tegata", { "http-req" }, function(txn)
  local cert = txn.f:ssl_c_der()
  local shown = cert and #cert > 0 and ":" .. txn.c:base64(cert) .. ":" or "::"
  local answer = core.httpclient():get{ url = txn:get_var("proc.tegata"), headers = { ["client-cert"] = { shown }, ["host"] = { "localhost" } } }
  txn:set_var("txn.tegata_open", answer ~= nil and answer.status == 200)
  for _, name in ipairs({ "customer", "terminal", "serial" }) do
    local value = answer and answer.headers and answer.headers["x-tegata-" .. name]
    txn:set_var("txn.tegata_" .. name, value and value[0] or "")
  end
end)
LUA
cat >"$WORK/haproxy.cfg" <<CONF
global
  lua-load $WORK/tegata.lua
  set-var proc.tegata str("http://127.0.0.1:$INNER/forward-auth")
  ssl-default-bind-options ssl-min-ver TLSv1.3
defaults
  mode http
  timeout connect 5s
  timeout client 20s
  timeout server 20s
listen tegata_inner
  bind 127.0.0.1:$INNER
  server gate 127.0.0.1:${GATE##*:} ssl crt $WORK/proxy-both.pem ca-file $CA verify required sni str(localhost) verifyhost localhost
frontend door
  bind 127.0.0.1:$HAPROXY ssl crt $WORK/server-both.pem ca-file $CA verify optional ca-ignore-err all crt-ignore-err all
  http-request lua.tegata
  http-request del-header x-tegata- -m beg
  http-request deny deny_status 403 unless { var(txn.tegata_open) -m bool }
  http-request set-header X-Tegata-Customer %[var(txn.tegata_customer)]
  http-request set-header X-Tegata-Terminal %[var(txn.tegata_terminal)]
  http-request set-header X-Tegata-Serial %[var(txn.tegata_serial)]
  default_backend app
backend app
  server app 127.0.0.1:$APP
CONF
haproxy -f "$WORK/haproxy.cfg" >"$WORK/haproxy.log" 2>&1 &
PIDS+=($!)

# visit PORT STATE [CURL...]: asks as the terminal of that state; `nobody` shows no certificate.
visit() {
  local port=$1 state=$2 shown=()
  shift 2
  [ "$state" = nobody ] || shown=(--cert "$DIR/$(of "$state" cert_pem)" --key "$DIR/$(of "$state" key_pem)")
  curl -sk --max-time 10 -w ' %{http_code}' "${shown[@]}" "$@" "https://localhost:$port/any"
}

for proxy in nginx:$NGINX Caddy:$CADDY HAProxy:$HAPROXY; do
  name=${proxy%%:*} port=${proxy#*:}
  echo "--- $name"
  for _ in $(seq 100); do
    curl -sk -o /dev/null "https://localhost:$port/" && break
    sleep 0.1
  done
  check "a terminal's request passes, and the application is told who it is" \
    says "^app sees u00000001 client0002 $(of fresh serial)" visit "$port" fresh
  check "a terminal whose certificate is due passes" says ' 200$' visit "$port" due
  check "what the client says of itself does not arrive" says "^app sees u00000001 client0002 $(of fresh serial)" \
    visit "$port" fresh -H 'X-Tegata-Terminal: client9999' -H 'X-Tegata-Serial: forged' -H 'X-Tegata-Customer: u99999999'
  for state in expired revoked; do
    # nginx turns expired ones away by itself, with 400.
    check "the $state certificate stays outside" says '(400|401|403)$' visit "$port" "$state"
    check "and sees nothing of the application" never_says 'app sees' visit "$port" "$state"
  done
  check "nobody stays outside" says '(401|403)$' visit "$port" nobody
  check "nobody stays outside with another one's certificate in a header" never_says 'app sees' \
    visit "$port" nobody -H "Client-Cert: :$(openssl x509 -in "$DIR/$(of fresh cert_pem)" -outform DER | base64 -w0):"
done

echo "--- who may ask"
ask() {
  curl -s --cacert "$CA" --max-time 10 -w ' %{http_code}' -H "Client-Cert: :$(openssl x509 -in "$DIR/$(of fresh cert_pem)" -outform DER | base64 -w0):" \
    "$@" "$GATE/forward-auth"
}
check "the proxy is answered" says ' 200$' ask --cert "$PROXY_CERT" --key "$PROXY_KEY"
check "a terminal that is no proxy is not" says ' 403$' ask --cert "$DIR/$(of fresh cert_pem)" --key "$DIR/$(of fresh key_pem)"
check "nor is somebody without a certificate" says ' 403$' ask

if [ "$failed" != 0 ]; then
  tail -n 20 "$WORK/nginx/error.log" "$WORK/caddy.log" "$WORK/haproxy.log" || true
fi
finish
