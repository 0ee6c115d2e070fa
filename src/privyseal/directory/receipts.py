# SPDX-License-Identifier: Apache-2.0
"""Receipts: what we changed in a directory, where and when. Only what they show to be ours is ever removed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from privyseal.directory.changes import DONE, AddEntry, AddValue, Change, DeleteEntry, Entry, RemoveValue, ReplaceValue
from privyseal.directory.containers import present, values_of
from privyseal.directory.naming import dn_key

INTENDED: Final = "intended"
"""Stored before the change is sent, so that nothing is ever done that nobody remembers."""
UNKNOWN: Final = "unknown"
"""The connection broke before the answer came: `settle` finds out."""
NOT_DONE: Final = "not done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One change on one controller. ``result`` is intended; then done, already (so before us), unknown or not done."""

    forest: str
    controller: str
    change: Change
    result: str
    usn: int | None
    """uSNChanged of the object on that controller after the change, where it told us."""
    at: datetime


@dataclass(frozen=True, slots=True)
class Ownership:
    """What is ours: objects by DN key, values by (DN key, attribute in lower case, value)."""

    entries: frozenset[str]
    values: frozenset[tuple[str, str, bytes]]

    def owns_entry(self, dn: str) -> bool:
        """We made this object."""
        return dn_key(dn) in self.entries

    def owns_value(self, dn: str, attribute: str, *, value: bytes) -> bool:
        """We put this value there."""
        return (dn_key(dn), attribute.lower(), value) in self.values


def ownership(receipts: Iterable[Receipt]) -> Ownership:
    """What the receipts, oldest first, leave as ours. What was there before us is not."""
    entries: set[str] = set()
    values: set[tuple[str, str, bytes]] = set()
    for receipt in receipts:
        if receipt.result == DONE:
            _account(receipt.change, entries, values=values)
    return Ownership(frozenset(entries), frozenset(values))


def _account(change: Change, entries: set[str], *, values: set[tuple[str, str, bytes]]) -> None:
    key = dn_key(change.dn)
    match change:
        case AddEntry(_, attributes):
            entries.add(key)
            values.update((key, name.lower(), value) for name, held in attributes for value in present(held))
        case DeleteEntry():
            entries.discard(key)
            values.difference_update([item for item in values if item[0] == key])
        case AddValue(_, attribute, value, _):
            values.add((key, attribute.lower(), value))
        case RemoveValue(_, attribute, value, _):
            values.discard((key, attribute.lower(), value))
        case ReplaceValue(_, attribute, value, previous):
            values.add((key, attribute.lower(), value))
            if previous is not None:
                values.discard((key, attribute.lower(), previous))


def took_effect(change: Change, entry: Entry | None) -> bool:
    """The object is as the change leaves it. ``entry`` is the object as it was read just now."""
    match change:
        case AddEntry(_, attributes):
            wanted = {(name, value) for name, values in attributes for value in present(values) if _is_content(name)}
            return entry is not None and all(value in values_of(entry, name) for name, value in wanted)
        case DeleteEntry():
            return entry is None
        case RemoveValue(_, attribute, value, _):
            return value not in values_of(entry, attribute)
        case AddValue(_, attribute, value, _) | ReplaceValue(_, attribute, value, _):
            return value in values_of(entry, attribute)


def _is_content(attribute: str) -> bool:
    # The class comes back with its ancestors, and text in the server's spelling: only octets are compared.
    return attribute.lower().endswith(("certificate", "revocationlist"))


def unsettled(receipts: Iterable[Receipt]) -> tuple[Receipt, ...]:
    """Intended and unknown changes that no later receipt about the same change settles. ``receipts``: oldest first."""
    open_ones: dict[Change, Receipt] = {}
    for receipt in receipts:
        if receipt.result in (INTENDED, UNKNOWN):
            open_ones[receipt.change] = receipt
        else:
            open_ones.pop(receipt.change, None)
    return tuple(open_ones.values())
