# SPDX-License-Identifier: Apache-2.0
"""Acts that change the state of a CA: pause, resume, revoke, delete; and what is said of its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from privyseal.administration.act import SecondPerson
from privyseal.administration.authority_ports import AuthorityOffice, version_of
from privyseal.administration.parameters import Parameters
from privyseal.ca.lifecycle import (
    CaEvent,
    Holdings,
    check_no_blockers,
    deletion_blockers,
    next_state,
    revocation_blockers,
    state_at,
)
from privyseal.errors import InvalidValue, KeyNotHere, NotFound, RootNotRevocable
from privyseal.model.access import Permission
from privyseal.model.authority import CaKind, CaRecord
from privyseal.model.authority_name import AuthorityName, PendingAuthority, RenewalMode, RenewalPolicy
from privyseal.model.preview import Preview
from privyseal.model.revocation import CrlReason
from privyseal.x509.certificate import read_certificate

_ONE_VERSION = {"name", "version"}


def authority_item(record: CaRecord) -> dict[str, Any]:
    """What an act answers about a version."""
    return {"name": record.name, "version": record.version, "kind": record.kind.value, "state": record.state.value}


class _Move:
    """An act that is one event of the table."""

    name: str
    event: CaEvent
    permission = Permission.CA_OPERATE
    second_person = SecondPerson.NEVER

    def __init__(self, office: AuthorityOffice) -> None:
        self._office = office

    def effects(self, record: CaRecord) -> tuple[str, ...]:
        """What the event brings about."""
        raise NotImplementedError

    async def preview(self, parameters: Mapping[str, Any]) -> Preview:
        """See ``Act``."""
        record = self._office.version(Parameters(parameters, _ONE_VERSION))
        shown = self._office.issuer(record).shown
        next_state(record.state, self.event, shown=shown)
        return Preview(
            summary=f"{self.event.value} {shown}",
            effects=self.effects(record),
            tier0=record.name in self._office.in_ntauth(),
            labels=self._office.labels(record.name),
        )

    async def perform(self, parameters: Mapping[str, Any], *, actor: str) -> Mapping[str, Any]:
        """See ``Act``."""
        record = self._office.version(Parameters(parameters, _ONE_VERSION))
        await self._office.life.move(record, self.event, actor=actor)
        return authority_item(self._office.register.get(record.name, record.version))


class PauseCa(_Move):
    """``ca.pause``: name. No certificate is issued until it is resumed."""

    name = "ca.pause"
    event = CaEvent.PAUSE

    def effects(self, record: CaRecord) -> tuple[str, ...]:
        """See ``_Move``."""
        profiles = self._office.profiles_of(record.name)
        return (
            f"{len(profiles)} profile(s) issue nothing until it is resumed{_list(profiles)}",
            "CRL and OCSP go on, and what was issued stays good",
        )


class ResumeCa(_Move):
    """``ca.resume``: name."""

    name = "ca.resume"
    event = CaEvent.RESUME

    def effects(self, record: CaRecord) -> tuple[str, ...]:
        """See ``_Move``."""
        profiles = self._office.profiles_of(record.name)
        return (f"{len(profiles)} profile(s) issue again{_list(profiles)}",)


class RevokeCa:
    """``ca.revoke``: name, version, reason, override. The CRL of the CA above lists it."""

    name = "ca.revoke"
    permission = Permission.CA_WRITE
    second_person = SecondPerson.FOUR_EYES

    def __init__(self, office: AuthorityOffice) -> None:
        self._office = office

    async def preview(self, parameters: Mapping[str, Any]) -> Preview:
        """See ``Act``."""
        asked = Parameters(parameters, {*_ONE_VERSION, "reason", "override"})
        record, reason = self._checked(asked)
        issuer, holdings = self._office.issuer(record), self._holdings(record)
        parent = self._office.parent_of(record)
        next_state(record.state, CaEvent.REVOKE, shown=issuer.shown)
        blockers = revocation_blockers(holdings, override=asked.flag("override"), shown=issuer.shown)
        effects = [
            f"the CRL of {parent.shown if parent else 'its parent'} lists it at once, reason {reason.label}",
            "its own CRL and OCSP answers go on until its end",
        ]
        if holdings.live_leaves or holdings.live_children:
            leaves, below = holdings.live_leaves, holdings.live_children
            effects.append(f"{leaves} live certificate(s) and {below} CA(s) below it become worthless")
        return Preview(
            summary=f"revoke {issuer.shown} ({reason.label})",
            effects=tuple(effects),
            counts=_counts(holdings),
            irreversible=("a revoked CA stays revoked; make its next version or a new CA",),
            blockers=blockers,
            tier0=record.name in self._office.in_ntauth(),
            labels=self._office.labels(record.name),
        )

    async def perform(self, parameters: Mapping[str, Any], *, actor: str) -> Mapping[str, Any]:
        """See ``Act``."""
        asked = Parameters(parameters)
        record, reason = self._checked(asked)
        issuer, parent = self._office.issuer(record), self._office.parent_of(record)
        next_state(record.state, CaEvent.REVOKE, shown=issuer.shown)
        check_no_blockers(
            revocation_blockers(self._holdings(record), override=asked.flag("override"), shown=issuer.shown)
        )
        if parent is None:
            raise NotFound(f"the CA that signed {issuer.shown} is not stored")
        await self._office.revoke(parent, issuer.view.serial, reason=reason, actor=actor)
        return authority_item(self._office.register.get(record.name, record.version))

    def _checked(self, asked: Parameters) -> tuple[CaRecord, CrlReason]:
        record = self._office.version(asked)
        reason = CrlReason.parse(asked.text("reason", CrlReason.CESSATION_OF_OPERATION.label))
        if record.kind is CaKind.ROOT:
            raise RootNotRevocable(f"CA {record.name} v{record.version} is a root")
        parent = self._office.parent_of(record)
        if parent is not None and not parent.record.has_key:
            raise KeyNotHere(
                f"CA {record.name} v{record.version} was signed by {parent.record.name}, whose key is not here",
                mend=(
                    f"revoke it where the key of {parent.record.name} is",
                    "then bring the CRL that lists it here: privyseal ca import-crl FILE",
                ),
            )
        return record, reason

    def _holdings(self, record: CaRecord) -> Holdings:
        return self._office.life.holdings(record, self._office.clock.now())


class DeleteCa:
    """``ca.delete``: name, version. Its records stay, its key is destroyed."""

    name = "ca.delete"
    permission = Permission.CA_WRITE
    second_person = SecondPerson.FOUR_EYES

    def __init__(self, office: AuthorityOffice) -> None:
        self._office = office

    async def preview(self, parameters: Mapping[str, Any]) -> Preview:
        """See ``Act``."""
        found = self._found(Parameters(parameters, _ONE_VERSION))
        labels = self._office.labels(found.name)
        shown = f"CA {found.name} v{found.version}"
        if isinstance(found, PendingAuthority):
            return Preview(
                summary=f"delete the request of {shown}",
                effects=("a certificate that comes back for it can no longer be installed",),
                irreversible=("its key is destroyed",),
                labels=labels,
            )
        now = self._office.clock.now()
        holdings = self._office.life.holdings(found, now)
        state = state_at(found.state, read_certificate(found.certificate).not_after, now)
        profiles = self._office.profiles_of(found.name)
        effects = ["its certificates, revocations and CRL numbers are kept; its URLs no longer answer"]
        if profiles:
            effects.append(f"{len(profiles)} profile(s) name it{_list(profiles)}")
        return Preview(
            summary=f"delete {shown} ({state.value})",
            effects=tuple(effects),
            counts=_counts(holdings) | {"profiles": len(profiles)},
            irreversible=("its key is destroyed",) if found.has_key else (),
            blockers=deletion_blockers(state, holdings, shown=shown),
            tier0=found.name in self._office.in_ntauth(),
            labels=labels,
        )

    async def perform(self, parameters: Mapping[str, Any], *, actor: str) -> Mapping[str, Any]:
        """See ``Act``."""
        found = self._found(Parameters(parameters))
        office = self._office
        keys = office.shop().keys
        if isinstance(found, PendingAuthority):
            await office.names.drop_pending(found, actor=actor)
            keys.destroy(found.key_ref)
            return {"name": found.name, "version": found.version, "state": "deleted"}
        await office.life.delete(found, now=office.clock.now(), actor=actor)
        await destroy_doomed_keys(office, actor=actor)
        return {"name": found.name, "version": found.version, "state": "deleted"}

    def _found(self, asked: Parameters) -> CaRecord | PendingAuthority:
        name, version = asked.text("name"), version_of(asked)
        waiting = [item for item in self._office.names.pending() if item.name == name]
        stored = [item for item in self._office.register.all() if item.name == name]
        both: list[CaRecord | PendingAuthority] = [*stored, *waiting]
        chosen = [item for item in both if version in (0, item.version)]
        if not chosen:
            raise NotFound(f"there is no CA {name!r}" + (f" v{version}" if version else ""))
        if len(chosen) > 1:
            listed = ", ".join(f"v{item.version}" for item in chosen)
            raise InvalidValue(f"CA {name!r} has {listed}: say which version")
        return chosen[0]


async def destroy_doomed_keys(office: AuthorityOffice, *, actor: str) -> int:
    """Destroy the keys that only deleted versions name; how many. Done again at need: a crash leaves none behind."""
    doomed = office.life.doomed_keys()
    if doomed:
        keys = office.shop().keys
        for key_ref in doomed:
            keys.destroy(key_ref)
        await office.life.keys_are_gone(doomed, actor=actor)
    return len(doomed)


class SetCa:
    """``ca.set``: name, description, labels, renew (remind, auto), at (percent). What is not said stays."""

    name = "ca.set"
    permission = Permission.CA_WRITE
    second_person = SecondPerson.TIER0

    def __init__(self, office: AuthorityOffice) -> None:
        self._office = office

    async def preview(self, parameters: Mapping[str, Any]) -> Preview:
        """See ``Act``."""
        before, wanted = self._wanted(parameters)
        effects = []
        if wanted.renewal != before.renewal:
            auto = wanted.renewal.mode is RenewalMode.AUTO
            word = "stages and activates its next version by itself" if auto else "waits for a person"
            effects.append(f"from {wanted.renewal.at_percent} % of its life on it {word}")
        if wanted.labels != before.labels:
            effects.append(f"labels: {', '.join(sorted(wanted.labels)) or 'none'}; roles with labels follow")
        if wanted.description != before.description:
            effects.append(f"description: {wanted.description or 'none'}")
        return Preview(
            summary=f"change what is said of CA {wanted.name}",
            effects=tuple(effects),
            tier0=wanted.name in self._office.in_ntauth(),
            labels=before.labels,
        )

    async def perform(self, parameters: Mapping[str, Any], *, actor: str) -> Mapping[str, Any]:
        """See ``Act``."""
        _, wanted = self._wanted(parameters)
        await self._office.names.set(wanted, actor=actor)
        return {
            "name": wanted.name,
            "description": wanted.description,
            "labels": sorted(wanted.labels),
            "renew": wanted.renewal.mode.value,
            "renew_at_percent": wanted.renewal.at_percent,
        }

    def _wanted(self, parameters: Mapping[str, Any]) -> tuple[AuthorityName, AuthorityName]:
        asked = Parameters(parameters, {"name", "description", "labels", "renew", "at"})
        before = wanted = self._office.names.get(asked.text("name"))
        if "description" in parameters:
            wanted = replace(wanted, description=asked.text("description"))
        if "labels" in parameters:
            wanted = replace(wanted, labels=frozenset(asked.texts("labels")))
        mode, at = asked.text("renew", before.renewal.mode.value), asked.text("at", str(before.renewal.at_percent))
        modes = [item.value for item in RenewalMode]
        if mode not in modes:
            raise InvalidValue(f"renew {mode!r} is not one of {', '.join(modes)}")
        percent = at.removesuffix("%")
        if not percent.isdecimal() or len(percent) > 3:
            raise InvalidValue(f"at {at!r} is not a percentage such as 66%")
        return before, replace(wanted, renewal=RenewalPolicy(RenewalMode(mode), int(percent)))


def _counts(holdings: Holdings) -> dict[str, int]:
    return {"live_leaves": holdings.live_leaves, "live_children": holdings.live_children}


def _list(names: tuple[str, ...]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f": {', '.join(names[:5])}{more}"
