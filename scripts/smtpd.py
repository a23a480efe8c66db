"""A mail server that keeps what it is given, for scripts/mail.sh: aiosmtpd, by somebody else. How it behaves is in the address.

  smtpd.py starttls|tls|plain PORT FOLDER CERTIFICATE KEY

never@   is refused for good (550)
later@   is put off at the first try (451), and taken at the next
hang@    is kept, but not answered while FOLDER/hang is there
"""

import asyncio
import os
import signal
import ssl
import sys

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

mode, port, folder, certificate, key = sys.argv[1:6]


class Kept:
    later = set()
    count = 0

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("never@"):
            return "550 5.1.1 no such user"
        if address.startswith("later@") and address not in self.later:
            self.later.add(address)
            return "451 4.3.0 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        self.count += 1
        name = f"{self.count:03}-{envelope.rcpt_tos[0]}.eml"
        with open(os.path.join(folder, name), "wb") as file:
            protected = session.ssl["cipher"] if session.ssl else "none"
            file.write(f"X-Test-Mode: {mode}\r\nX-Test-Cipher: {protected}\r\nX-Test-From: {envelope.mail_from}\r\n".encode())
            file.write(envelope.content)
        while envelope.rcpt_tos[0].startswith("hang@") and os.path.exists(os.path.join(folder, "hang")):
            await asyncio.sleep(0.1)
        return "250 kept"


def authenticate(server, session, envelope, mechanism, data):
    good = data.login == b"tegata" and data.password == b"mail password"
    return AuthResult(success=good, handled=False)


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
more = {
    "starttls": {"tls_context": context, "require_starttls": True, "authenticator": authenticate, "auth_required": True},
    "tls": {"ssl_context": context},
    "plain": {},
}[mode]
controller = Controller(Kept(), hostname="127.0.0.1", port=int(port), **more)
controller.start()
print("ready", flush=True)
signal.sigwait({signal.SIGTERM, signal.SIGINT})
controller.stop()
