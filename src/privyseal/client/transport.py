# SPDX-License-Identifier: Apache-2.0
"""HTTPS to a server: every wait bounded, what may be sent again is sent again with a growing pause, the rest is not."""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import urlsplit

from privyseal.errors import InvalidValue, ServerUnreachable

_ANSWER_LIMIT: Final = 64 * 1024 * 1024
_TRIES: Final = 4
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 30.0
_AGAIN: Final = frozenset({429, 502, 503, 504})
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class Received:
    """One answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport(Protocol):
    """Carries one request to whoever answers."""

    def send(self, method: str, target: str, *, headers: Mapping[str, str], body: bytes) -> Received:
        """The answer, whatever its status. Raises ServerUnreachable."""

    def close(self) -> None:
        """Give connections back."""


class HttpTransport:
    """One server over HTTPS, or plain HTTP on the loopback. Keeps one connection open."""

    def __init__(self, url: str, token: str, *, ca_file: str = "", timeout: float = 30.0) -> None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme not in ("http", "https") or not host or parts.username or parts.query:
            raise InvalidValue(f"URL {url[:200]!r} is not https://HOST[:PORT]")
        if parts.scheme == "http" and host not in _LOOPBACK:
            raise InvalidValue(
                f"{url} is not https; a token must not cross a network in clear", mend=("use an https:// URL",)
            )
        self._shown = url
        self._token = token
        self._place = parts.path.rstrip("/")
        try:
            context = ssl.create_default_context(cafile=ca_file or None) if parts.scheme == "https" else None
        except (OSError, ssl.SSLError) as error:
            raise InvalidValue(f"the CA file {ca_file} cannot be used: {error}") from error
        if context is None:
            self._line = http.client.HTTPConnection(host, parts.port, timeout=timeout)
        else:
            self._line = http.client.HTTPSConnection(host, parts.port, timeout=timeout, context=context)

    def send(self, method: str, target: str, *, headers: Mapping[str, str], body: bytes) -> Received:
        """One request, once."""
        sent = {"Authorization": f"Bearer {self._token}", "Accept": "application/json", **headers}
        try:
            self._line.request(method, self._place + target, body=body or None, headers=sent)
            answer = self._line.getresponse()
            content = answer.read(_ANSWER_LIMIT + 1)
        except (OSError, http.client.HTTPException) as error:
            self._line.close()
            raise ServerUnreachable(f"{self._shown} does not answer: {error or type(error).__name__}") from error
        if len(content) > _ANSWER_LIMIT:
            self._line.close()
            raise ServerUnreachable(f"{self._shown} answers with more than {_ANSWER_LIMIT} octets")
        return Received(answer.status, {name.lower(): value for name, value in answer.getheaders()}, content)

    def close(self) -> None:
        """Close the connection."""
        self._line.close()


class Retrying:
    """Sends again what is safe to send again: GET, and what has an Idempotency-Key. Pauses grow and are jittered."""

    def __init__(
        self, inner: Transport, chance: Callable[[int], bytes], *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._inner = inner
        self._chance = chance
        self._sleep = sleep

    def send(self, method: str, target: str, *, headers: Mapping[str, str], body: bytes) -> Received:
        """The first answer that is not a plea to come again, or the last one."""
        may_repeat = method == "GET" or any(name.lower() == "idempotency-key" for name in headers)
        for attempt in range(_TRIES):
            last = attempt == _TRIES - 1 or not may_repeat
            try:
                answer = self._inner.send(method, target, headers=headers, body=body)
            except ServerUnreachable:
                if last:
                    raise
                self._sleep(self._pause(attempt, ""))
                continue
            if last or answer.status not in _AGAIN:
                break
            self._sleep(self._pause(attempt, answer.headers.get("retry-after", "")))
        return answer

    def _pause(self, attempt: int, asked: str) -> float:
        jitter = 0.5 + int.from_bytes(self._chance(2), "big") / 65536
        pause: float = _FIRST_PAUSE * 2**attempt * jitter
        if asked.isdecimal():
            pause = max(pause, float(asked))
        return min(pause, _LONGEST_PAUSE)

    def close(self) -> None:
        """Close what carries."""
        self._inner.close()
