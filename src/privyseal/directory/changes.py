# SPDX-License-Identifier: Apache-2.0
"""What is read from a directory, what is changed in it, and the port of one controller. Every change can be undone.

Values only: whoever applies a change reads first, so that one which is already there is no fault.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

DONE: Final = "done"
ALREADY: Final = "already"


@dataclass(frozen=True, slots=True)
class Entry:
    """One object as a controller gave it. Attribute names are lower-case."""

    dn: str
    attributes: Mapping[str, tuple[bytes, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RootDse:
    """What a controller says about itself (MS-ADTS 3.1.1.3.2) before anything else is read."""

    dns_host_name: str
    default_nc: str
    configuration_nc: str
    root_domain_nc: str
    forest: str
    server_name: str
    highest_usn: int | None
    current_time: datetime | None


@dataclass(frozen=True, slots=True)
class AddEntry:
    """Create an object with these attributes."""

    dn: str
    attributes: tuple[tuple[str, tuple[bytes, ...]], ...]


@dataclass(frozen=True, slots=True)
class AddValue:
    """Add one value. ``displaces`` is the placeholder that the same modify operation takes away."""

    dn: str
    attribute: str
    value: bytes
    displaces: bytes | None = None


@dataclass(frozen=True, slots=True)
class RemoveValue:
    """Remove one value. ``leaves`` is the placeholder that the same modify operation puts in its place."""

    dn: str
    attribute: str
    value: bytes
    leaves: bytes | None = None


@dataclass(frozen=True, slots=True)
class ReplaceValue:
    """Exchange one value for another in the same modify operation; for single-valued attributes."""

    dn: str
    attribute: str
    value: bytes
    previous: bytes | None = None


@dataclass(frozen=True, slots=True)
class DeleteEntry:
    """Delete an object. ``attributes`` is what it held, so that it can be made again."""

    dn: str
    attributes: tuple[tuple[str, tuple[bytes, ...]], ...]


Change = AddEntry | AddValue | RemoveValue | ReplaceValue | DeleteEntry


def undo(change: Change) -> Change:
    """The change that leads back to the state before this one."""
    match change:
        case AddEntry(dn, attributes):
            return DeleteEntry(dn, attributes)
        case DeleteEntry(dn, attributes):
            return AddEntry(dn, attributes)
        case AddValue(dn, attribute, value, displaces):
            return RemoveValue(dn, attribute, value, displaces)
        case RemoveValue(dn, attribute, value, leaves):
            return AddValue(dn, attribute, value, leaves)
        case ReplaceValue(dn, attribute, value, previous):
            return (
                RemoveValue(dn, attribute, value) if previous is None else ReplaceValue(dn, attribute, previous, value)
            )


class DirectoryPort(Protocol):
    """One controller through one bound connection. Raises the 7000s of the error tree and nothing else."""

    def root_dse(self) -> RootDse:
        """The controller about itself."""

    def read(self, dn: str, attributes: Sequence[str]) -> Entry | None:
        """One object with the attributes asked for; None when there is no such object."""

    def search(
        self, base: str, filter_text: str, *, attributes: Sequence[str], one_level: bool = False, most: int = 100_000
    ) -> Iterator[Entry]:
        """What matches below ``base``, in pages; referrals are skipped."""

    def apply(self, change: Change) -> str:
        """Read, then one add, modify or delete operation: ``done``, or ``already`` when nothing was left to do."""

    def rights(self, dn: str) -> tuple[frozenset[str], frozenset[str]]:
        """allowedAttributesEffective and allowedChildClassesEffective of an object, in lower case."""

    def close(self) -> None:
        """End the connection."""
