# SPDX-License-Identifier: Apache-2.0
"""Looking at what is published: what each controller lacks, and everything the containers hold. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from privyseal.directory.changes import AddValue, Change, DirectoryPort
from privyseal.directory.containers import (
    CERTIFICATION_AUTHORITY,
    DISTRIBUTION_POINT,
    ENROLLMENT_SERVICE,
    READ_ATTRIBUTES,
    STATUS_ATTRIBUTES,
    Container,
    container_dn,
)
from privyseal.directory.describe import describe
from privyseal.directory.desired import Desired
from privyseal.directory.receipts import took_effect
from privyseal.directory.status import ControllerView
from privyseal.errors import ControllersDisagree, PrivysealError
from privyseal.repository.ports import Connect, Now

_OBJECTS = {
    Container.CERTIFICATION_AUTHORITIES: CERTIFICATION_AUTHORITY,
    Container.AIA: CERTIFICATION_AUTHORITY,
    Container.ENROLLMENT_SERVICES: ENROLLMENT_SERVICE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What one controller shows of what was expected. With ``fault`` it could not be asked."""

    controller: str
    highest_usn: int | None
    server_time: datetime | None
    at: datetime
    missing: tuple[Change, ...]
    fault: PrivysealError | None


def expected(desired: Sequence[Desired]) -> tuple[Change, ...]:
    """What must be visible once ``desired`` is published."""
    return tuple(AddValue(item.dn, item.attribute, item.value) for item in desired)


def prove(controllers: Sequence[str], changes: Sequence[Change], *, connect: Connect, now: Now) -> tuple[Proof, ...]:
    """Ask every controller whether it shows the effect of ``changes``; one that is silent does not stop the rest."""
    return tuple(_prove_one(name, changes, connect=connect, now=now) for name in controllers)


def _prove_one(controller: str, changes: Sequence[Change], *, connect: Connect, now: Now) -> Proof:
    try:
        port = connect(controller)
        try:
            root = port.root_dse()
            entries = {dn: port.read(dn, READ_ATTRIBUTES) for dn in dict.fromkeys(change.dn for change in changes)}
        finally:
            port.close()
    except PrivysealError as fault:
        return Proof(
            controller=controller, highest_usn=None, server_time=None, at=now(), missing=tuple(changes), fault=fault
        )
    return Proof(
        controller=controller,
        highest_usn=root.highest_usn,
        server_time=root.current_time,
        at=now(),
        missing=tuple(change for change in changes if not took_effect(change, entries[change.dn])),
        fault=None,
    )


def check_proofs(proofs: Sequence[Proof]) -> None:
    """Raise ControllersDisagree unless every controller shows everything; says which lacks what, and its USN."""
    behind = [proof for proof in proofs if proof.fault is not None or proof.missing]
    if not behind:
        return
    stories = [_story(proof) for proof in behind]
    raise ControllersDisagree(
        f"{len(proofs) - len(behind)} of {len(proofs)} controllers show everything; {'; '.join(stories)}"
    )


def _story(proof: Proof) -> str:
    if proof.fault is not None:
        return f"{proof.controller} could not be asked ({proof.fault.code}: {proof.fault.what})"
    more = f" and {len(proof.missing) - 1} more" if len(proof.missing) > 1 else ""
    usn = proof.highest_usn or "unknown"
    return f"{proof.controller} at USN {usn} does not yet show: {describe(proof.missing[0])}{more}"


def look(port: DirectoryPort, *, now: Now) -> ControllerView:
    """Every CA object and CRL of the forest as this controller holds it: six reads, whatever the number of CAs."""
    root = port.root_dse()
    found = []
    for container, kind in _OBJECTS.items():
        place = container_dn(container, root.configuration_nc)
        for entry in port.search(place, f"(objectClass={kind})", attributes=STATUS_ATTRIBUTES, one_level=True):
            found.append((container, entry))
    # Each host has a container of its own in this one.
    points = container_dn(Container.CDP, root.configuration_nc)
    for entry in port.search(points, f"(objectClass={DISTRIBUTION_POINT})", attributes=STATUS_ATTRIBUTES):
        found.append((Container.CDP, entry))
    ntauth = port.read(container_dn(Container.NTAUTH, root.configuration_nc), STATUS_ATTRIBUTES)
    if ntauth is not None:
        found.append((Container.NTAUTH, ntauth))
    return ControllerView(controller=root.dns_host_name, highest_usn=root.highest_usn, at=now(), entries=tuple(found))
