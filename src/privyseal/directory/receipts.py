# SPDX-License-Identifier: Apache-2.0
"""Receipts: what we changed in a directory, where and when. Only what they show to be ours is ever removed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from privyseal.directory.changes import DONE, AddEntry, AddValue, Change, DeleteEntry, RemoveValue, ReplaceValue
from privyseal.directory.containers import present
from privyseal.directory.naming import dn_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One change that a controller took. ``result`` is ``already`` when it found nothing left to do."""

    forest: str
    controller: str
    change: Change
    result: str
    usn: int | None
    """The controller's highest USN after the change, where it told us."""
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
