# SPDX-License-Identifier: Apache-2.0
"""From method and path to an operation and its path parameters. Only what is in the table is found."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import unquote

from privyseal.endpoints.api.operation import Operation
from privyseal.errors import MethodRefused, NotFound, PrivysealError

PARAMETER: Final = re.compile(r"\{([a-z_]+)\}")
_LONGEST_SEGMENT: Final = 512


class Router:
    """The table, compiled. Verbs after a colon are looked at first, since names may hold colons."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        ordered = sorted(operations, key=lambda operation: (":" not in operation.path, "{" in operation.path))
        self._rows: dict[str, list[tuple[re.Pattern[str], Operation]]] = {}
        for operation in ordered:
            first = re.split(r"[/:]", operation.path[1:])[0]
            self._rows.setdefault(first, []).append((_pattern(operation.path), operation))

    def find(self, method: str, path: str) -> tuple[Operation, Mapping[str, str]]:
        """``path`` is still escaped, below /api/v1. Raises NotFound, MethodRefused (with what is allowed in it)."""
        allowed: list[str] = []
        for pattern, operation in self._rows.get(re.split(r"[/:]", path[1:])[0], ()):
            found = pattern.fullmatch(path)
            if found is None:
                continue
            if operation.method == method:
                return operation, {name: _segment(value) for name, value in found.groupdict().items()}
            allowed.append(operation.method)
        if allowed:
            listed = ", ".join(dict.fromkeys(allowed))
            raise MethodRefused(f"{path[:200]} knows {listed}, not {method[:20]}")
        raise NotFound(f"there is no resource {path[:200]!r}", mend=("see /api/v1/openapi.json",))


def allowed_methods(error: PrivysealError) -> str:
    """The value of Allow for a MethodRefused."""
    found = re.search(r" knows ([A-Z, ]+), not", error.what)
    return found.group(1) if found else "GET"


def _pattern(path: str) -> re.Pattern[str]:
    text, at = "", 0
    for match in PARAMETER.finditer(path):
        text += re.escape(path[at : match.start()]) + f"(?P<{match.group(1)}>[^/]+?)"
        at = match.end()
    return re.compile(text + re.escape(path[at:]))


def _segment(escaped: str) -> str:
    text = unquote(escaped, errors="replace")
    if len(text) > _LONGEST_SEGMENT or "\x00" in text or "\ufffd" in text:
        raise NotFound("there is nothing of that name")
    return text
