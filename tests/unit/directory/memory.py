# SPDX-License-Identifier: Apache-2.0
"""A directory in memory that enforces what Samba and Windows enforce: mandatory attributes, parents, exact values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from privyseal.directory.changes import (
    AddEntry,
    AddValue,
    Change,
    DeleteEntry,
    Entry,
    RemoveValue,
    ReplaceValue,
    RootDse,
)
from privyseal.directory.naming import dn_key, parent_dn
from privyseal.errors import DirectoryUnreachable, SchemaViolation
from tests.unit.directory.certificates import AIA, CDP, CONFIGURATION, PKS, ROOTS, SERVICES

_DEMANDED = ("cacertificate", "certificaterevocationlist", "authorityrevocationlist")


class Memory:
    """One controller. Counts round trips; ``breaks_at`` is the number of writes after which the line is dead."""

    def __init__(self, name: str = "dc1.ad.example.test") -> None:
        self.name = name
        self.usn = 1000
        self.trips = 0
        self.writes = 0
        self.breaks_at: int | None = None
        self.breaks_after_write = False
        self.answers: list[Entry] = []
        self.filters: list[str] = []
        self.closed = False
        self.entries: dict[str, Entry] = {}
        for dn in (PKS, AIA, ROOTS, SERVICES, CDP):
            self.put(dn, objectclass=[b"top", b"container"])

    def put(self, dn: str, **attributes: Iterable[bytes]) -> None:
        self.entries[dn_key(dn)] = Entry(dn, {name.lower(): tuple(values) for name, values in attributes.items()})

    def values(self, dn: str, attribute: str = "cACertificate") -> tuple[bytes, ...] | None:
        entry = self.entries.get(dn_key(dn))
        return None if entry is None else entry.attributes.get(attribute.lower(), ())

    def _trip(self) -> None:
        self.trips += 1
        if self.breaks_at is not None and self.writes >= self.breaks_at:
            raise DirectoryUnreachable(f"the connection to {self.name} broke")

    def root_dse(self) -> RootDse:
        self._trip()
        return RootDse(
            dns_host_name=self.name,
            default_nc="DC=ad,DC=example,DC=test",
            configuration_nc=CONFIGURATION,
            root_domain_nc="DC=ad,DC=example,DC=test",
            forest="ad.example.test",
            server_name="CN=DC1",
            highest_usn=self.usn,
            current_time=datetime(2026, 11, 22, tzinfo=UTC),
        )

    def read(self, dn: str, attributes: Sequence[str]) -> Entry | None:
        self._trip()
        entry = self.entries.get(dn_key(dn))
        wanted = {name.lower() for name in attributes}
        return entry and Entry(entry.dn, {name: held for name, held in entry.attributes.items() if name in wanted})

    def search(
        self, base: str, filter_text: str, *, attributes: Sequence[str], one_level: bool = False, most: int = 100_000
    ) -> Iterator[Entry]:
        self._trip()
        self.filters.append(filter_text)
        if self.answers:
            return iter(self.answers[:most])
        kind = filter_text.removeprefix("(objectClass=").removesuffix(")").encode()
        return iter(
            entry
            for entry in self.entries.values()
            if dn_key(parent_dn(entry.dn)) == dn_key(base) and kind in entry.attributes["objectclass"]
        )

    def apply(self, change: Change) -> str:
        self._trip()
        self.writes += 1
        if self.breaks_at == self.writes and not self.breaks_after_write:
            raise DirectoryUnreachable(f"the connection to {self.name} broke")
        self.usn += 1
        key = dn_key(change.dn)
        match change:
            case AddEntry(dn, attributes):
                assert dn_key(parent_dn(dn)) in self.entries
                if key in self.entries:
                    return "already"
                self._store(key, Entry(dn, {name.lower(): values for name, values in attributes}))
            case DeleteEntry():
                if self.entries.pop(key, None) is None:
                    return "already"
            case AddValue(_, attribute, value, displaces):
                return self._modify(key, attribute, gone=displaces, come=value)
            case RemoveValue(_, attribute, value, leaves):
                return self._modify(key, attribute, gone=value, come=leaves)
            case ReplaceValue(_, attribute, value, previous):
                return self._modify(key, attribute, gone=previous, come=value)
        if self.breaks_at == self.writes:
            raise DirectoryUnreachable(f"the connection to {self.name} broke")
        return "done"

    def _modify(self, key: str, attribute: str, *, gone: bytes | None, come: bytes | None) -> str:
        entry = self.entries[key]
        held = entry.attributes.get(attribute.lower(), ())
        if come in held:
            return "already"
        assert gone is None or gone in held
        kept = tuple(value for value in held if value != gone) + (() if come is None else (come,))
        self._store(key, Entry(entry.dn, {**entry.attributes, attribute.lower(): kept}))
        return "done"

    def _store(self, key: str, entry: Entry) -> None:
        if b"certificationAuthority" in entry.attributes["objectclass"]:
            lacking = [name for name in _DEMANDED if not entry.attributes.get(name)]
            if lacking:
                raise SchemaViolation(f"{entry.dn} lacks {', '.join(lacking)}")
        self.entries[key] = Entry(entry.dn, {**entry.attributes, "usnchanged": (str(self.usn).encode(),)})

    def rights(self, dn: str) -> tuple[frozenset[str], frozenset[str]]:
        return frozenset({"cacertificate"}), frozenset({"certificationauthority"})

    def close(self) -> None:
        self.closed = True
