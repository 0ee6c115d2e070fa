# SPDX-License-Identifier: Apache-2.0
"""``privyseal certificate revoke|release``: who would accept the certificate until when, and a proof from outside."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any, Final

import click
from cryptography import x509

from privyseal.adapters.relying_party import check_crl, check_delta, check_ocsp
from privyseal.administration.revocation import (
    ReleaseCertificate,
    RevokeCertificate,
    check_not_final,
    check_on_hold,
)
from privyseal.bootstrap import Application
from privyseal.ca.issuer import Issuer
from privyseal.cli import remote
from privyseal.cli.acts import submit
from privyseal.cli.certificates import certificate_item, find
from privyseal.cli.output import moment, show_item
from privyseal.cli.session import Session
from privyseal.cli.values import REASON
from privyseal.cli.verb import verb
from privyseal.endpoints.ocsp import VALIDITY
from privyseal.errors import InvalidValue, RevocationNotSeen
from privyseal.model.certificate import CertificateRecord, format_serial
from privyseal.model.crl import CrlFacts
from privyseal.model.revocation import CrlReason
from privyseal.status.forecast import Forecast, forecast

_CA = click.option("--ca", metavar="CA", help="When several CAs used the serial.")
_PROVE = click.option("--prove", is_flag=True, help="Then fetch CRL and OCSP answer from the public URL and look.")
_PROVE_SECONDS: Final = 30.0
_SHOWN: Final = 20


@verb(
    "revoke",
    examples=(
        "certificate revoke 6b0307b6c623e0fe7010ddd2bfc2f253 --reason key-compromise --dry-run",
        "certificate revoke laptop.pem --reason superseded -o json",
        "certificate revoke laptop.pem --reason certificate-hold --prove",
    ),
)
@click.argument("serial", metavar="SERIAL|FILE")
@click.option("--reason", type=REASON, default=CrlReason.UNSPECIFIED.label, show_default=True, help="RFC 5280 reason.")
@click.option("--invalid-since", metavar="TIME", help="Since when the key is thought to be bad: 2026-01-31T12:00:00Z.")
@_CA
@click.option("--block/--no-block", default=None, help="Keep the device or user out, or let it enroll again.")
@click.option("--dry-run", is_flag=True, help="Only say until when relying parties would accept it.")
@_PROVE
def revoke(
    session: Session,
    serial: str,
    reason: str,
    invalid_since: str | None,
    ca: str | None,
    block: bool | None,
    dry_run: bool,
    prove: bool,
) -> None:
    """Revoke a certificate for good and publish a new CRL at once; OCSP says so from the same moment.

    With reason certificate-hold it can be released again. A relying party that holds an older CRL goes on accepting
    the certificate until that CRL ends. Without --block or --no-block the reason decides whether the device may
    enroll again by the same profile: unspecified and superseded let it, every other reason keeps it out until
    `device unblock` or `user unblock`. A CA is revoked by `ca revoke`.
    """
    since = None if invalid_since is None else _time(invalid_since)
    if session.remote() is not None and not (dry_run or prove):
        remote.revoke_certificate(session, serial, ca=ca, reason=reason, since=since, block=block)
        return
    with session.application(keys=not dry_run) as application:
        if since is not None and since > application.clock.now():
            raise InvalidValue(
                f"--invalid-since {moment(since)} lies ahead; a key is bad since some moment in the past"
            )
        issuer, record = find(application, serial, ca=ca)
        out_there = _forecast(application, issuer, record)
        check_not_final(record, CrlReason.parse(reason))
        if dry_run:
            show_item(session, {**_shown(application, issuer, record), **_forecast_item(out_there)})
            _say_forecast(session, out_there)
            return
        asked = {
            "serial": format_serial(record.serial),
            "ca": issuer.record.name,
            "reason": reason,
            "invalid_since": "" if since is None else since.isoformat(),
            "block": "default" if block is None else "yes" if block else "no",
        }
        signer = application.catalog.signer(issuer.id)
        done = submit(session, application, RevokeCertificate.name, asked)
        published = asyncio.run(application.status.told(issuer, signer, record.serial))
        item = _shown(application, issuer, record) | _published_item(published) | _forecast_item(out_there)
        proof = _prove(application, issuer, record, revoked=True) if prove else None
        show_item(session, item | (proof or {}))
    session.done(f"revoked {item['serial']}; CRL {published.number} of {issuer.record.name} says so")
    _say_forecast(session, out_there)
    if proof is not None:
        session.say(f"  note  the public URLs show it since {proof['seen_at']}")
    if done is not None and done["blocked"]:
        session.say(f"  note  {record.entity} gets no further certificate of {record.profile} until it is unblocked")
    session.say(f"  next  privyseal certificate status {item['serial']}")


@verb("release", examples=("certificate release 6b0307b6c623e0fe7010ddd2bfc2f253", "certificate release laptop.pem"))
@click.argument("serial", metavar="SERIAL|FILE")
@_CA
@_PROVE
def release(session: Session, serial: str, ca: str | None, prove: bool) -> None:
    """End a hold: the certificate is good again. OCSP says so at once, and the next CRL leaves it out.

    The device or user may enroll again, unless another revocation keeps it out. Delta CRLs say removeFromCRL.

    Only reason certificate-hold can be released; every other revocation is final.
    """
    with session.application(keys=True) as application:
        issuer, record = find(application, serial, ca=ca)
        signer = application.catalog.signer(issuer.id)
        check_on_hold(record)
        asked = {"serial": format_serial(record.serial), "ca": issuer.record.name}
        submit(session, application, ReleaseCertificate.name, asked)
        published = asyncio.run(application.status.told(issuer, signer, record.serial))
        item = _shown(application, issuer, record) | _published_item(published)
        proof = _prove(application, issuer, record, revoked=False) if prove else {}
        show_item(session, item | proof)
    session.done(f"released {item['serial']}; CRL {published.number} of {issuer.record.name} says so")
    session.say("  note  who holds an older CRL refuses it until that one ends, or looks for a newer one")


def _forecast(application: Application, issuer: Issuer, record: CertificateRecord) -> Forecast:
    now = application.clock.now()
    shard = issuer.record.crl.shard_of(record.serial)
    good = application.crls.still_good(issuer.id, shard, now=now)
    return forecast(good, now=now, ocsp_validity=VALIDITY, not_after=record.not_after)


def _forecast_item(found: Forecast) -> dict[str, Any]:
    bases = [held for held in found.crls if not held.delta]
    item: dict[str, Any] = {}
    if bases:
        item = {"older_crl_number": bases[0].number, "older_crl_good_until": moment(bases[0].accepted_until)}
    return item | {
        "held_crls": [
            {
                "number": held.number,
                "kind": "delta" if held.delta else "base",
                "accepted_until": moment(held.accepted_until),
            }
            for held in found.crls[:_SHOWN]
        ],
        "crl_accepted_until": found.crl_until and moment(found.crl_until),
        "delta_crl_accepted_until": found.delta_until and moment(found.delta_until),
        "ocsp_accepted_until": moment(found.ocsp_until),
        "accepted_until": moment(found.everybody),
    }


def _say_forecast(session: Session, found: Forecast) -> None:
    for held in found.crls[:3]:
        kind = "delta CRL" if held.delta else "CRL"
        session.say(f"  note  who holds {kind} {held.number} accepts it until {moment(held.accepted_until)}")
    if len(found.crls) > 3:
        session.say(f"  note  {len(found.crls) - 3} older CRLs are still good as well")
    session.say(f"  note  who keeps an OCSP answer accepts it until {moment(found.ocsp_until)}")


def _published_item(published: CrlFacts) -> dict[str, Any]:
    kind = "base" if published.base_number is None else "delta"
    return {
        "crl_number": published.number,
        "crl_kind": kind,
        "crl_next_update": moment(published.next_update),
    }  # fmt: skip


def _shown(application: Application, issuer: Issuer, record: CertificateRecord) -> dict[str, Any]:
    _, now = find(application, format_serial(record.serial), ca=issuer.record.name)
    item = certificate_item(application, now)
    return {name: item[name] for name in ("serial", "ca", "status", "subject", "entity", "revoked_at", "reason")}


def _prove(application: Application, issuer: Issuer, record: CertificateRecord, *, revoked: bool) -> dict[str, Any]:
    """What a relying party gets now, from the URLs that the certificate names. Raises RevocationNotSeen."""
    certificate = x509.load_der_x509_certificate(application.certificates.encoded(record.id))
    parent = x509.load_der_x509_certificate(issuer.view.encoded)
    began = time.monotonic()
    while True:
        now = application.clock.now()
        ocsp, crl = check_ocsp(certificate, parent, now=now), check_crl(certificate, parent, now=now)
        delta = check_delta(certificate, parent, crl, now=now)
        told = crl.lists_it if delta is None else delta.lists_it or (revoked and crl.lists_it)
        if told is revoked and (ocsp.status == "revoked") is revoked:
            return {
                "seen_at": moment(now),
                "seen_ocsp": ocsp.status,
                "seen_crl_number": crl.number,
                "seen_delta_crl_number": delta and delta.number,
            }
        if time.monotonic() - began > _PROVE_SECONDS:
            raise RevocationNotSeen(
                f"after {_PROVE_SECONDS:.0f} s {ocsp.url} answers {ocsp.status}, and CRL {crl.number} at {crl.url} "
                f"{'lists' if crl.lists_it else 'does not list'} the certificate"
            )
        time.sleep(1)


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
        # Without a zone it is UTC, as everything here.
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidValue(f"time {text!r} is not like 2026-01-31T12:00:00Z") from error
