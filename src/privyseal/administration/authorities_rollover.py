# SPDX-License-Identifier: Apache-2.0
"""Acts that change which version of a CA is in force: activate when every gate has passed, roll back for a while."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from privyseal.administration.act import SecondPerson
from privyseal.administration.authorities import authority_item
from privyseal.administration.authority_ports import AuthorityOffice, version_of
from privyseal.administration.parameters import Parameters
from privyseal.ca.lifecycle import CaEvent, check_rollback, next_state
from privyseal.errors import GatesNotPassed, InvalidValue, NotFound, PrivysealError
from privyseal.model.access import Permission
from privyseal.model.authority import IN_FORCE, CaKind, CaRecord, CaState
from privyseal.model.gate import Gate, GateName
from privyseal.model.preview import Preview


class ActivateCa:
    """``ca.activate``: name, version, accept (names of gates that need not pass; the audit trail keeps them)."""

    name = "ca.activate"
    permission = Permission.CA_WRITE
    second_person = SecondPerson.FOUR_EYES

    def __init__(self, office: AuthorityOffice) -> None:
        self._office = office

    async def preview(self, parameters: Mapping[str, Any]) -> Preview:
        """See ``Act``."""
        record, accepted = self._asked(Parameters(parameters, {"name", "version", "accept"}))
        office = self._office
        next_state(record.state, CaEvent.ACTIVATE, shown=office.issuer(record).shown)
        gates = await office.gates(record)
        current = office.register.get(record.name)
        effects = [
            f"v{record.version} issues from now on; enrollment URLs stay as they are",
            f"v{current.version} becomes superseded: it keeps CRL and OCSP until its last certificate has ended",
        ]
        if record.kind is CaKind.ROOT:
            effects.append("CAs that are made or renewed from now on are signed by it")
        effects += [_said(gate, accepted) for gate in gates]
        return Preview(
            summary=f"activate CA {record.name} v{record.version} instead of v{current.version}",
            effects=tuple(effects),
            counts={"gates": len(gates), "passed": sum(gate.passed for gate in gates)},
            blockers=tuple(f"gate {gate.name.value}: {gate.evidence}" for gate in shut(gates, accepted)),
            tier0=record.name in office.in_ntauth(),
            labels=office.labels(record.name),
        )

    async def perform(self, parameters: Mapping[str, Any], *, actor: str) -> Mapping[str, Any]:
        """See ``Act``."""
        record, accepted = self._asked(Parameters(parameters))
        return await activate(self._office, record, accepted=accepted, actor=actor)

    def _asked(self, asked: Parameters) -> tuple[CaRecord, frozenset[GateName]]:
        known = {gate.value: gate for gate in GateName}
        given = asked.texts("accept")
        unknown = [name for name in given if name not in known]
        if unknown:
            raise InvalidValue(f"gate {unknown[0][:40]!r} is not one of {', '.join(known)}")
        name, version = asked.text("name"), version_of(asked)
        staged = [item for item in self._office.register.all() if (item.name, item.state) == (name, CaState.STAGED)]
        if not version and staged:
            version = staged[0].version
        return self._office.register.get(name, version), frozenset(known[one] for one in given)


async def activate(
    office: AuthorityOffice, record: CaRecord, *, accepted: frozenset[GateName], actor: str
) -> dict[str, Any]:
    """Look at every gate, then make the version the one in force. Raises AuthorityStateUnfit, GatesNotPassed."""
    next_state(record.state, CaEvent.ACTIVATE, shown=office.issuer(record).shown)
    gates = await office.gates(record)
    closed = shut(gates, accepted)
    if closed:
        raise GatesNotPassed(
            f"CA {record.name} v{record.version}: {'; '.join(f'{gate.name.value}: {gate.evidence}' for gate in closed)}"
        )
    detail = {
        "gates": {gate.name.value: gate.evidence[:200] for gate in gates},
        "accepted": sorted(gate.name.value for gate in gates if not gate.passed),
    }
    await office.life.activate(record, actor=actor, detail=detail)
    return authority_item(office.register.get(record.name, record.version))


def shut(gates: tuple[Gate, ...], accepted: frozenset[GateName]) -> tuple[Gate, ...]:
    """The gates that keep a version from becoming active."""
    return tuple(gate for gate in gates if not gate.passed and gate.name not in accepted)


def _said(gate: Gate, accepted: frozenset[GateName]) -> str:
    word = "passed" if gate.passed else "accepted" if gate.name in accepted else "not passed"
    return f"gate {gate.name.value} {word}: {gate.evidence}"


class RollBackCa:
    """``ca.rollback``: name. The version that was superseded last is in force again."""

    name = "ca.rollback"
    permission = Permission.CA_WRITE
    second_person = SecondPerson.TIER0

    def __init__(self, office: AuthorityOffice) -> None:
        self._office = office

    async def preview(self, parameters: Mapping[str, Any]) -> Preview:
        """See ``Act``."""
        record = self._before(Parameters(parameters, {"name"}))
        office, now = self._office, self._office.clock.now()
        issuer, current = office.issuer(record), office.register.get(record.name)
        leaves = office.life.holdings(current, now).live_leaves
        blockers: tuple[str, ...] = ()
        try:
            check_rollback(record.changed_at, now, shown=issuer.shown)
        except PrivysealError as late:
            blockers = (late.what,)
        if now > issuer.view.not_after:
            blockers += (f"{issuer.shown} has expired",)
        return Preview(
            summary=f"roll CA {record.name} back from v{current.version} to v{record.version}",
            effects=(
                f"v{record.version} issues again; enrollment URLs stay as they are",
                f"{leaves} certificate(s) of v{current.version} stay good: it keeps CRL and OCSP for them",
            ),
            counts={"live_leaves": leaves},
            blockers=blockers,
            tier0=record.name in office.in_ntauth(),
            labels=office.labels(record.name),
        )

    async def perform(self, parameters: Mapping[str, Any], *, actor: str) -> Mapping[str, Any]:
        """See ``Act``."""
        record = self._before(Parameters(parameters))
        await self._office.life.roll_back(record, actor=actor)
        return authority_item(self._office.register.get(record.name, record.version))

    def _before(self, asked: Parameters) -> CaRecord:
        name = asked.text("name")
        current = self._office.register.get(name)
        older = [
            record
            for record in self._office.register.all()
            if record.name == name and record.state is CaState.SUPERSEDED and record.version < current.version
        ]
        if not older or current.state not in IN_FORCE:
            raise NotFound(
                f"CA {name!r} has no superseded version that it could go back to", mend=(f"privyseal ca get {name}",)
            )
        return max(older, key=lambda record: record.changed_at)
