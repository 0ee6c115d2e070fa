# SPDX-License-Identifier: Apache-2.0
"""``privyseal certificate issue|revoke``. A private key goes to a file for its owner only, never to output."""

from __future__ import annotations

import asyncio
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from privyseal.adapters.keys_subscriber import certification_request, key_pem, make_key
from privyseal.bootstrap import Application
from privyseal.cli.certificates import certificate_item, find
from privyseal.cli.entities import refuse_disabled
from privyseal.cli.inspecting import describe_certificate
from privyseal.cli.output import moment, pem, show_item, write_text
from privyseal.cli.profiles import chosen_entity
from privyseal.cli.session import Session
from privyseal.cli.values import REASON, read_given, write_result
from privyseal.cli.verb import verb
from privyseal.errors import InvalidValue, NameTaken
from privyseal.model.certificate import CertificateKind, format_serial
from privyseal.model.revocation import CrlReason
from privyseal.x509.certificate import read_certificate
from privyseal.x509.csr import parse_request


@verb(
    "issue",
    outputs=("table", "json", "pem"),
    examples=(
        "certificate issue --profile wifi-device --device LAPTOP-042 --csr laptop.csr -o pem",
        "certificate issue --profile wifi-device --device LAPTOP-042 --out ./laptop",
    ),
)
@click.option("--profile", required=True, metavar="NAME", help="The rules; names come from it as well.")
@click.option("--device", metavar="NAME", help="The device it is for.")
@click.option("--user", metavar="NAME", help="The user it is for.")
@click.option("--csr", metavar="FILE", help="Certification request (PEM or DER); - is standard input.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where key, certificate and chain go.")
def issue(
    session: Session, profile: str, device: str | None, user: str | None, csr: str | None, out: Path | None
) -> None:
    """Issue a certificate to a device or user that you vouch for; no challenge and no approval is asked for.

    With --csr only the key of the request counts. Without it a key is made and written to --out, readable
    by you alone; no copy is kept. A file that exists is never overwritten.
    """
    if csr is None and out is None:
        raise click.UsageError("say --csr FILE, or --out DIR to have a key made", click.get_current_context())
    with session.application(keys=True) as application:
        form = application.catalog.form(profile)
        entity = application.entities.named(*chosen_entity(device, user))
        refuse_disabled(entity)
        files = None if out is None else _Files(out, entity.name)
        if csr is not None:
            request = parse_request(read_given(csr), allow_sha1=form.profile.scep.legacy_devices)
        else:
            key = make_key(form.profile.key_rules)
            request = parse_request(certification_request(key))
            if files is not None:
                # The key first: a certificate whose key was lost in a full disk would be worthless.
                files.write_key(key_pem(key))
        work = application.registration.issue_for(entity, profile, request, requester=session.actor)
        granted = asyncio.run(work)
        chain = "".join(pem(issuer.record.certificate) for issuer in application.catalog.chain(form.issuer))
    if files is not None:
        files.write_certificates(pem(granted.certificate), chain)
    view = read_certificate(granted.certificate)
    if session.output == "pem":
        write_text(pem(granted.certificate) + chain)
    else:
        written = [] if files is None else files.written
        show_item(session, {**describe_certificate(view), "remark": granted.remark or None, "files": written})
    serial = format_serial(view.serial)
    session.done(
        f"issued certificate {serial} to {entity.kind.value} {entity.name}", after=f"privyseal certificate get {serial}"
    )
    if granted.remark:
        session.say(f"  note  {granted.remark}")


class _Files:
    """The files of one issued certificate. Refuses at once when one of them is there already (NameTaken)."""

    def __init__(self, directory: Path, name: str) -> None:
        stem = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".") or "certificate"
        self._directory = directory
        self._key = directory / f"{stem}.key"
        self._certificate = directory / f"{stem}.pem"
        self._chain = directory / "chain.pem"
        self.written: list[str] = []
        for path in (self._key, self._certificate):
            if path.exists():
                raise NameTaken(f"{path} exists already", mend=("choose another directory with --out",))
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidValue(f"{directory} cannot be made: {error.strerror}") from error

    def write_key(self, content: bytes) -> None:
        """Write the key, readable by its owner only, and on disk when this returns."""
        descriptor = os.open(self._key, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        self.written.append(str(self._key))

    def write_certificates(self, certificate: str, chain: str) -> None:
        """Write certificate and chain."""
        for path, text in ((self._certificate, certificate), (self._chain, chain)):
            write_result(path, text.encode())
            self.written.append(str(path))


@verb(
    "revoke",
    examples=(
        "certificate revoke 6b0307b6c623e0fe7010ddd2bfc2f253 --reason key-compromise",
        "certificate revoke laptop.pem --reason superseded -o json",
    ),
)
@click.argument("serial", metavar="SERIAL|FILE")
@click.option("--reason", type=REASON, default=CrlReason.UNSPECIFIED.label, show_default=True, help="RFC 5280 reason.")
@click.option("--invalid-since", metavar="TIME", help="Since when the key is thought to be bad: 2026-01-31T12:00:00Z.")
@click.option("--ca", metavar="CA", help="When several CAs used the serial.")
def revoke(session: Session, serial: str, reason: str, invalid_since: str | None, ca: str | None) -> None:
    """Revoke a certificate for good and publish a new CRL at once; OCSP says so from the same moment.

    A relying party that holds an older CRL goes on accepting the certificate until that CRL ends. A device
    that is still enabled can enroll again: disable it as well if it should not. A CA whose own certificate is
    revoked is retired: it issues nothing more.
    """
    since = None if invalid_since is None else _time(invalid_since)
    with session.application(keys=True) as application:
        if since is not None and since > application.clock.now():
            raise InvalidValue(
                f"--invalid-since {moment(since)} lies ahead; a key is bad since some moment in the past"
            )
        issuer, record = find(application, serial, ca=ca)
        before = application.status_book.latest_crl(issuer.id)
        published = asyncio.run(
            application.status.revoke(
                issuer,
                record.serial,
                signer=application.catalog.signer(issuer.id),
                reason=CrlReason.parse(reason),
                invalid_since=since,
                actor=session.actor,
            )
        )
        item = _revoked(application, serial=format_serial(record.serial), ca=issuer.record.name)
        item |= {"crl_number": published.number, "crl_next_update": moment(published.next_update)}
        if before is not None:
            item |= {"older_crl_number": before[0], "older_crl_good_until": moment(before[2])}
        show_item(session, item)
    session.done(f"revoked {item['serial']}; CRL {published.number} of {issuer.record.name} says so")
    if before is not None:
        session.say(f"  note  who holds CRL {before[0]} accepts it until {moment(before[2])}")
    if record.kind is CertificateKind.CA:
        session.say("  note  the CA is retired: it issues nothing more; its CRL and OCSP answers go on")
    session.say(f"  next  privyseal certificate status {item['serial']}")


def _revoked(application: Application, *, serial: str, ca: str) -> dict[str, Any]:
    _, record = find(application, serial, ca=ca)
    item = certificate_item(application, record)
    return {name: item[name] for name in ("serial", "ca", "status", "subject", "entity", "revoked_at", "reason")}


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
        # Without a zone it is UTC, as everything here.
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidValue(f"time {text!r} is not like 2026-01-31T12:00:00Z") from error
