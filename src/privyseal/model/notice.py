# SPDX-License-Identifier: Apache-2.0
"""Notices about what will not renew itself: to whom, and at which percent of its life. Settings and values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final

from privyseal.errors import InvalidValue

DEFAULT_PERCENTS: Final = (66, 80, 90, 95, 100)
_MOST_TO: Final = 20
_ADDRESS: Final = re.compile(r"[^@\s<>,;:\"\\]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")
_SERVER: Final = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\]):(\d{1,5})")
_KEYS: Final = {"server", "tls", "user", "password_file", "ca_file", "sender", "to", "at_percent"}


class MailTls(Enum):
    """How the connection to the mail server is protected."""

    STARTTLS = "starttls"
    TLS = "tls"
    """From the first octet on."""
    NONE = "none"
    """On the loopback only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailSettings:
    """How mail is sent. The password stands in a file."""

    host: str
    port: int
    tls: MailTls
    user: str = ""
    password_file: str = ""
    ca_file: str = ""
    sender: str
    to: tuple[str, ...]
    at_percent: tuple[int, ...] = DEFAULT_PERCENTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Something that ends and that nobody renews unless a person acts."""

    subject: str
    """Names it for ever: ``ca:issuing v1``, ``serial:6b03...``."""
    shown: str
    begins: datetime
    ends: datetime
    mend: str

    def percent(self, now: datetime) -> int:
        """How much of its life is over, rounded down; 100 from its end on."""
        life = (self.ends - self.begins).total_seconds()
        return 100 if life <= 0 or now >= self.ends else max(0, int((now - self.begins).total_seconds() * 100 / life))


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """That something has passed a threshold."""

    ending: Ending
    percent: int


def mail_settings(data: object) -> MailSettings:
    """From the table ``mail`` of the configuration. Raises InvalidValue."""
    if not isinstance(data, Mapping):
        raise InvalidValue("mail is not a table")
    if unknown := sorted(set(data) - _KEYS):
        raise InvalidValue(f"mail has the unknown key {unknown[0]!r}; there are {', '.join(sorted(_KEYS))}")
    server = _SERVER.fullmatch(_text(data, "server"))
    if server is None or not 1 <= int(server[2]) <= 65535:
        raise InvalidValue(f"mail.server {data.get('server')!r} is not HOST:PORT")
    tls = _text(data, "tls") or MailTls.STARTTLS.value
    if tls not in {member.value for member in MailTls}:
        raise InvalidValue(f"mail.tls {tls!r} is not one of {', '.join(member.value for member in MailTls)}")
    host = server[1].strip("[]")
    if tls == MailTls.NONE.value and host not in ("127.0.0.1", "::1", "localhost"):
        raise InvalidValue(f"mail.tls none goes to {host}: without TLS mail is sent to the loopback only")
    if bool(_text(data, "user")) != bool(_text(data, "password_file")):
        raise InvalidValue("mail.user and mail.password_file are named together, or neither is")
    to, sender = data.get("to"), _text(data, "sender")
    if not isinstance(to, list) or not 1 <= len(to) <= _MOST_TO or not all(_is_address(one) for one in (*to, sender)):
        raise InvalidValue(f"mail.to is not a list of 1 to {_MOST_TO} addresses, or mail.sender is none")
    return MailSettings(
        host=host,
        port=int(server[2]),
        tls=MailTls(tls),
        user=_text(data, "user"),
        password_file=_text(data, "password_file"),
        ca_file=_text(data, "ca_file"),
        sender=sender,
        to=tuple(to),
        at_percent=_percents(data.get("at_percent", list(DEFAULT_PERCENTS))),
    )


def _text(data: Mapping[str, Any], name: str) -> str:
    found = data.get(name, "")
    if not isinstance(found, str):
        raise InvalidValue(f"mail.{name} is not a text")
    return found


def _is_address(text: object) -> bool:
    return isinstance(text, str) and text.isascii() and _ADDRESS.fullmatch(text) is not None


def _percents(found: object) -> tuple[int, ...]:
    if not isinstance(found, list) or not 1 <= len(found) <= 10:
        raise InvalidValue("mail.at_percent is not a list of 1 to 10 numbers")
    if not all(type(one) is int and 1 <= one <= 100 for one in found):
        raise InvalidValue("mail.at_percent holds numbers from 1 to 100")
    return tuple(sorted(set(found)))
