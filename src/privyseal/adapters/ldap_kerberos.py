# SPDX-License-Identifier: Apache-2.0
"""Kerberos tickets for one log-in, fetched by a process that can be ended, and the environment that libkrb5 reads.

python-ldap holds up every thread of the process during a Kerberos log-in, and libkrb5 waits half a minute for a KDC
that hangs; so another process asks first (ldap_ticket.py), and the log-in here finds its ticket in the cache.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from privyseal.adapters.ldap_binds import KerberosCache, KerberosKeytab, read_private
from privyseal.adapters.ldap_errors import Conversation, translated
from privyseal.adapters.ldap_line import Controller
from privyseal.errors import DirectoryTimeout, KdcUnreachable, KerberosCredentialsMissing

_ENVIRONMENT: Final = threading.Lock()
_LARGEST_KEYTAB: Final = 1 << 20
_TICKET: Final = Path(__file__).with_name("ldap_ticket.py")


@contextmanager
def kerberos_login(
    bind: KerberosCache | KerberosKeytab, controller: Controller, *, conversation: Conversation, seconds: float
) -> Iterator[Conversation]:
    """A block in which this process has the tickets for one log-in; gives who it is, if that is known. Raises 7000s."""
    if isinstance(bind, KerberosCache):
        place = bind.cache if ":" in bind.cache or not bind.cache else f"FILE:{bind.cache}"
        cache = {"KRB5CCNAME": place} if place else {}
        _fetch_tickets(cache, controller, conversation=conversation, seconds=seconds)
        with changed_environment(cache, seconds=seconds):
            yield conversation
        return
    principal, keytab = _one_principal(bind)
    known = Conversation(conversation.controller, conversation.method, principal)
    # A cache of its own: tickets of another account, or of before a change of the password, must not be found.
    with tempfile.TemporaryDirectory(prefix="privyseal-") as name:
        own = Path(name) / "keytab"
        own.touch(mode=0o600)
        own.write_bytes(keytab)
        cache = {"KRB5CCNAME": f"FILE:{name}/cache"}
        from_keytab = {**cache, "KRB5_CLIENT_KTNAME": f"FILE:{own}"}
        _fetch_tickets(from_keytab, controller, conversation=known, seconds=seconds)
        with changed_environment(cache, seconds=seconds):
            yield known


def _fetch_tickets(
    changes: Mapping[str, str], controller: Controller, *, conversation: Conversation, seconds: float
) -> None:
    # -P, or `import ldap` would find the module of ours that stands next to it.
    words = [sys.executable, "-P", str(_TICKET), controller.host, str(controller.port)]
    try:
        done = subprocess.run(
            words,
            env={**os.environ, **changes, "LDAPNOINIT": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as ended:
        if b"ticket" in (ended.stdout or b""):
            raise DirectoryTimeout(f"{conversation}: logging in: no answer within {seconds:g} s") from ended
        raise KdcUnreachable(f"{conversation}: no answer from a KDC within {seconds:g} s") from ended
    if done.returncode == 0:
        return
    last = done.stdout.decode("utf-8", "replace").strip().rpartition("\n")[2]
    try:
        said = json.loads(last)
        kind, text = str(said["kind"]), {"desc": str(said["desc"]), "info": str(said["info"])}
    except (ValueError, KeyError, TypeError):
        kind, text = "OTHER", {"desc": "the log-in ended unexpectedly", "info": done.stderr.decode("utf-8", "replace")}
    raise translated(kind, text, conversation=conversation, doing="logging in")


@contextmanager
def changed_environment(changes: Mapping[str, str], *, seconds: float) -> Iterator[None]:
    """The environment of this process with changes, for one block at a time; afterwards as it was."""
    if not _ENVIRONMENT.acquire(timeout=seconds):
        raise DirectoryTimeout(f"another Kerberos log-in of this process is still under way after {seconds:g} s")
    try:
        before = {name: os.environ.get(name) for name in changes}
        os.environ.update(changes)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
    finally:
        _ENVIRONMENT.release()


def _one_principal(bind: KerberosKeytab) -> tuple[str, bytes]:
    """A principal of the keytab, and a keytab with its keys only, since libkrb5 takes whichever comes first."""
    content = read_private(bind.keytab, most=_LARGEST_KEYTAB, otherwise=KerberosCredentialsMissing)
    entries = keytab_entries(content)
    if not entries:
        raise KerberosCredentialsMissing(
            f"{bind.keytab} is not a keytab, or an empty one", why="it holds no keys in keytab format 0x0502"
        )
    wanted = bind.principal or entries[0][0]
    held = {name.casefold() for name, _ in entries}
    if "@" not in wanted:
        wanted = next((name for name, _ in entries if name.casefold().rpartition("@")[0] == wanted.casefold()), wanted)
    if wanted.casefold() not in held:
        names = ", ".join(sorted({name for name, _ in entries})[:8])
        raise KerberosCredentialsMissing(
            f"{bind.keytab} holds no key of {wanted}, but of {names}", why="the keytab lacks the account"
        )
    found = [(name, entry) for name, entry in entries if name.casefold() == wanted.casefold()]
    return found[0][0], b"\x05\x02" + b"".join(entry for _, entry in found)


def keytab_entries(content: bytes) -> list[tuple[str, bytes]]:
    """Principal and octets of each entry, in order. What is no keytab, or cut short, has none from there on.

    Format 0x0502: octet counts are 32 bit and signed (negative: a hole), then count of components, realm, components.
    """
    entries: list[tuple[str, bytes]] = []
    if content[:2] != b"\x05\x02":
        return entries
    at = 2
    while at + 4 <= len(content):
        size = int.from_bytes(content[at : at + 4], "big", signed=True)
        body = content[at + 4 : at + 4 + abs(size)]
        if size == 0 or len(body) < abs(size):
            break
        if size > 0 and (name := _principal(body)):
            entries.append((name, content[at : at + 4 + size]))
        at += 4 + abs(size)
    return entries


def _principal(body: bytes) -> str:
    count, at = int.from_bytes(body[:2], "big"), 2
    parts: list[str] = []
    for _ in range(count + 1):
        size = int.from_bytes(body[at : at + 2], "big")
        part = body[at + 2 : at + 2 + size]
        if len(part) < size or at + 2 > len(body):
            return ""
        parts.append(part.decode("utf-8", "replace"))
        at += 2 + size
    return "/".join(parts[1:]) + "@" + parts[0] if parts[0] and count else ""
