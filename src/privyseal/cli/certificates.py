# SPDX-License-Identifier: Apache-2.0
"""``privyseal certificate list|get|status``: the inventory, read only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from privyseal.bootstrap import Application
from privyseal.ca.issuer import Issuer
from privyseal.cli.inspecting import describe_certificate, first_certificate
from privyseal.cli.output import moment, pem, show_item, show_list, write_text
from privyseal.cli.session import Session
from privyseal.cli.values import read_given
from privyseal.cli.verb import verb
from privyseal.errors import InvalidValue, NotFound, NotIssued
from privyseal.model.certificate import (
    CertificateKind,
    CertificateRecord,
    CertificateStatus,
    format_serial,
    parse_serial,
)
from privyseal.store.queries import STATUSES, CertificateFilter, list_certificates, status_word
from privyseal.x509.certificate import read_certificate

_FILE_LIMIT = 1 << 20


def certificate_item(application: Application, record: CertificateRecord) -> dict[str, Any]:
    """One row of the inventory with stable field names."""
    revocation = record.revocation
    return {
        "id": record.id,
        "serial": format_serial(record.serial),
        "ca": record.issuer,
        "kind": record.kind.value,
        "status": status_word(record, application.clock.now()),
        "subject": record.subject,
        "san": record.san or None,
        "profile": record.profile or None,
        "profile_revision": record.profile_revision or None,
        "entity": record.entity or None,
        "not_before": moment(record.not_before),
        "not_after": moment(record.not_after),
        "protocol": record.protocol,
        "requester": record.requester,
        "revoked_at": revocation and moment(revocation.at),
        "reason": revocation and revocation.reason.label,
        "invalid_since": revocation and revocation.invalid_since and moment(revocation.invalid_since),
    }


@verb(
    "list",
    examples=(
        "certificate list",
        "certificate list --status expiring --profile wifi-device",
        "certificate list --device LAPTOP-042 -o json",
        "certificate list --text contoso.com --limit 200",
    ),
)
@click.option("--profile", default="", metavar="NAME", help="Only of this profile.")
@click.option("--status", type=click.Choice(STATUSES), help="expiring: the last fifth of its life.")
@click.option("--device", metavar="NAME", help="Only of this device.")
@click.option("--user", metavar="NAME", help="Only of this user.")
@click.option("--text", default="", metavar="TEXT", help="Occurs in subject, SAN or entity name.")
@click.option("--kind", type=click.Choice([kind.value for kind in CertificateKind]), help="Default: all kinds.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many.")
@click.option("--before", type=click.IntRange(0), default=0, metavar="ID", help="Begin below this id.")
def list_all(
    session: Session,
    profile: str,
    status: str | None,
    device: str | None,
    user: str | None,
    text: str,
    kind: str | None,
    limit: int,
    before: int,
) -> None:
    """List certificates, newest first, a page at a time. CA, RA and OCSP certificates are listed as well."""
    if device is not None and user is not None:
        raise click.UsageError("say --device or --user, not both", click.get_current_context())
    named = device if device is not None else user
    wanted = CertificateFilter(
        profile=profile,
        status=status or "",
        kind=kind or "",
        entity_kind="" if named is None else "device" if device is not None else "user",
        entity=named or "",
        text=text,
    )
    with session.application() as application:
        now = application.clock.now()
        records = list_certificates(application.database, wanted, before=before, limit=limit, now=now)
        items = [certificate_item(application, record) for record in records]
        show_list(session, items, ("serial", "status", "subject", "ca", "profile", "entity", "not_after"))
        if len(records) == limit:
            session.say(f"  more  add --before {records[-1].id}")


@verb(
    "get",
    outputs=("table", "json", "pem"),
    examples=("certificate get 6a0f3c...e1", "certificate get laptop.pem", "certificate get 6a0f3c...e1 -o pem"),
)
@click.argument("serial", metavar="SERIAL|FILE")
@click.option("--ca", metavar="CA", help="When several CAs used the serial.")
def get(session: Session, serial: str, ca: str | None) -> None:
    """Show what is known of a certificate: by its serial, or by a file that holds it."""
    with session.application() as application:
        _, record = find(application, serial, ca=ca)
        if session.output == "pem":
            write_text(pem(application.certificates.encoded(record.id)))
            return
        item = certificate_item(application, record)
        if record.status is not CertificateStatus.RESERVED:
            item["decoded"] = describe_certificate(read_certificate(application.certificates.encoded(record.id)))
        if session.output == "table":
            item |= {name: value for name, value in item.pop("decoded", {}).items() if name not in item}
        show_item(session, item)


@verb("status", examples=("certificate status 6a0f3c...e1", "certificate status laptop.pem -o json"))
@click.argument("serial", metavar="SERIAL|FILE")
@click.option("--ca", metavar="CA", help="When several CAs used the serial.")
def status(session: Session, serial: str, ca: str | None) -> None:
    """Say whether a certificate is good, from the same rows that OCSP and CRL answer from."""
    with session.application() as application:
        issuer, record = find(application, serial, ca=ca)
        latest = application.status_book.latest_crl(issuer.id)
        item = certificate_item(application, record)
        kept = ("serial", "ca", "status", "subject", "not_after", "revoked_at", "reason", "invalid_since")
        shown = {name: item[name] for name in kept}
        shown |= {
            "crl_number": latest and latest[0],
            "crl_next_update": latest and moment(latest[2]),
            "crl_url": issuer.urls.crl,
            "ocsp_url": issuer.urls.ocsp,
        }
        show_item(session, shown)


def find(application: Application, given: str, *, ca: str | None) -> tuple[Issuer, CertificateRecord]:
    """The certificate of a serial, or of a file, under one of our CAs. Raises NotIssued, NotFound, InvalidValue."""
    issuers = application.catalog.issuers()
    path = Path(given)
    if path.is_file():
        view = first_certificate(read_given(path, limit=_FILE_LIMIT))
        number = view.serial
        issuers = tuple(issuer for issuer in issuers if issuer.view.subject == view.issuer)
    else:
        number = parse_serial(given)
    if ca is not None:
        issuers = tuple(issuer for issuer in issuers if issuer.record.name == ca)
        if not issuers:
            raise NotFound(f"there is no CA {ca!r} that could have issued it", mend=("privyseal ca list",))
    found = [
        (issuer, record)
        for issuer in issuers
        if (record := application.certificates.by_serial(issuer.id, number)) is not None
    ]
    if not found:
        raise NotIssued(f"no certificate has serial {format_serial(number)}")
    if len(found) > 1:
        names = ", ".join(issuer.record.name for issuer, _ in found)
        raise InvalidValue(f"serial {format_serial(number)} was issued by {names}", mend=("say which: --ca NAME",))
    return found[0]
