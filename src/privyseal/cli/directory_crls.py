# SPDX-License-Identifier: Apache-2.0
"""``privyseal directory publish-crl``: CRLs for members that read them by LDAP, base and delta together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
from privyseal.model.authority import CaRecord
from privyseal.model.crl import CrlScope
from privyseal.x509.certificate import read_certificate

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

    Older ones are replaced. Certificates of ours name CRLs by HTTP, so this is needed only where something looks into
    the directory; run it after each publication that shall be seen there.
    """
    with session.application() as application:
        record = application.authorities.get(ca)
        crls = crls_in_force(application, record)
        config = chosen_directory(application, directory)
        port = open_first(config)
        try:
            name = ca_name(read_certificate(record.certificate))
            planned = service_of(application).plan_crls(port, crls, name=name, host=host)
            run = Run(session, application, config=config, port=port, undo_file=undo_file)
            applied = run.carry_out(planned, targets=(), agreed=agreed, yes=yes)
            if applied is not None:
                run.look_elsewhere(applied)
        finally:
            port.close()


def crls_in_force(application: Application, record: CaRecord) -> list[bytes]:
    """The base and, where there is one, the delta. Raises ShardsNotForDirectory, NotFound before the first."""
    if record.crl.shards:
        raise ShardsNotForDirectory(f"CA {record.name} v{record.version} publishes {record.crl.shards} shards")
    issuer = next(issuer for issuer in application.catalog.issuers() if issuer.record.id == record.id)
    found = [application.crls.in_force(issuer.id, scope) for scope in issuer.crl_scopes]
    if found[0] is None:
        raise NotFound(f"CA {record.name} has no CRL yet", mend=("privyseal serve makes one",))
    return [application.crls.encoded(issuer.id, facts.number) for facts in found if facts is not None]


def crl_rows(application: Application, views: Sequence[ControllerView]) -> list[dict[str, Any]]:
    """Every CRL that stands in the CDP container, on each controller."""
    ours = {issuer.view.subject: _in_force(application, issuer) for issuer in application.catalog.issuers()}
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
