# SPDX-License-Identifier: Apache-2.0
"""What is left to do of a change, once the object has been read. A placeholder is never taken for a value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from privyseal.directory.changes import (
    AddEntry,
    AddValue,
    Change,
    DeleteEntry,
    Entry,
    RemoveValue,
    ReplaceValue,
)
from privyseal.errors import ContainerMissing, PlanStale

Fetch = Callable[[str, Sequence[str]], Entry | None]


@dataclass(frozen=True, slots=True)
class Modify:
    """One step of a modify operation."""

    kind: Literal["add", "delete"]
    attribute: str
    value: bytes


def modification(change: Change, fetch: Fetch) -> tuple[Modify, ...] | None:
    """The steps of the one modify operation (none for a whole object); None when nothing is left to do.

    Raises PlanStale, ContainerMissing.
    """
    match change:
        case AddEntry():
            return _add_entry(change, fetch)
        case DeleteEntry():
            return _delete_entry(change, fetch)
        case AddValue():
            return _add_value(change, _values(change.dn, change.attribute, fetch))
        case RemoveValue():
            return _remove_value(change, _values(change.dn, change.attribute, fetch))
        case ReplaceValue():
            return _replace_value(change, _values(change.dn, change.attribute, fetch))


def _values(dn: str, attribute: str, fetch: Fetch) -> tuple[bytes, ...] | None:
    entry = fetch(dn, (attribute,))
    return None if entry is None else entry.attributes.get(attribute.lower(), ())


def _add_value(change: AddValue, held: tuple[bytes, ...] | None) -> tuple[Modify, ...] | None:
    if held is None:
        raise ContainerMissing(f"{change.dn} is not there, so nothing can be added to it")
    if change.value in held:
        return None
    steps = [Modify("add", change.attribute, change.value)]
    if change.displaces is not None and change.displaces in held:
        steps.append(Modify("delete", change.attribute, change.displaces))
    return tuple(steps)


def _remove_value(change: RemoveValue, held: tuple[bytes, ...] | None) -> tuple[Modify, ...] | None:
    if held is None or change.value not in held:
        return None
    steps = [Modify("delete", change.attribute, change.value)]
    if change.leaves is not None and held == (change.value,):
        steps.insert(0, Modify("add", change.attribute, change.leaves))
    return tuple(steps)


def _replace_value(change: ReplaceValue, held: tuple[bytes, ...] | None) -> tuple[Modify, ...] | None:
    if held is None:
        raise ContainerMissing(f"{change.dn} is not there, so nothing in it can be replaced")
    if held == (change.value,):
        return None
    real = {value for value in held if not _is_placeholder(value)}
    if real - {change.previous}:
        raise PlanStale(f"{change.attribute} of {change.dn} is no longer the value that was to be replaced")
    # Deleting by value makes it fail, rather than overwrite, if somebody else is faster.
    steps = [Modify("delete", change.attribute, value) for value in held]
    return (*steps, Modify("add", change.attribute, change.value))


def _add_entry(change: AddEntry, fetch: Fetch) -> tuple[Modify, ...] | None:
    entry = fetch(change.dn, tuple(name for name, _ in change.attributes))
    if entry is None:
        return ()
    for name, values in change.attributes:
        held = entry.attributes.get(name.lower(), ())
        if name.lower() != "objectclass" and not all(_is_placeholder(one) or _among(one, held) for one in values):
            raise PlanStale(f"{change.dn} was to be created, but is there now, with another {name}")
    return None


def _delete_entry(change: DeleteEntry, fetch: Fetch) -> tuple[Modify, ...] | None:
    entry = fetch(change.dn, tuple(name for name, _ in change.attributes))
    if entry is None:
        return None
    for name, values in change.attributes:
        held = entry.attributes.get(name.lower(), ())
        if name.lower() != "objectclass" and not all(_is_placeholder(one) or _among(one, values) for one in held):
            raise PlanStale(f"{change.dn} was to be deleted, but its {name} is no longer what it was")
    return ()


def _is_placeholder(value: bytes) -> bool:
    """What stands for nothing where the class demands an attribute: at most one octet."""
    return len(value) <= 1


def _among(value: bytes, values: Sequence[bytes]) -> bool:
    """Text counts without regard to case, as the directory compares it; DER octet by octet."""
    return value in values or (value.isascii() and value.lower() in {one.lower() for one in values})
