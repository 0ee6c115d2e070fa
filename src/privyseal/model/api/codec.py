# SPDX-License-Identifier: Apache-2.0
"""Shapes to JSON-ready data and back. Reading checks every field and tells all faults at once, with JSON pointers.

A server reads strictly. A client reads with ``lenient``: fields that a newer server added are passed over.
"""

from __future__ import annotations

import re
import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

from privyseal.errors import BodyInvalid
from privyseal.model.api.fields import Limits, limits_of

T = TypeVar("T")
_LONGEST_TEXT: Final = 65_536
_LONGEST_LIST: Final = 1000
_MOST_FAULTS: Final = 20
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)")
_NO_CHARACTER: Final = re.compile("[\ud800-\udfff\x00]")
Faults = list[tuple[str, str]]


@cache
def shape_fields(kind: type) -> tuple[tuple[Field[Any], Any, Limits], ...]:
    """The fields of a shape with their types and limits."""
    hints = get_type_hints(kind)
    return tuple((item, hints[item.name], limits_of(item.metadata)) for item in fields(kind))


def optional(hint: Any) -> tuple[Any, bool]:
    """A type without ``None``, and whether that was in it."""
    if get_origin(hint) in (Union, types.UnionType):
        inner = [arm for arm in get_args(hint) if arm is not type(None)]
        return inner[0], True
    return hint, False


def encode(value: Any) -> Any:
    """JSON-ready data: times as 2026-01-31T12:00:00Z."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if hasattr(value, "__dataclass_fields__"):
        return {item.name: encode(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {name: encode(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [encode(inner) for inner in value]
    return value


def decode(kind: type[T], data: Any, *, lenient: bool = False) -> T:
    """A shape. Raises BodyInvalid with every fault."""
    faults: Faults = []
    made = _shape(kind, data, "", faults=faults, lenient=lenient)
    if faults:
        listed = "; ".join(f"{pointer or '/'} {text}" for pointer, text in faults[:3])
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise BodyInvalid(f"the content is not as it must be: {listed}{more}", faults=tuple(faults[:_MOST_FAULTS]))
    return made  # type: ignore[no-any-return] # without faults it is a kind


def _shape(kind: Any, data: Any, pointer: str, *, faults: Faults, lenient: bool) -> Any:
    if not isinstance(data, dict):
        faults.append((pointer, "is not an object"))
        return None
    known = shape_fields(kind)
    if not lenient:
        names = [item.name for item, _, _ in known]
        for name in data:
            if name not in names:
                faults.append((f"{pointer}/{_escaped(name)}", f"is not a field; there are {', '.join(names)}"))
    values: dict[str, Any] = {}
    for item, hint, limits in known:
        at = f"{pointer}/{item.name}"
        if item.name in data:
            values[item.name] = _value(hint, data[item.name], at, limits=limits, faults=faults, lenient=lenient)
        elif item.default is MISSING and item.default_factory is MISSING:
            faults.append((at, "is missing"))
    return None if faults else kind(**values)


def _value(hint: Any, data: Any, at: str, *, limits: Limits, faults: Faults, lenient: bool) -> Any:
    inner, may_be_null = optional(hint)
    if data is None and may_be_null:
        return None
    origin = get_origin(inner)
    if hasattr(inner, "__dataclass_fields__"):
        return _shape(inner, data, at, faults=faults, lenient=lenient)
    if origin is tuple:
        return _items(get_args(inner)[0], data, at, limits=limits, faults=faults, lenient=lenient)
    if origin is not None:
        return _table(get_args(inner)[1], data, at, limits=limits, faults=faults)
    if inner is datetime:
        return _moment(data, at, faults)
    if lenient:
        limits = Limits()
    return _plain(inner, data, at, limits=limits, faults=faults)


def _plain(kind: Any, data: Any, at: str, *, limits: Limits, faults: Faults) -> Any:
    if kind is bool:
        if not isinstance(data, bool):
            faults.append((at, "is neither true nor false"))
    elif kind is int:
        if isinstance(data, bool) or not isinstance(data, int):
            faults.append((at, "is not a whole number"))
        elif (limits.least is not None and data < limits.least) or (limits.most is not None and data > limits.most):
            faults.append((at, f"is {data}, outside {limits.least} to {limits.most}"))
    elif kind is str:
        _text(data, at, limits=limits, faults=faults)
    return data


def _text(data: Any, at: str, *, limits: Limits, faults: Faults) -> None:
    if not isinstance(data, str):
        faults.append((at, "is not a text"))
    elif limits.choices and data not in limits.choices:
        faults.append((at, f"is {data[:40]!r}, not one of {', '.join(limits.choices)}"))
    elif len(data) > (limits.longest or _LONGEST_TEXT):
        faults.append((at, f"has {len(data)} characters; at most {limits.longest or _LONGEST_TEXT}"))
    elif limits.pattern and not re.search(limits.pattern, data):
        faults.append((at, f"is {data[:80]!r}, which does not match {limits.pattern}"))
    elif _NO_CHARACTER.search(data):
        faults.append((at, "holds a character that is none"))


def _items(kind: Any, data: Any, at: str, *, limits: Limits, faults: Faults, lenient: bool) -> Any:
    if not isinstance(data, list):
        faults.append((at, "is not a list"))
        return ()
    if len(data) > (limits.longest or _LONGEST_LIST) and not lenient:
        faults.append((at, f"has {len(data)} items; at most {limits.longest or _LONGEST_LIST}"))
        return ()
    each = Limits(choices=limits.choices)
    return tuple(
        _value(kind, item, f"{at}/{number}", limits=each, faults=faults, lenient=lenient)
        for number, item in enumerate(data)
    )


def _table(kind: Any, data: Any, at: str, *, limits: Limits, faults: Faults) -> Any:
    if not isinstance(data, dict):
        faults.append((at, "is not an object"))
        return {}
    if limits.longest and len(data) > limits.longest:
        faults.append((at, f"has {len(data)} fields; at most {limits.longest}"))
        return {}
    for name, item in data.items():
        _text(name, f"{at}/{_escaped(name)}", limits=Limits(longest=256), faults=faults)
        if kind in (str, int):
            _plain(kind, item, f"{at}/{_escaped(name)}", limits=Limits(longest=4096), faults=faults)
    return dict(data)


def _moment(data: Any, at: str, faults: Faults) -> Any:
    if not isinstance(data, str) or not _MOMENT.fullmatch(data.upper()):
        faults.append((at, "is not a time like 2026-01-31T12:00:00Z"))
        return None
    try:
        return datetime.fromisoformat(data.upper()).astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError):
        faults.append((at, f"is {data!r}, which is no time"))
        return None


def _escaped(name: str) -> str:
    """A name within a JSON pointer (RFC 6901 section 3), and not longer than somebody reads."""
    return name[:80].replace("~", "~0").replace("/", "~1")
