# Certificate status: the same answer asked for again and again over kept connections, beside nginx that serves a file with the very octets of
# that answer and the same headers. Both run all the time and are loaded in turns by one wrk on the same machine; neither logs requests.
# floor_us is nginx's processor time for one request.

need wrk:wrk nginx:nginx-light openssl:openssl curl:curl python3:python3
build
start_demo

CONNECTIONS=32
ROUNDS=5
SECONDS_EACH=4
if [ -n "$QUICK" ]; then ROUNDS=1 SECONDS_EACH=2; fi

issuing="$WORK/demo/ca/issuing.pem"
openssl x509 -in "$WORK/demo/$(demo 'demo["terminals"][1]["cert_pem"]')" -out "$WORK/leaf.pem"
openssl ocsp -issuer "$issuing" -cert "$WORK/leaf.pem" -no_nonce -reqout "$WORK/request.der"
url="$(demo 'demo["ocsp_url"]')/ocsp"
path=$(python3 -c 'import base64, sys, urllib.parse; print(urllib.parse.quote(base64.b64encode(open(sys.argv[1], "rb").read()), safe=""))' "$WORK/request.der")

mkdir -p "$WORK/nginx/files"
curl -sS -f -o "$WORK/nginx/files/answer" -D "$WORK/headers" "$url/$path"
port=$(free_port)
header() {
  sed -n "s/^$1: \(.*\)\r$/\1/ip" "$WORK/headers"
}
cat >"$WORK/nginx/nginx.conf" <<CONF
worker_processes $(nproc);
daemon off;
pid $WORK/nginx/pid;
error_log $WORK/nginx/error.log;
events { worker_connections 1024; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  open_file_cache max=10;
  keepalive_requests 1000000000;
  server_tokens off;
  default_type application/ocsp-response;
  client_body_temp_path $WORK/nginx/body; proxy_temp_path $WORK/nginx/proxy; fastcgi_temp_path $WORK/nginx/fastcgi;
  uwsgi_temp_path $WORK/nginx/uwsgi; scgi_temp_path $WORK/nginx/scgi;
  server {
    listen 127.0.0.1:$port reuseport;
    root $WORK/nginx/files;
    add_header Expires "$(header expires)";
    add_header Cache-Control "$(header cache-control)";
  }
}
CONF
chmod -R a+rX "$WORK"
nginx -p "$WORK/nginx" -c "$WORK/nginx/nginx.conf" 2>"$WORK/nginx/start.log" &
nginx=$!
PIDS+=("$nginx")
for _ in $(seq 50); do
  if curl -sf -o "$WORK/from-nginx" "http://127.0.0.1:$port/answer"; then break; fi
  sleep 0.1
done
cmp "$WORK/nginx/files/answer" "$WORK/from-nginx"
read -ra workers <<<"$(cat "/proc/$nginx/task/$nginx/children")"

cat >"$WORK/post.lua" <<LUA
local file = io.open("$WORK/request.der", "rb")
wrk.method = "POST"
wrk.body = file:read("*a")
wrk.headers["Content-Type"] = "application/ocsp-request"
LUA

# load NAME URL [wrk options] -- PIDS: one line "NAME per_second p50_ms p99_ms cpu_us" into $WORK/rounds.
load() {
  local name=$1 target=$2 options=()
  shift 2
  while [ "$1" != -- ]; do options+=("$1") && shift; done
  shift
  local before after
  before=$(cpu_us "$@")
  wrk -t 1 -c "$CONNECTIONS" -d "${SECONDS_EACH}s" --latency "${options[@]}" "$target" >"$WORK/wrk"
  after=$(cpu_us "$@")
  if grep -qE 'Non-2xx|Socket errors' "$WORK/wrk"; then cat "$WORK/wrk" >&2 && exit 1; fi
  python3 - "$name" "$WORK/wrk" $((after - before)) >>"$WORK/rounds" <<'PY'
import re, sys
name, text, cpu = sys.argv[1], open(sys.argv[2]).read(), int(sys.argv[3])
def ms(label):
    value, unit = re.search(rf"^\s+{label}%\s+([\d.]+)(us|ms|s)", text, re.M).groups()
    return float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]
requests = int(re.search(r"(\d+) requests in", text).group(1))
per_second = float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))
print(name, per_second, ms(50), ms(99), cpu / requests)
PY
  note "$(tail -n 1 "$WORK/rounds" | awk '{printf "%-6s %8.0f/s  p50 %.3f ms  p99 %.3f ms  %.1f us of processor time", $1, $2, $3, $4, $5}')"
}

note "$(wc -c <"$WORK/nginx/files/answer") octets, $CONNECTIONS connections, $ROUNDS rounds of $SECONDS_EACH s each"
for ((round = 0; round < ROUNDS; round++)); do
  load nginx "http://127.0.0.1:$port/answer" -- "${workers[@]}"
  load get "$url/$path" -- "$SERVER"
  load post "$url" -s "$WORK/post.lua" -- "$SERVER"
done

python3 - "$WORK/rounds" <<'PY'
import json, statistics, sys
rounds = {}
for line in open(sys.argv[1]):
    name, *values = line.split()
    rounds.setdefault(name, []).append([float(value) for value in values])
middle = lambda name, column: statistics.median(row[column] for row in rounds[name])
pairs = list(zip(rounds["get"], rounds["nginx"]))
ratios = [ours[0] / theirs[0] for ours, theirs in pairs]
cpu_ratios = [theirs[3] / ours[3] for ours, theirs in pairs]
print(json.dumps({
    "scenario": "ocsp", "rounds": len(ratios), "per_second": round(middle("get", 0)), "p50_ms": round(middle("get", 1), 3),
    "p99_ms": round(middle("get", 2), 3), "server_cpu_us": round(middle("get", 3), 1), "floor_us": round(middle("nginx", 3), 1),
    "post_per_second": round(middle("post", 0)), "nginx_per_second": round(middle("nginx", 0)), "ratio": round(statistics.median(ratios), 3),
    "cpu_ratio": round(statistics.median(cpu_ratios), 3),
}))
PY
