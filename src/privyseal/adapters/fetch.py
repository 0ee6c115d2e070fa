# SPDX-License-Identifier: Apache-2.0
"""HTTP from the outside in: what a relying party or device would get. Bounded in time and size, no proxies."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from privyseal.errors import InvalidValue, ServerAnsweredWrongly, ServerUnreachable

_LARGEST: Final = 64 * 1024 * 1024
_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """A 200 answer."""

    content_type: str
    body: bytes


def fetch(url: str, *, body: bytes | None = None, content_type: str = "", seconds: float = _SECONDS) -> Fetched:
    """GET, or POST when ``body`` is given. Raises ServerUnreachable, ServerAnsweredWrongly, InvalidValue."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidValue(f"{url!r} is not an http or https URL")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=seconds)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"Content-Type": content_type} if content_type else {}
    try:
        connection.request("GET" if body is None else "POST", target, body=body, headers=headers)
        response = connection.getresponse()
        answer = response.read(_LARGEST + 1)
    except (OSError, http.client.HTTPException) as error:
        raise ServerUnreachable(f"{url} does not answer: {error}") from error
    finally:
        connection.close()
    if response.status != 200:
        shown = answer[:120].decode("ascii", "replace").strip()
        raise ServerAnsweredWrongly(f"{url.partition('?')[0]} answered {response.status}: {shown}")
    if len(answer) > _LARGEST:
        raise ServerAnsweredWrongly(f"{url.partition('?')[0]} answered more than {_LARGEST} octets")
    return Fetched(response.headers.get("Content-Type", ""), answer)
