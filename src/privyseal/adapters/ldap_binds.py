# SPDX-License-Identifier: Apache-2.0
"""How to log in at a domain controller: Kerberos from a cache or a keytab, or a password inside TLS. Nothing in clear.

libkrb5 takes cache and keytab from the environment of the process only; it is changed under a lock, and put back.
"""

from __future__ import annotations

import os
import stat
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from privyseal.errors import (
    BindRefused,
    DirectoryTimeout,
    InvalidValue,
    KerberosCredentialsMissing,
    PrivysealError,
    UnsafePermissions,
)

_ENVIRONMENT: Final = threading.Lock()
_LARGEST_KEYTAB: Final = 1 << 20
_LONGEST_PASSWORD: Final = 1024


@dataclass(frozen=True, slots=True)
class KerberosCache:
    """Tickets that somebody else got; an empty ``cache`` is the default one of this process."""

    cache: str = ""

    method = "Kerberos with a ticket cache"


@dataclass(frozen=True, slots=True)
class KerberosKeytab:
    """The key of a service account; an empty ``principal`` is the first one in the keytab."""

    keytab: Path
    principal: str = ""

    method = "Kerberos with a keytab"


@dataclass(frozen=True, slots=True)
class SimpleBind:
    """Name and password, inside TLS only. Without ``ca_file`` the system's authorities are trusted."""

    user: str
    password_file: Path
    ca_file: Path | None = None

    method = "password"


Bind = KerberosCache | KerberosKeytab | SimpleBind


def read_password(bind: SimpleBind) -> str:
    """The password; never an empty one, which a directory takes for an anonymous log-in (RFC 4513 section 5.1.2)."""
    content = _read_private(bind.password_file, most=_LONGEST_PASSWORD, otherwise=BindRefused)
    try:
        password = content.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise InvalidValue(f"the password file {bind.password_file} is not UTF-8 text") from error
    if not password or not bind.user:
        raise BindRefused(
            f"{f'the password file {bind.password_file}' if bind.user else 'the user name'} is empty",
            why="a log-in without name or password is an anonymous one, and those are not made",
            mend=("write the password into the file, on one line",),
        )
    return password


@contextmanager
def kerberos_environment(bind: KerberosCache | KerberosKeytab, *, seconds: float) -> Iterator[str]:
    """The environment for one Kerberos log-in; gives the principal, if it is known. One at a time in a process."""
    if isinstance(bind, KerberosCache):
        place = bind.cache if ":" in bind.cache or not bind.cache else f"FILE:{bind.cache}"
        with changed_environment({"KRB5CCNAME": place} if place else {}, seconds=seconds):
            yield ""
        return
    principal, keytab = _one_principal(bind)
    # A cache of its own: tickets of another account, or of before a change of the password, must not be found.
    with tempfile.TemporaryDirectory(prefix="privyseal-") as name:
        own = Path(name) / "keytab"
        own.touch(mode=0o600)
        own.write_bytes(keytab)
        changes = {"KRB5_CLIENT_KTNAME": f"FILE:{own}", "KRB5CCNAME": f"FILE:{name}/cache"}
        with changed_environment(changes, seconds=seconds):
            yield principal


@contextmanager
def changed_environment(changes: Mapping[str, str], *, seconds: float) -> Iterator[None]:
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
    content = _read_private(bind.keytab, most=_LARGEST_KEYTAB, otherwise=KerberosCredentialsMissing)
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


def _read_private(path: Path, *, most: int, otherwise: type[PrivysealError]) -> bytes:
    """A file with a secret. Raises UnsafePermissions, InvalidValue, and ``otherwise`` when it cannot be read."""
    try:
        with path.open("rb") as file:
            if not stat.S_ISREG((state := os.fstat(file.fileno())).st_mode):
                raise InvalidValue(f"{path} is not a file")
            if state.st_mode & (stat.S_IRWXO | stat.S_IWGRP):
                raise UnsafePermissions(
                    f"{path} has mode {stat.S_IMODE(state.st_mode):04o}",
                    why="it holds a secret, and others than its owner can read or write it",
                    mend=(f"chmod 600 {path}",),
                )
            content = file.read(most + 1)
    except OSError as error:
        raise otherwise(
            f"{path} cannot be read: {error.strerror}",
            why="the file is missing, or this user may not read it",
            mend=("check the path, and that the user who runs Privyseal may read it",),
        ) from error
    if len(content) > most:
        raise InvalidValue(f"{path} has more than {most} octets")
    return content
