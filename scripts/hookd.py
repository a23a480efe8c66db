"""A receiver of webhooks for scripts/mail.sh: keeps what it is sent, and whether it is signed. How it behaves is in the path.

  hookd.py PORT FOLDER CERTIFICATE KEY

/ok       takes it                      /gone      answers 410
/later    answers 500 once, then takes  /redirect  answers 302, to /elsewhere
/hang     does not answer
The secret of each path lies in FOLDER/secret-PATH. Each request becomes a line of FOLDER/log: path, verified or not, id, type.
"""

import base64
import hashlib
import hmac
import http.server
import json
import os
import ssl
import sys
import time

port, folder, certificate, key = sys.argv[1:5]
put_off = set()


def verified(name, headers, body):
    """As https://www.standardwebhooks.com/ says; written after its text, not after our program."""
    with open(os.path.join(folder, f"secret-{name}"), encoding="ascii") as file:
        secret = base64.b64decode(file.read().strip().removeprefix("whsec_"))
    sent, identity = headers["webhook-timestamp"], headers["webhook-id"]
    if abs(time.time() - int(sent)) > 300:
        return False
    tag = hmac.new(secret, f"{identity}.{sent}.".encode() + body, hashlib.sha256).digest()
    wanted = "v1," + base64.b64encode(tag).decode()
    return any(hmac.compare_digest(one, wanted) for one in headers["webhook-signature"].split(" "))


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        name = self.path.lstrip("/")
        body = self.rfile.read(int(self.headers["content-length"]))
        good = "verified" if verified(name, self.headers, body) else "FORGED"
        with open(os.path.join(folder, "log"), "a", encoding="utf-8") as file:
            file.write(f"{name} {good} {self.headers['webhook-id']} {json.loads(body)['type']}\n")
        status = {"gone": 410, "redirect": 302}.get(name, 204)
        if name == "later" and self.headers["webhook-id"] not in put_off:
            put_off.add(self.headers["webhook-id"])
            status = 500
        if name == "hang":
            time.sleep(60)
        self.send_response(status)
        self.send_header("content-length", "0")
        if status == 302:
            self.send_header("location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Receiver)
server.daemon_threads = True
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
print("ready", flush=True)
server.serve_forever()
