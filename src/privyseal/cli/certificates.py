# SPDX-License-Identifier: Apache-2.0
"""``privyseal certificate list|count|get|status``: the inventory, read only."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import click

from privyseal.bootstrap import Application
from privyseal.ca.issuer import Issuer
from privyseal.cli import remote
from privyseal.cli.inspecting import describe_certificate, first_certificate
from privyseal.cli.output import moment, pem, show_item, show_list, write_json, write_text
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
from privyseal.model.crl import CrlScope
from privyseal.model.search.grammar import parse_search
from privyseal.model.search.query import LARGEST_PAGE, Status
from privyseal.store.queries import status_word
from privyseal.x509.certificate import read_certificate
from privyseal.x509.keys import describe_key, load_public_key

_FILE_LIMIT = 1 << 20
_FROM_BYTES: Final = frozenset({"key_type", "fingerprint"})
COLUMNS: Final = (
    "id", "serial", "ca", "ca_version", "kind", "status", "subject", "san", "sid", "profile", "profile_revision",
    "entity", "not_before", "not_after", "protocol", "requester", "revoked_at", "reason", "invalid_since", "key_type",
    "fingerprint",
)  # fmt: skip


def certificate_item(application: Application, record: CertificateRecord) -> dict[str, Any]:
    """One row of the inventory with stable field names."""
    revocation = record.revocation
    return {
        "id": record.id,
        "serial": format_serial(record.serial),
        "ca": record.issuer,
        "ca_version": record.issuer_version,
        "kind": record.kind.value,
        "status": status_word(record, application.clock.now()),
        "subject": record.subject,
        "san": record.san or None,
        "sid": record.sid or None,
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


def chosen_columns(text: str | None) -> tuple[str, ...]:
    """The columns that a caller names; empty when none are. Raises InvalidValue."""
    chosen = tuple(part.strip() for part in (text or "").split(",") if part.strip())
    for name in chosen:
        if name not in COLUMNS:
            raise InvalidValue(f"column {name[:40]!r} is not one of {', '.join(COLUMNS)}")
    return chosen


def shown_item(application: Application, record: CertificateRecord, columns: tuple[str, ...]) -> dict[str, Any]:
    """The chosen columns, or all but those for which the certificate itself must be read."""
    item = certificate_item(application, record)
    if _FROM_BYTES & set(columns) and record.status is not CertificateStatus.RESERVED:
        encoded = application.certificates.encoded(record.id)
        key = load_public_key(read_certificate(encoded).spki)
        item |= {"key_type": describe_key(key), "fingerprint": sha256(encoded).hexdigest()}
    return {name: item.get(name) for name in columns} if columns else item


WHERE: Final = click.option(
    "--where", default="", metavar="SEARCH", help="A search, for example 'status:expiring ends:<30d'."
)
COLUMNS_OPTION: Final = click.option("--columns", metavar="A,B,...", help="Which columns, in this order.")
_SEARCHING: Final = ("Search", "privyseal explain search tells the language of --where. Other options only narrow it.")


@verb(
    "list",
    examples=(
        "certificate list",
        "certificate list --where 'status:expiring profile:wifi-device ends:<30d'",
        "certificate list --where '-status:revoked \"ou=sales\"' --columns serial,subject,fingerprint",
        "certificate list --device LAPTOP-042 -o json",
        "certificate list --status revoked --count",
    ),
    notes=_SEARCHING,
)
@WHERE
@click.option("--profile", metavar="NAME", help="Only of this profile.")
@click.option("--status", type=click.Choice([status.value for status in Status]), help="Only with this status.")
@click.option("--device", metavar="NAME", help="Only of this device.")
@click.option("--user", metavar="NAME", help="Only of this user.")
@click.option("--text", metavar="TEXT", help="Occurs in subject, SAN or entity name.")
@click.option("--kind", type=click.Choice([kind.value for kind in CertificateKind]), help="Default: all kinds.")
@COLUMNS_OPTION
@click.option("--count", "only_count", is_flag=True, help="Only say how many there are.")
@click.option("--limit", type=click.IntRange(1, LARGEST_PAGE), default=50, show_default=True, help="At most so many.")
@click.option("--cursor", default="", metavar="CURSOR", help="The next page, as the page before said.")
def list_all(
    session: Session, where: str, columns: str | None, only_count: bool, limit: int, cursor: str, **only: str | None
) -> None:
    """List certificates, newest first, a page at a time. CA, RA and OCSP certificates are listed as well."""
    chosen = chosen_columns(columns)
    if session.remote() is not None and not (only_count or cursor):
        shown = chosen or ("serial", "status", "subject", "ca", "profile", "entity", "not_after")
        remote.list_certificates(session, _narrowed(where, only), limit=limit, columns=shown)
        return
    with session.application() as application:
        search = parse_search(_narrowed(where, only), now=application.clock.now())
        if only_count:
            number = asyncio.run(application.inventory.count(search))
            write_json({"count": number}) if session.output == "json" else write_text(str(number))
            return
        page = application.inventory.page(search, limit=limit, cursor=cursor)
        items = [shown_item(application, record, chosen) for record in page.records]
        show_list(session, items, chosen or ("serial", "status", "subject", "ca", "profile", "entity", "not_after"))
        if page.cursor:
            session.say(f"  more  add --cursor {page.cursor}")


def _narrowed(where: str, only: Mapping[str, str | None]) -> str:
    words = [where]
    for name, value in only.items():
        if value is not None:
            quoted = value.replace("\\", "\\\\").replace('"', '\\"')
            words.append(f'{name}:"{quoted}"')
    return " ".join(words).strip()


@verb("count", examples=("certificate count", "certificate count -o json"))
def count(session: Session) -> None:
    """Count certificates by status, for each CA version: active, of these expiring, expired, revoked, all."""
    with session.application() as application:
        now = int(application.clock.now().timestamp())
        items = [
            {
                "ca": found.issuer,
                "version": found.version,
                "active": found.active,
                "expiring": found.expiring,
                "expired": found.expired,
                "revoked": found.revoked,
                "reserved": found.reserved,
                "total": found.total,
            }
            for found in asyncio.run(application.inventory.status_counts(now=now))
        ]
        show_list(session, items, ("ca", "version", "active", "expiring", "expired", "revoked", "total"))


@verb(
    "get",
    outputs=("table", "json", "pem"),
    examples=("certificate get 6a0f3c...e1", "certificate get laptop.pem", "certificate get 6a0f3c...e1 -o pem"),
)
@click.argument("serial", metavar="SERIAL|FILE")
@click.option("--ca", metavar="CA", help="When several CAs used the serial.")
def get(session: Session, serial: str, ca: str | None) -> None:
    """Show what is known of a certificate: by its serial, or by a file that holds it."""
    if session.remote() is not None:
        remote.get_certificate(session, serial, ca)
        return
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
        scope = CrlScope(shard=issuer.record.crl.shard_of(record.serial))
        latest = application.crls.in_force(issuer.id, scope)
        item = certificate_item(application, record)
        kept = ("serial", "ca", "status", "subject", "not_after", "revoked_at", "reason", "invalid_since")
        shown = {name: item[name] for name in kept}
        shown |= {
            "crl_number": latest and latest.number,
            "crl_next_update": latest and moment(latest.next_update),
            "crl_url": issuer.crl_url(scope),
            "ocsp_url": issuer.urls.ocsp,
        }
        if issuer.record.crl.delta is not None:
            delta = application.crls.in_force(issuer.id, CrlScope(delta=True))
            shown |= {
                "delta_crl_number": delta and delta.number,
                "delta_crl_next_update": delta and moment(delta.next_update),
                "delta_crl_url": issuer.urls.delta,
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
