# SPDX-License-Identifier: Apache-2.0
"""How to log in at a domain controller: Kerberos by cache or keytab, or a password inside TLS. Nothing in clear."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from privyseal.errors import (
    BindRefused,
    InvalidValue,
    PrivysealError,
    UnsafePermissions,
)

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
    content = read_private(bind.password_file, most=_LONGEST_PASSWORD, otherwise=BindRefused)
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


def read_private(path: Path, *, most: int, otherwise: type[PrivysealError]) -> bytes:
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
