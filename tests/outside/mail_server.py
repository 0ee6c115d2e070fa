# SPDX-License-Identifier: Apache-2.0
"""Debian's aiosmtpd as a mail server in a process of its own: TLS, a password, and an address that it refuses."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.outside.tools import require_tool

USER, PASSWORD = "pki", "mail-secret-7f3a"
REFUSED: Final = "nobody@example.com"
_SCRIPT: Final = """
import asyncio, json, ssl, sys
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult
place, cert, key, tls = sys.argv[1:5]

class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address == "nobody@example.com":
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        with open(place, "a") as file:
            file.write(json.dumps({"from": envelope.mail_from, "to": envelope.rcpt_tos,
                "tls": session.ssl is not None or tls == "tls", "user": str(session.authenticated),
                "text": envelope.content.decode()}) + "\\n")
        return "250 taken"

def check(server, session, envelope, mechanism, data):
    good = (data.login, data.password) == (b"pki", b"mail-secret-7f3a")
    return AuthResult(success=good, handled=False)

context = None
if tls != "none":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)

async def main():
    loop = asyncio.get_running_loop()
    def make():
        starttls = context if tls == "starttls" else None
        return SMTP(Handler(), tls_context=starttls, require_starttls=tls == "starttls", authenticator=check,
                    auth_required=tls != "none", auth_require_tls=tls == "starttls")
    server = await loop.create_server(make, "127.0.0.1", 0, ssl=context if tls == "tls" else None)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where it listens and what it took."""

    port: int
    place: Path

    def taken(self, count: int) -> list[dict[str, object]]:
        """The mails, once there are so many."""
        until = time.monotonic() + 10
        while time.monotonic() < until:
            found = self.place.read_text().splitlines() if self.place.exists() else []
            if len(found) >= count:
                break
            time.sleep(0.02)
        return [json.loads(line) for line in found]


@contextmanager
def mail_server(place: Path, *, certificate: Path, key: Path, tls: str) -> Iterator[MailServer]:
    """Runs one; ``tls`` is starttls, tls or none."""
    program = require_tool("aiosmtpd")
    interpreter = program.read_text().splitlines()[0].removeprefix("#!").split()[0]
    taken = place / "mails"
    process = subprocess.Popen(
        [interpreter, "-c", _SCRIPT, str(taken), str(certificate), str(key), tls], stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        yield MailServer(int(process.stdout.readline()), taken)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
