# SPDX-License-Identifier: Apache-2.0
"""Reading a request: query and content, each checked against the operation's row, all faults told at once."""

from __future__ import annotations

import json
import re
from typing import Any, Final
from urllib.parse import parse_qsl

from privyseal.endpoints.api.operation import Operation, QueryField
from privyseal.endpoints.http import Request
from privyseal.errors import BodyInvalid, ContentTypeRefused, MessageTooLarge
from privyseal.model.api.codec import decode

_MOST_QUERY: Final = 64
_DEEPEST: Final = 20
_LONGEST_INT: Final = 18
_FLAGS: Final = {"true": True, "false": False}


def read_query(operation: Operation, request: Request) -> dict[str, Any]:
    """The query's parameters, typed. Raises BodyInvalid."""
    known = {item.name: item for item in operation.all_query}
    faults: list[tuple[str, str]] = []
    values: dict[str, Any] = {}
    try:
        text = request.query.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_QUERY, errors="strict")
    except ValueError as error:
        raise BodyInvalid("the query is not name=value&name=value in UTF-8, of at most 64 parameters") from error
    for name, value in pairs:
        at = f"/query/{name[:40]}"
        if name not in known:
            faults.append((at, f"is not a parameter; there are {', '.join(known) or 'none'}"))
        elif name in values:
            faults.append((at, "is given twice"))
        elif fault := _query_fault(known[name], value):
            faults.append((at, fault))
        else:
            values[name] = _typed(known[name], value)
    if faults:
        listed = "; ".join(f"{pointer} {text}" for pointer, text in faults[:3])
        raise BodyInvalid(f"the query is not as it must be: {listed}", faults=tuple(faults))
    return values


def _query_fault(field: QueryField, value: str) -> str:
    if field.kind is bool:
        return "" if value in _FLAGS else f"is {value[:40]!r}, neither true nor false"
    if field.kind is int:
        if not value.isascii() or not value.isdecimal() or len(value) > _LONGEST_INT:
            return f"is {value[:40]!r}, not a whole number"
        return "" if field.least <= int(value) <= field.most else f"is outside {field.least} to {field.most}"
    if field.choices and value not in field.choices:
        return f"is {value[:40]!r}, not one of {', '.join(field.choices)}"
    if len(value) > field.longest or "\x00" in value:
        return f"is longer than {field.longest} characters or holds a NUL"
    if field.pattern and not re.search(field.pattern, value):
        return f"is {value[:40]!r}, which does not match {field.pattern}"
    return ""


def _typed(field: QueryField, value: str) -> Any:
    if field.kind is bool:
        return _FLAGS[value]
    return int(value) if field.kind is int else value


def read_content(operation: Operation, request: Request) -> Any:
    """The content as the operation's shape, None when it takes none. Raises ContentTypeRefused, BodyInvalid."""
    if len(request.body) > operation.body_limit:
        raise MessageTooLarge(f"the content is larger than {operation.body_limit} octets")
    if operation.body is None:
        if request.body.strip() not in (b"", b"{}"):
            raise BodyInvalid("the operation takes no content", faults=(("", "is not empty"),))
        return None
    media = (request.header(b"content-type") or b"").split(b";")[0].strip().lower()
    if media != b"application/json":
        raise ContentTypeRefused(f"the content is {media[:80].decode('latin-1') or 'of no type'}, not application/json")
    data = parse_json(request.body)
    if operation.annotations and isinstance(data, dict):
        data = {name: value for name, value in data.items() if "@odata." not in name}
    return decode(operation.body, data)


def parse_json(body: bytes) -> Any:
    """JSON with bounds: no duplicate names, no numbers beyond 64 bits, no endless nesting. Raises BodyInvalid."""
    try:
        data = json.loads(
            body.decode("utf-8"), object_pairs_hook=_without_duplicates, parse_int=_int, parse_constant=_refuse
        )
    except (ValueError, RecursionError) as error:
        raise BodyInvalid(f"the content is not JSON: {str(error)[:120]}", faults=(("", "is not JSON"),)) from error
    _check_depth(data, _DEEPEST)
    return data


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is given twice")
    return found


def _int(text: str) -> int:
    if len(text) > _LONGEST_INT:
        raise ValueError("a number is too large")
    return int(text)


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _check_depth(data: Any, left: int) -> None:
    if left == 0:
        raise BodyInvalid(f"the content is nested deeper than {_DEEPEST}", faults=(("", "is nested too deep"),))
    inner = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    for item in inner:
        _check_depth(item, left - 1)
