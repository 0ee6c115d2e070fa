# SPDX-License-Identifier: Apache-2.0
"""A program of its own: logs in by Kerberos, leaves the tickets in the cache of its environment, and ends.

Started with host and port by ldap_kerberos.py, which ends it when it hangs. Prints ``ticket`` when the KDC has
answered; what went wrong is one line of JSON. Imports nothing of ours.
"""

from __future__ import annotations

import json
import socket
import sys
from typing import Any


def main(host: str, port: int) -> int:
    """0 when a log-in went through."""
    import ldap

    def prepared(descriptor: int) -> Any:
        name = f"[{host}]" if ":" in host else host
        connection = ldap.initialize(f"ldap://{name}:{port}", fileno=descriptor)
        connection.set_option(ldap.OPT_REFERRALS, 0)
        connection.set_option(ldap.OPT_X_SASL_NOCANON, 1)
        connection.set_option(ldap.OPT_X_SASL_SSF_MIN, 128)
        return connection

    # First against nobody: once the request is written, the KDC has given its ticket.
    near, far = socket.socketpair()
    far.shutdown(socket.SHUT_WR)
    try:
        prepared(near.detach()).sasl_non_interactive_bind_s("GSSAPI")
    except ldap.LDAPError as error:
        if not isinstance(error, ldap.SERVER_DOWN):
            return _failed(error)
    _say("ticket")
    try:
        connection = prepared(socket.create_connection((host, port)).detach())
        connection.sasl_non_interactive_bind_s("GSSAPI")
        connection.unbind_s()
    except ldap.LDAPError as error:
        return _failed(error)
    return 0


def _failed(error: Exception) -> int:
    said = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    shown = {name: str(said.get(name, "")) for name in ("desc", "info")}
    _say(json.dumps({"kind": type(error).__name__, **shown}))
    return 1


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
