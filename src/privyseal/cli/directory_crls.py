# SPDX-License-Identifier: Apache-2.0
"""``privyseal directory publish-crl``: CRLs for members that read them by LDAP, base and delta together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import click

from privyseal.bootstrap import Application
from privyseal.bootstrap.directory import open_first
from privyseal.ca.issuer import Issuer
from privyseal.cli.directory import chosen_directory
from privyseal.cli.directory_publish import PLAN, UNDO, YES, Run, service_of
from privyseal.cli.output import moment
from privyseal.cli.session import Session
from privyseal.cli.verb import verb
from privyseal.directory.crl_status import InForce, classify_crls
from privyseal.directory.desired import ca_name
from privyseal.directory.status import ControllerView
from privyseal.errors import NotFound, ShardsNotForDirectory
from privyseal.model.authority import IN_FORCE, CaRecord, CaState
from privyseal.model.crl import CrlScope
from privyseal.x509.certificate import read_certificate

STATUS_GOES_ON: Final = IN_FORCE | {CaState.STAGED, CaState.SUPERSEDED}
CRL_COLUMNS = ("controller", "owner", "kind", "number", "next_update", "problems", "dn")


@verb(
    "publish-crl",
    examples=("directory publish-crl --ca contoso-issuing --host pki", "directory publish-crl --ca contoso-root --yes"),
)
@click.option("--ca", "ca", required=True, metavar="CA", help="The CA whose CRLs in force are published.")
@click.option("--host", default="privyseal", show_default=True, metavar="NAME", help="The container within CDP.")
@click.option("--directory", "directory", metavar="NAME", help="Default: the only one that is known.")
@PLAN
@YES
@UNDO
def publish_crl(
    session: Session,
    ca: str,
    host: str,
    directory: str | None,
    agreed: str | None,
    yes: bool,
    undo_file: str | None,
) -> None:
    """Put a CA's CRL in force, and its delta CRL, into the CDP container, for members that read CRLs by LDAP.

    Older ones are replaced. A CA whose key was changed has one place for each key, as in AD CS: NAME, NAME(1) and
    so on. Certificates of ours name CRLs by HTTP, so this is needed only where something looks into the directory;
    run it after each publication that shall be seen there.
    """
    with session.application() as application:
        places = crl_places(application, ca)
        if agreed is not None and len(places) > 1:
            raise click.UsageError(f"--plan is for one plan; CA {ca} has {len(places)} keys, and a plan for each")
        config = chosen_directory(application, directory)
        port = open_first(config)
        try:
            run = Run(session, application, config=config, port=port, undo_file=undo_file)
            for place in places:
                planned = service_of(application).plan_crls(
                    port, place.crls, name=place.name, host=host, key_index=place.key_index
                )
                applied = run.carry_out(planned, targets=(), agreed=agreed, yes=yes)
                if applied is not None:
                    run.look_elsewhere(applied)
        finally:
            port.close()


@dataclass(frozen=True, slots=True)
class CrlPlace:
    """The CRLs in force of one key of a CA, and what its place in the CDP container is called."""

    name: str
    key_index: int
    crls: tuple[bytes, ...]


def crl_places(application: Application, ca: str) -> tuple[CrlPlace, ...]:
    """One for each key of a CA whose certificates live. Raises ShardsNotForDirectory, NotFound before the first CRL."""
    current = application.authorities.get(ca)
    first: dict[int, CaRecord] = {}
    for record in application.authorities.all():
        if record.name == ca:
            first.setdefault(record.books, record)
    living = {
        record.books for record in application.authorities.all() if record.name == ca and record.state in STATUS_GOES_ON
    } | {current.books}
    found = []
    for books in sorted(living):
        crls = _crls_in_force(application, first[books])
        if crls:
            name = ca_name(read_certificate(first[books].certificate))
            found.append(CrlPlace(name, first[books].version - 1, crls))
    if not found:
        raise NotFound(f"CA {ca} has no CRL yet", mend=("privyseal serve makes one",))
    return tuple(found)


def _crls_in_force(application: Application, record: CaRecord) -> tuple[bytes, ...]:
    """The base and, where there is one, the delta; empty before the first."""
    if record.crl.shards:
        raise ShardsNotForDirectory(f"CA {record.name} v{record.version} publishes {record.crl.shards} shards")
    issuer = next(issuer for issuer in application.catalog.issuers() if issuer.record.id == record.id)
    found = [application.crls.in_force(issuer.id, scope) for scope in issuer.crl_scopes]
    if found[0] is None:
        return ()
    return tuple([application.crls.encoded(issuer.id, facts.number) for facts in found if facts is not None])


def crl_rows(application: Application, views: Sequence[ControllerView]) -> list[dict[str, Any]]:
    """Every CRL that stands in the CDP container, on each controller."""
    ours = {
        (issuer.view.subject, issuer.key_identifier): _in_force(application, issuer)
        for issuer in application.catalog.issuers()
    }
    return [
        {
            "controller": view.controller,
            "owner": found.owner or "others",
            "kind": "delta" if found.delta else "base",
            "number": found.number,
            "this_update": found.this_update and moment(found.this_update),
            "next_update": found.next_update and moment(found.next_update),
            "problems": list(found.problems),
            "dn": found.dn,
        }
        for view in views
        for found in classify_crls(view, ours)
    ]


def _in_force(application: Application, issuer: Issuer) -> InForce:
    def number(scope: CrlScope) -> int | None:
        facts = application.crls.in_force(issuer.id, scope)
        return None if facts is None else facts.number

    return InForce(name=issuer.record.name, base=number(CrlScope()), delta=number(CrlScope(delta=True)))
