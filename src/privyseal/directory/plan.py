# SPDX-License-Identifier: Apache-2.0
"""From what shall stand and what stands to ordered changes. Appends, never replaces; removes only what we added.

A plan carries a fingerprint of what it was made from, so that one that has grown stale is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, TypeAlias

from privyseal.directory.changes import AddEntry, AddValue, Change, DeleteEntry, Entry, RemoveValue, ReplaceValue
from privyseal.directory.changes import undo as undone
from privyseal.directory.containers import (
    AUTHORITY_CRL,
    BASE_CRL,
    CA_CERTIFICATE,
    CERTIFICATION_AUTHORITY,
    DELTA_CRL,
    PLACEHOLDER,
    READ_ATTRIBUTES,
    placeholder_in,
    present,
    values_of,
)
from privyseal.directory.desired import Desired
from privyseal.directory.naming import dn_key, parent_dn
from privyseal.directory.receipts import Ownership
from privyseal.errors import ContainerMissing, NameTaken, NotReceipted, PlanStale, SchemaViolation

Observed: TypeAlias = Mapping[str, Entry | None]
"""What was read, by ``dn_key``. None says that there is no such object; what was not read is not a key."""

_CONTENT: Final = (CA_CERTIFICATE, BASE_CRL, AUTHORITY_CRL, DELTA_CRL)
_MANDATORY: Final = frozenset(name.lower() for name in (CA_CERTIFICATE, BASE_CRL, AUTHORITY_CRL))


@dataclass(frozen=True, slots=True)
class Plan:
    """Changes in order, and the fingerprint of what they were made from. No change means that all is as it shall be.

    ``reads`` are the objects that must be read again before it is applied; ``left`` says what was not touched and why.
    """

    changes: tuple[Change, ...]
    fingerprint: str
    reads: tuple[str, ...]
    left: tuple[str, ...] = ()


class _Directory:
    """The observed objects, as they will be when the changes so far are done."""

    def __init__(self, observed: Observed) -> None:
        self._entries = dict(observed)
        self.changes: list[Change] = []

    def entry(self, dn: str) -> Entry | None:
        if dn_key(dn) not in self._entries:
            raise PlanStale(f"{dn} was not read before the plan was made")
        return self._entries[dn_key(dn)]

    def has(self, dn: str) -> bool:
        return self._entries.get(dn_key(dn)) is not None

    def values(self, dn: str, attribute: str) -> tuple[bytes, ...]:
        return values_of(self.entry(dn), attribute)

    def do(self, change: Change) -> None:
        self.changes.append(change)
        key = dn_key(change.dn)
        match change:
            case AddEntry(dn, attributes):
                self._entries[key] = Entry(dn, {name.lower(): values for name, values in attributes})
            case DeleteEntry():
                self._entries[key] = None
            case AddValue(_, attribute, value, displaces):
                self._swap(key, attribute, gone=displaces, come=value)
            case RemoveValue(_, attribute, value, leaves):
                self._swap(key, attribute, gone=value, come=leaves)
            case ReplaceValue(_, attribute, value, previous):
                self._swap(key, attribute, gone=previous, come=value)

    def _swap(self, key: str, attribute: str, *, gone: bytes | None, come: bytes | None) -> None:
        entry = self._entries[key]
        if entry is not None:
            held = [value for value in values_of(entry, attribute) if value != gone]
            held += [come] if come is not None else []
            self._entries[key] = Entry(entry.dn, {**entry.attributes, attribute.lower(): tuple(held)})


def fingerprint(observed: Observed) -> str:
    """SHA-256 over what the plan depends on: which objects are there, and the values it looks at, in any order."""
    digest = sha256()
    for key in sorted(observed):
        entry = observed[key]
        digest.update(f"{len(key)} {key} {'absent' if entry is None else 'present'}\n".encode())
        for name in sorted(name.lower() for name in READ_ATTRIBUTES):
            for value in sorted(values_of(entry, name)):
                digest.update(f"{name} {sha256(value).hexdigest()}\n".encode())
    return digest.hexdigest()


def check_fresh(plan: Plan, observed: Observed) -> None:
    """Raise PlanStale unless the directory is as it was when the plan was made."""
    found = fingerprint(observed)
    if found != plan.fingerprint:
        raise PlanStale(
            f"the plan was made from state {plan.fingerprint[:16]}; the directory is now in state {found[:16]}"
        )


def plan_publication(desired: Sequence[Desired], observed: Observed) -> Plan:
    """The changes that are missing. ``observed`` holds every ``dn``, and the parent of each that is absent.

    Raises ContainerMissing, SchemaViolation for an object of another class, NameTaken for an object of other people.
    """
    directory = _Directory(observed)
    for item in desired:
        entry = directory.entry(item.dn)
        if entry is None:
            check_container(item.dn, has_parent=directory.has(parent_dn(item.dn)))
            directory.do(AddEntry(item.dn, item.fresh))
            continue
        _check_same_kind(entry, item)
        values = directory.values(item.dn, item.attribute)
        if item.value not in values:
            directory.do(AddValue(item.dn, item.attribute, item.value, placeholder_in(values)))
    return _plan(directory, observed, dns=[item.dn for item in desired])


def check_container(dn: str, *, has_parent: bool) -> None:
    """Raise ContainerMissing when there is nothing to create the object in."""
    if not has_parent:
        raise ContainerMissing(f"{parent_dn(dn)} does not exist, so {dn.partition(',')[0]} cannot be created in it")


def _check_same_kind(entry: Entry, item: Desired) -> None:
    classes = {value.decode("ascii", "replace").casefold() for value in values_of(entry, "objectClass")}
    if classes and item.object_class.casefold() not in classes:
        raise SchemaViolation(
            f"{item.dn} is a {', '.join(sorted(classes - {'top'})) or 'top'}, not a {item.object_class}"
        )
    for name, wanted in item.fixed:
        held = values_of(entry, name)
        if {value.lower() for value in held} != {value.lower() for value in wanted}:
            shown = b", ".join(held).decode("utf-8", "replace")[:200] or "nothing"
            raise NameTaken(
                f"{item.dn} already exists, and its {name} is {shown}, not {b', '.join(wanted).decode('utf-8')}",
                why="a CA of this name already has an enrollment service on another host",
            )


def plan_removal(
    certificate: bytes, dns: Sequence[str], *, observed: Observed, ours: Ownership, keep_empty: bool = False
) -> Plan:
    """Take ``certificate`` out of the objects ``dns``, as far as it was we who put it there.

    An object that we made goes with its last certificate, unless ``keep_empty``: a delegated account may not delete.
    Raises NotReceipted when the certificate is there and none of it is ours.
    """
    directory = _Directory(observed)
    left: list[str] = []
    for dn in dns:
        if certificate not in directory.values(dn, CA_CERTIFICATE):
            continue
        if not ours.owns_value(dn, CA_CERTIFICATE, value=certificate):
            left.append(f"{dn} holds the certificate, but no receipt says that we put it there")
        elif ours.owns_entry(dn) and not keep_empty and _content(directory, dn) == {certificate}:
            directory.do(DeleteEntry(dn, _all_attributes(directory.entry(dn))))
        else:
            _remove(directory, dn, attribute=CA_CERTIFICATE, value=certificate)
    if left and not directory.changes:
        raise NotReceipted("; ".join(left))
    return _plan(directory, observed, dns=dns, left=left)


def _content(directory: _Directory, dn: str) -> set[bytes]:
    """Everything in an object that somebody may need: certificates and CRLs, without placeholders."""
    return {value for name in _CONTENT for value in present(directory.values(dn, name))}


def _all_attributes(entry: Entry | None) -> tuple[tuple[str, tuple[bytes, ...]], ...]:
    """What is needed to make the object again, in the spelling of the schema."""
    spelling = {name.lower(): name for name in READ_ATTRIBUTES}
    held = {} if entry is None else entry.attributes
    return tuple((name, held[low]) for low, name in spelling.items() if held.get(low))


def _remove(directory: _Directory, dn: str, *, attribute: str, value: bytes) -> None:
    values = directory.values(dn, attribute)
    if value not in values:
        return
    classes = {name.lower() for name in directory.values(dn, "objectClass")}
    # An object whose class was not read is taken for what nearly all of them are.
    demanded = attribute.lower() in _MANDATORY and (not classes or CERTIFICATION_AUTHORITY.lower().encode() in classes)
    directory.do(RemoveValue(dn, attribute, value, PLACEHOLDER if demanded and len(values) == 1 else None))


def plan_undo(changes: Sequence[Change], observed: Observed) -> Plan:
    """Lead back from ``changes`` that were done, the last one first, as far as they still stand.

    What others have added since stays: an object that holds more than we gave it loses our values only.
    """
    directory = _Directory(observed)
    for change in reversed(changes):
        _lead_back(directory, undone(change))
    return _plan(directory, observed, dns=[change.dn for change in changes])


def _lead_back(directory: _Directory, change: Change) -> None:
    match change:
        case DeleteEntry(dn, attributes):
            if directory.entry(dn) is None:
                return
            given = {value for name, values in attributes if name in _CONTENT for value in present(values)}
            if _content(directory, dn) <= given:
                directory.do(DeleteEntry(dn, _all_attributes(directory.entry(dn)) or attributes))
                return
            for name, values in attributes:
                for value in present(values) if name in _CONTENT else ():
                    _remove(directory, dn, attribute=name, value=value)
        case AddEntry(dn, _):
            if directory.entry(dn) is None:
                check_container(dn, has_parent=directory.has(parent_dn(dn)))
                directory.do(change)
        case RemoveValue(dn, attribute, value, _):
            _remove(directory, dn, attribute=attribute, value=value)
        case AddValue(dn, attribute, value, _):
            values = directory.values(dn, attribute)
            if directory.entry(dn) is None:
                raise PlanStale(f"{dn} does not exist any more, so its {attribute} cannot be put back")
            if value not in values:
                directory.do(AddValue(dn, attribute, value, placeholder_in(values)))
        case ReplaceValue(dn, attribute, _, previous):
            if previous in directory.values(dn, attribute):
                directory.do(change)


def _plan(directory: _Directory, observed: Observed, *, dns: Sequence[str], left: Sequence[str] = ()) -> Plan:
    return Plan(tuple(directory.changes), fingerprint(observed), tuple(dict.fromkeys(dns)), tuple(left))
