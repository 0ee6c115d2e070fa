# SPDX-License-Identifier: Apache-2.0
"""What time a Kerberos KDC thinks it is: it stands in the error with which it demands pre-authentication (RFC 4120).

MIT's kinit corrects a wrong clock silently, and KDCs call the failure a wrong password; so it is asked beforehand.
"""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from typing import Final

from privyseal.errors import ClockSkew, InvalidValue, KdcUnreachable, MalformedDer, ServerAnsweredWrongly
from privyseal.x509 import der

TOLERATED: Final = timedelta(minutes=5)
_PORT: Final = 88
_SECONDS: Final = 10.0
_LARGEST: Final = 64 * 1024
_AS_REQUEST, _AS_REPLY, _ERROR = 0x6A, 0x6B, 0x7E  # [APPLICATION 10], 11 and 30 (RFC 4120 section 5.10)
_GENERAL_STRING: Final = 0x1B
_ENTERPRISE, _PRINCIPAL, _SERVICE = 10, 1, 2
_AES256, _AES128, _RC4 = 18, 17, 23


def check_clock(address: str, *, realm: str, principal: str, now: datetime) -> timedelta | None:
    """How far the KDC is ahead of ``now``; None when it did not say. Raises ClockSkew beyond five minutes, and
    KdcUnreachable, ServerAnsweredWrongly, InvalidValue.
    """
    for what, text in (("realm", realm), ("principal", principal)):
        if not text or not text.isprintable():
            raise InvalidValue(f"{text!r} is no {what}")
    theirs = read_time(_ask(address, as_request(realm, principal, now=now)))
    if theirs is None:
        return None
    ahead = theirs - now.replace(microsecond=0)
    if abs(ahead) > TOLERATED:
        by = str(abs(ahead)).removeprefix("0:")
        raise ClockSkew(f"{address} is {by} {'ahead of' if ahead > timedelta(0) else 'behind'} the clock here")
    return ahead


def as_request(realm: str, principal: str, *, now: datetime) -> bytes:
    """AS-REQ without pre-authentication, which a KDC answers with an error that holds its time."""
    kind, parts = (_ENTERPRISE, (principal,)) if "@" in principal else (_PRINCIPAL, tuple(principal.split("/")))
    body = der.sequence(
        der.explicit(0, der.bit_string(bytes(4))),
        der.explicit(1, _name(kind, *parts)),
        der.explicit(2, der.tlv(_GENERAL_STRING, realm.encode())),
        der.explicit(3, _name(_SERVICE, "krbtgt", realm)),
        der.explicit(5, der.generalized_time(now + timedelta(hours=1))),
        der.explicit(7, der.integer(int(now.timestamp()) & 0x7FFFFFFF)),
        der.explicit(8, der.sequence(*(der.integer(one) for one in (_AES256, _AES128, _RC4)))),
    )
    version, kind_of_message = der.explicit(1, der.integer(5)), der.explicit(2, der.integer(10))
    return der.tlv(_AS_REQUEST, der.sequence(version, kind_of_message, der.explicit(4, body)))


def _name(kind: int, *parts: str) -> bytes:
    strings = der.sequence(*(der.tlv(_GENERAL_STRING, part.encode()) for part in parts))
    return der.sequence(der.explicit(0, der.integer(kind)), der.explicit(1, strings))


def read_time(answer: bytes) -> datetime | None:
    """The time in a KRB-ERROR; None of an AS-REP, which has none. Raises ServerAnsweredWrongly."""
    if answer[:1] == bytes((_AS_REPLY,)):
        return None
    try:
        error = der.read_only(answer, _ERROR, "KRB-ERROR")
        fields = {one.tag & 0x1F: one for one in next(iter(error.children())).children()}
        text = next(iter(fields[4].children())).contents.decode("ascii")
        return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    except (MalformedDer, KeyError, StopIteration, ValueError) as error_:
        raise ServerAnsweredWrongly("the KDC's answer is no Kerberos error with a time in it") from error_


def _ask(address: str, request: bytes) -> bytes:
    """One request over TCP (RFC 4120 section 7.2.2)."""
    host, _, port = address.rpartition(":") if address.count(":") == 1 else (address, "", str(_PORT))
    try:
        with socket.create_connection((host, int(port)), timeout=_SECONDS) as line, line.makefile("rb") as answers:
            line.sendall(len(request).to_bytes(4) + request)
            size = int.from_bytes(answers.read(4))
            return answers.read(min(size, _LARGEST))
    except (OSError, ValueError) as error:
        raise KdcUnreachable(f"{address} does not answer: {error}") from error
