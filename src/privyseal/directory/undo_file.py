# SPDX-License-Identifier: Apache-2.0
"""The undo file: changes that were done to one directory, as JSON that is read back to undo them. Bounded, strict."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from privyseal.directory.changes import AddEntry, AddValue, Change, DeleteEntry, RemoveValue, ReplaceValue
from privyseal.directory.containers import AUTHORITY_CRL, BASE_CRL, CA_CERTIFICATE, DELTA_CRL, READ_ATTRIBUTES
from privyseal.errors import InvalidValue

_FORMAT: Final = "privyseal directory undo 1"
_MAX_SIZE: Final = 64 * 1024 * 1024
_MAX_CHANGES: Final = 1000
_KINDS: Final[dict[str, type[AddEntry | AddValue | RemoveValue | ReplaceValue | DeleteEntry]]] = {
    "add-entry": AddEntry,
    "add-value": AddValue,
    "remove-value": RemoveValue,
    "replace-value": ReplaceValue,
    "delete-entry": DeleteEntry,
}
_NAMES: Final = {kind: name for name, kind in _KINDS.items()}
_VALUES: Final = frozenset(name.lower() for name in (CA_CERTIFICATE, AUTHORITY_CRL, BASE_CRL, DELTA_CRL))
_WHOLE: Final = frozenset({name.lower() for name in READ_ATTRIBUTES} | {"cn"})
_SECOND: Final[dict[type[AddValue | RemoveValue | ReplaceValue], str]] = {
    AddValue: "displaces",
    RemoveValue: "leaves",
    ReplaceValue: "previous",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoFile:
    """What was done, in this order, on one controller of one forest."""

    forest: str
    controller: str
    at: datetime
    changes: tuple[Change, ...]


def change_to_json(change: Change) -> dict[str, Any]:
    """A change as JSON values; octets in base64."""
    common = {"change": _NAMES[type(change)], "dn": change.dn}
    if isinstance(change, AddEntry | DeleteEntry):
        return {**common, "attributes": [[name, [_text(v) for v in values]] for name, values in change.attributes]}
    second = getattr(change, _SECOND[type(change)])
    held = {} if second is None else {_SECOND[type(change)]: _text(second)}
    return {**common, "attribute": change.attribute, "value": _text(change.value), **held}


def change_from_json(item: Any) -> Change:
    """A change from JSON values. Raises InvalidValue."""
    kind = _KINDS.get(str(item.get("change"))) if isinstance(item, dict) else None
    if kind is None:
        raise InvalidValue(f"a change is an object whose `change` is one of {', '.join(_KINDS)}")
    dn = _string(item, "dn")
    if kind is AddEntry or kind is DeleteEntry:
        return kind(dn, _attributes(item.get("attributes")))
    attribute, value = _string(item, "attribute"), _octets(item.get("value"), "value")
    for valued, name in _SECOND.items():
        if valued is kind:
            return valued(dn, attribute, value, None if item.get(name) is None else _octets(item[name], name))
    raise InvalidValue(f"a change of kind {item['change']} cannot be read")


def write_undo_file(done: UndoFile) -> str:
    """The text of the file."""
    body = {
        "format": _FORMAT,
        "forest": done.forest,
        "controller": done.controller,
        "at": done.at.isoformat(),
        "changes": [change_to_json(change) for change in done.changes],
    }
    return json.dumps(body, indent=1) + "\n"


def read_undo_file(text: str) -> UndoFile:
    """The changes in an undo file. Raises InvalidValue for everything that `write_undo_file` does not write."""
    if len(text) > _MAX_SIZE:
        raise InvalidValue(f"an undo file of {len(text):,} characters; at most {_MAX_SIZE:,} are read")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise InvalidValue("the undo file is not JSON") from fault
    if not isinstance(body, dict) or body.get("format") != _FORMAT:
        raise InvalidValue(f"the file's format is not {_FORMAT!r}")
    changes = body.get("changes")
    if not isinstance(changes, list) or len(changes) > _MAX_CHANGES:
        raise InvalidValue(f"`changes` is not a list of at most {_MAX_CHANGES}")
    try:
        at = datetime.fromisoformat(_string(body, "at"))
    except ValueError as fault:
        raise InvalidValue("`at` is not a time in ISO 8601") from fault
    if at.tzinfo is None:
        raise InvalidValue("`at` has no time zone")
    read = tuple([change_from_json(item) for item in changes])
    for change in read:
        _check_publication(change)
    return UndoFile(
        forest=_string(body, "forest"),
        controller=_string(body, "controller"),
        at=at,
        changes=read,
    )


def _check_publication(change: Change) -> None:
    """Raise InvalidValue for what no publication writes: a file from elsewhere must not reach other attributes."""
    if isinstance(change, AddEntry | DeleteEntry):
        names, fitting = [name for name, _ in change.attributes], _WHOLE
    else:
        names, fitting = [change.attribute], _VALUES
    for name in names:
        if name.lower() not in fitting:
            raise InvalidValue(f"{name!r} of {change.dn[:200]} is nothing that a publication writes")


def _text(value: bytes) -> str:
    return b64encode(value).decode("ascii")


def _string(item: dict[str, Any], name: str) -> str:
    found = item.get(name)
    if not isinstance(found, str) or not 0 < len(found) <= 4096 or not found.isprintable():
        raise InvalidValue(f"`{name}` is not a text of 1 to 4096 printable characters")
    return found


def _octets(found: Any, name: str) -> bytes:
    if not isinstance(found, str):
        raise InvalidValue(f"`{name}` is not a text in base64")
    try:
        return b64decode(found, validate=True)
    except ValueError as fault:
        raise InvalidValue(f"`{name}` is not base64") from fault


def _attributes(found: Any) -> tuple[tuple[str, tuple[bytes, ...]], ...]:
    if not isinstance(found, list) or len(found) > 100:
        raise InvalidValue("`attributes` is not a list of at most 100")
    out: list[tuple[str, tuple[bytes, ...]]] = []
    for pair in found:
        if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[1], list):
            raise InvalidValue("an attribute is not a name with a list of values")
        name = _string({"attribute": pair[0]}, "attribute")
        out.append((name, tuple([_octets(value, name) for value in pair[1]])))
    return tuple(out)
