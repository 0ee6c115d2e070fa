# SPDX-License-Identifier: Apache-2.0
"""The part of OData that scripts use: $filter joined by and, $select, $top, $skiptoken. The rest is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlencode

from privyseal.endpoints.api.operation import Call, QueryField, Reply
from privyseal.errors import ChangedMeanwhile, FilterUnsupported
from privyseal.model.api.codec import encode

PAGE: Final = 100
SELECT: Final = QueryField(name="$select", doc="Only these properties, separated by commas.", longest=1024)
FILTER: Final = QueryField(name="$filter", doc="`property eq 'value' and ...`.", longest=1024)
TOP: Final = QueryField(name="$top", doc="Rows of a page.", kind=int, least=1, most=1000, example=100)
SKIPTOKEN: Final = QueryField(name="$skiptoken", doc="From @odata.nextLink.", longest=512)
COUNT: Final = QueryField(name="$count", doc="Say how many there are.", kind=bool)
LISTING: Final = (SELECT, FILTER, TOP, SKIPTOKEN, COUNT)
_ROOT: Final = "/beta"
_MOST_TERMS: Final = 10
_TERM: Final = re.compile(
    r"\s*(?:(?P<prop>[A-Za-z]{1,64})\s+(?P<op>eq|ne|gt|ge|lt|le)\s+(?P<value>'(?:[^']|'')*'|[0-9A-Za-z:.+-]+)"
    r"|(?P<call>contains|startswith)\(\s*(?P<inner>[A-Za-z]{1,64})\s*,\s*(?P<text>'(?:[^']|'')*')\s*\))\s*"
)
_HOST: Final = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,255}")


@dataclass(frozen=True, slots=True)
class Term:
    """One comparison; ``value`` is a text without its quotes, or a number, truth value or moment as written."""

    name: str
    op: str
    value: str


def parse_filter(text: str) -> tuple[Term, ...]:
    """Terms that are joined by ``and``. Raises FilterUnsupported."""
    found: list[Term] = []
    at = 0
    while at < len(text):
        term = _TERM.match(text, at)
        if term is None or len(found) == _MOST_TERMS:
            raise FilterUnsupported(f"$filter cannot be read from {text[at : at + 60]!r} on")
        if term["call"]:
            found.append(Term(term["inner"], term["call"], _unquoted(term["text"])))
        else:
            found.append(Term(term["prop"], term["op"], _unquoted(term["value"])))
        at = term.end()
        if at < len(text):
            if not text.startswith("and ", at) or not text[at + 4 :].strip():
                raise FilterUnsupported(f"$filter joins terms by `and` only, not {text[at : at + 40]!r}")
            at += 4
    return tuple(found)


def matches(entity: Mapping[str, Any], terms: Sequence[Term]) -> bool:
    """Whether an entity, ready for JSON, passes. Raises FilterUnsupported for a property that it does not have."""
    return all(_passes(entity, term) for term in terms)


def _passes(entity: Mapping[str, Any], term: Term) -> bool:
    if term.name not in entity or isinstance(entity[term.name], list | dict):
        raise FilterUnsupported(f"$filter by {term.name!r} is not possible here")
    value = entity[term.name]
    actual = "null" if value is None else str(value).lower()
    wanted = term.value.lower()
    if term.op == "contains":
        return wanted in actual
    if term.op == "startswith":
        return actual.startswith(wanted)
    left: Any = actual
    right: Any = wanted
    if isinstance(value, int) and wanted.isdecimal() and len(wanted) < 10:
        left, right = int(value), int(wanted)
    return bool({"eq": left == right, "ne": left != right, "gt": left > right, "ge": left >= right,
                 "lt": left < right, "le": left <= right}[term.op])  # fmt: skip


def _unquoted(text: str) -> str:
    return text[1:-1].replace("''", "'") if text.startswith("'") else text


def entity_reply(call: Call, entity: Any, *, status: int = 200) -> Reply:
    """One entity, of which $select chooses."""
    shown = {"@odata.context": f"{_origin(call)}{_ROOT}/$metadata", **selected(call, entity)}
    tag = entity.eTag if getattr(entity, "eTag", None) else tag_of(entity)
    return Reply(shown, status, (("etag", tag),))


def collection_reply(call: Call, entities: Sequence[Any], *, cursor: str, count: int | None) -> Reply:
    """A page, and where the next one is; the link is absolute, since scripts call it as it stands."""
    shown: dict[str, Any] = {"@odata.context": f"{_origin(call)}{_ROOT}/$metadata"}
    if count is not None:
        shown["@odata.count"] = count
    if cursor:
        path = call.operation_path
        for name, value in call.path.items():
            path = path.replace(f"{{{name}}}", value)
        kept = {name: value for name, value in call.query.items() if name != "$skiptoken"}
        kept["$skiptoken"] = cursor
        query = urlencode({name: str(value).lower() if value is True else value for name, value in kept.items()})
        shown["@odata.nextLink"] = f"{_origin(call)}{_ROOT}{path}?{query}"
    shown["value"] = [selected(call, entity) for entity in entities]
    return Reply(shown)


def selected(call: Call, entity: Any) -> dict[str, Any]:
    """An entity ready for JSON. Raises FilterUnsupported for a property that there is not."""
    found: dict[str, Any] = encode(entity)
    if not (wanted := call.query.get("$select")):
        return found
    names = [name.strip() for name in str(wanted).split(",")]
    if unknown := [name for name in names if name not in found]:
        raise FilterUnsupported(f"$select names {unknown[0][:60]!r}; there are {', '.join(found)}")
    return {name: found[name] for name in names}


def tag_of(entity: Any) -> str:
    """The ETag of an entity: of all that it says."""
    text = json.dumps(encode(entity), sort_keys=True)
    return f'"{sha256(text.encode()).hexdigest()[:32]}"'


def check_tag(call: Call, tag: str) -> None:
    """Raises ChangedMeanwhile when If-Match names another state."""
    wanted = call.if_match.strip().removeprefix("W/")
    if wanted and wanted != "*" and wanted != tag:
        raise ChangedMeanwhile(f"If-Match is {wanted[:60]}, the entity is {tag} by now")


def _origin(call: Call) -> str:
    return call.origin if _HOST.fullmatch(call.origin.partition("://")[2]) else ""
