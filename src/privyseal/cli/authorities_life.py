# SPDX-License-Identifier: Apache-2.0
"""``privyseal ca``: the life of a CA. Every command is an act over the desk; ``--dry-run`` shows what would happen."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import click

from privyseal.bootstrap.authorities import authority_office
from privyseal.cli.acts import submit
from privyseal.cli.exits import Exit
from privyseal.cli.output import show_item, show_list
from privyseal.cli.session import Session
from privyseal.cli.values import REASON
from privyseal.cli.verb import verb
from privyseal.errors import GatesNotPassed, NotFound
from privyseal.model.authority import CaRecord, CaState
from privyseal.model.gate import GateName
from privyseal.model.revocation import CrlReason

_DRY_RUN: Final = click.option("--dry-run", is_flag=True, help="Only show what would happen.")
_VERSION: Final = click.option("--version", "version", type=click.IntRange(1, 9999), metavar="N", help="Which version.")


def _done(session: Session, name: str, given: Mapping[str, Any], dry_run: bool, *, keys: bool = False) -> bool:
    """Submit; True when it was done. Options that were not given are left out."""
    parameters = {key: value for key, value in given.items() if value is not None}
    with session.application(keys=keys and not dry_run) as application:
        result = submit(session, application, name, parameters, dry_run=dry_run)
        if result is None:
            return False
        show_item(session, result)
        return True


def _number(version: int | None) -> str | None:
    return None if version is None else str(version)


@verb("pause", examples=("ca pause contoso-issuing", "ca pause contoso-issuing --dry-run"))
@click.argument("name")
@_DRY_RUN
def pause(session: Session, name: str, dry_run: bool) -> None:
    """Let a CA issue nothing for now. Its CRL and OCSP answers go on, and what it issued stays good.

    Requests by SCEP are refused with code 6109 until it is resumed; their challenges are not used up.
    """
    if _done(session, "ca.pause", {"name": name}, dry_run):
        session.done(f"paused CA {name}", after=f"privyseal ca resume {name}")


@verb("resume", examples=("ca resume contoso-issuing",))
@click.argument("name")
@_DRY_RUN
def resume(session: Session, name: str, dry_run: bool) -> None:
    """Let a paused CA issue again, for all profiles that name it."""
    if _done(session, "ca.resume", {"name": name}, dry_run):
        session.done(f"resumed CA {name}")


@verb(
    "revoke",
    examples=(
        "ca revoke contoso-issuing --dry-run",
        "ca revoke contoso-issuing --reason ca-compromise --with-live-certificates",
    ),
)
@click.argument("name")
@_VERSION
@click.option(
    "--reason",
    type=REASON,
    default=CrlReason.CESSATION_OF_OPERATION.label,
    show_default=True,
    help="RFC 5280 reason.",
)
@click.option("--with-live-certificates", "override", is_flag=True, help="Accept that what it signed is worthless.")
@_DRY_RUN
def revoke(session: Session, name: str, version: int | None, reason: str, override: bool, dry_run: bool) -> None:
    """Revoke a CA for good: the CRL of the CA above lists it at once.

    Refused while certificates or CAs below it are alive, unless you accept that they become worthless. Its
    own CRL and OCSP answers go on until its end. A root cannot be revoked.
    """
    given = {"name": name, "version": _number(version), "reason": reason, "override": override}
    if _done(session, "ca.revoke", given, dry_run, keys=True):
        session.done(f"revoked CA {name}", after=f"privyseal ca delete {name} --dry-run")


@verb("delete", examples=("ca delete contoso-issuing --version 1 --dry-run", "ca delete contoso-issuing --version 1"))
@click.argument("name")
@_VERSION
@_DRY_RUN
def delete(session: Session, name: str, version: int | None, dry_run: bool) -> None:
    """Delete a CA version that is revoked, retired or expired, and destroy its key. The root goes last.

    Refused while a certificate of it has not ended or a CA below it is not deleted. Records of its
    certificates and CRL numbers stay; its URLs no longer answer. Also forgets a request that waits outside.
    """
    if _done(session, "ca.delete", {"name": name, "version": _number(version)}, dry_run, keys=True):
        session.done(f"deleted CA {name}")


@verb("renew", examples=("ca renew contoso-issuing", "ca renew contoso-root --same-key --dry-run"))
@click.argument("name")
@click.option("--same-key", is_flag=True, help="Keep the key, where clients pin it. The default is a new one.")
@_DRY_RUN
def renew(session: Session, name: str, same_key: bool, dry_run: bool) -> None:
    """Make the next version of a CA, staged: nothing changes for devices until it is activated.

    A staged version has a URL for tests below each profile's own, issues at most 50 test certificates, and
    is retired after 90 days. Roots of two versions certify each other. A CA that was signed outside gets a
    request, which `ca csr` writes.
    """
    if _done(session, "ca.renew", {"name": name, "same_key": same_key}, dry_run, keys=True):
        session.done(f"staged the next version of CA {name}", after=f"privyseal ca rollover {name}")


@verb("rollover", examples=("ca rollover contoso-issuing", "ca rollover contoso-issuing -o json"))
@click.argument("name")
def rollover(session: Session, name: str) -> None:
    """Look at every gate of a staged version, from outside, and show the evidence.

    Gates: chain, cross certificates of roots, CRL, OCSP and AIA over HTTP, every controller of a directory
    where the CA is published, a test certificate. The exit code is 1 until all have passed.
    """
    with session.application() as application:
        record = _staged(application.authorities.all(), name, None)
        gates = asyncio.run(authority_office(application).gates(record))
    items = [{"gate": gate.name.value, "passed": gate.passed, "evidence": gate.evidence} for gate in gates]
    show_list(session, items, ("gate", "passed", "evidence"))
    passed = sum(gate.passed for gate in gates)
    if passed < len(gates):
        session.say(f"CA {name} v{record.version}: {passed} of {len(gates)} gates passed")
        click.get_current_context().exit(Exit.FAILED)
    session.done(
        f"CA {name} v{record.version}: all {passed} gates passed",
        after=f"privyseal ca activate {name} --version {record.version}",
    )


def _staged(records: tuple[CaRecord, ...], name: str, version: int | None) -> CaRecord:
    found = [
        record
        for record in records
        if record.name == name and record.state is CaState.STAGED and version in (None, record.version)
    ]
    if not found:
        raise NotFound(
            f"CA {name!r} has no staged version" + ("" if version is None else f" {version}"),
            mend=(f"make one: privyseal ca renew {name}", f"privyseal ca get {name}"),
        )
    return found[-1]


@verb(
    "activate",
    examples=(
        "ca activate contoso-issuing --version 2",
        "ca activate contoso-issuing --version 2 --accept test --dry-run",
    ),
)
@click.argument("name")
@_VERSION
@click.option(
    "--accept",
    multiple=True,
    type=click.Choice([gate.value for gate in GateName]),
    help="Go on although this gate has not passed; the audit trail keeps it. Repeatable.",
)
@_DRY_RUN
def activate(session: Session, name: str, version: int | None, accept: tuple[str, ...], dry_run: bool) -> None:
    """Put a staged version in force, once every gate has passed. The older one is superseded.

    Enrollment URLs stay. The superseded version keeps its CRL and OCSP answers until its last certificate
    has ended, then it is retired by itself. For 30 days `ca rollback` leads back.
    """
    with session.application() as application:
        record = _staged(application.authorities.all(), name, version)
        if not dry_run:
            gates = asyncio.run(authority_office(application).gates(record))
            closed = [gate for gate in gates if not gate.passed and gate.name.value not in accept]
            if closed:
                raise GatesNotPassed(
                    f"CA {name} v{record.version}: "
                    + "; ".join(f"{gate.name.value}: {gate.evidence}" for gate in closed)
                )
    given = {"name": name, "version": str(record.version), "accept": list(accept)}
    if _done(session, "ca.activate", given, dry_run):
        session.done(f"CA {name} v{record.version} is in force", after=f"privyseal ca get {name}")


@verb("rollback", examples=("ca rollback contoso-issuing --dry-run", "ca rollback contoso-issuing"))
@click.argument("name")
@_DRY_RUN
def rollback(session: Session, name: str, dry_run: bool) -> None:
    """Put the version that was superseded last in force again, within 30 days.

    Certificates of the newer version stay good: it keeps CRL and OCSP answers for them.
    """
    if _done(session, "ca.rollback", {"name": name}, dry_run):
        session.done(f"rolled CA {name} back", after=f"privyseal ca get {name}")
