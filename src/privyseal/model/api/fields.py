# SPDX-License-Identifier: Apache-2.0
"""Fields of shapes with limits and a line of documentation; the OpenAPI document and the checks both read them."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field
from typing import Any, Final

_LIMITS: Final = "privyseal.limits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a value must be beside its type."""

    doc: str = ""
    pattern: str = ""
    longest: int = 0
    """Characters of a text, or items of a list."""
    least: int | None = None
    most: int | None = None
    choices: tuple[str, ...] = ()
    secret: bool = False


def limited(*, default: Any = MISSING, factory: Any = MISSING, **limits: Any) -> Any:
    """A dataclass field with limits."""
    metadata = {_LIMITS: Limits(**limits)}
    if factory is not MISSING:
        return field(default_factory=factory, metadata=metadata)
    return field(default=default, metadata=metadata) if default is not MISSING else field(metadata=metadata)


def limits_of(metadata: Any) -> Limits:
    """The limits of a field, or none."""
    found = metadata.get(_LIMITS)
    return found if isinstance(found, Limits) else Limits()
