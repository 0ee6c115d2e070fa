# SPDX-License-Identifier: Apache-2.0
"""Reading an act's parameters: JSON-ready data from a command, a request or a stored approval."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from privyseal.errors import InvalidValue


class Parameters:
    """Typed access to the parameters; with ``known`` any other name is refused."""

    def __init__(self, given: Mapping[str, Any], known: AbstractSet[str] | None = None) -> None:
        self._given = given
        unknown = sorted(set(given) - known) if known is not None else []
        if unknown and known is not None:
            raise InvalidValue(f"parameter {unknown[0][:40]!r} is not one of {', '.join(sorted(known))}")

    def text(self, name: str, default: str | None = None) -> str:
        """A text; without ``default`` it must be there. Raises InvalidValue."""
        found = self._given.get(name, default)
        if not isinstance(found, str):
            raise InvalidValue(f"{name} is missing" if found is None else f"{name} is not a text")
        return found

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts, empty when it is not there. Raises InvalidValue."""
        found = self._given.get(name, ())
        if not isinstance(found, list | tuple) or not all(isinstance(item, str) for item in found):
            raise InvalidValue(f"{name} is not a list of texts")
        return tuple(found)

    def number(self, name: str, default: int | None = None) -> int:
        """A whole number, not negative; without ``default`` it must be there. Raises InvalidValue."""
        found = self._given.get(name, default)
        if not isinstance(found, int) or isinstance(found, bool) or found < 0:
            raise InvalidValue(f"{name} is missing" if found is None else f"{name} is not a whole number from 0")
        return found

    def flag(self, name: str) -> bool:
        """A truth value, false when it is not there. Raises InvalidValue."""
        found = self._given.get(name, False)
        if not isinstance(found, bool):
            raise InvalidValue(f"{name} is neither true nor false")
        return found

    def data(self, name: str) -> Mapping[str, Any]:
        """A table. Raises InvalidValue."""
        found = self._given.get(name)
        if not isinstance(found, Mapping):
            raise InvalidValue(f"{name} is not a table")
        return found
