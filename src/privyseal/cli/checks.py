# SPDX-License-Identifier: Apache-2.0
"""The checks of ``privyseal doctor``, by name, in order. Each yields findings; none changes anything."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from types import MappingProxyType
from typing import Final

from privyseal.adapters.fetch import fetch
from privyseal.adapters.keys import FileKeyStore
from privyseal.bootstrap import Application, build
from privyseal.ca.issuer import Issuer
from privyseal.cli.output import moment
from privyseal.cli.session import Session
from privyseal.config import Settings
from privyseal.errors import NotFound, PassphraseMissing, PrivysealError
from privyseal.model.authority import IN_FORCE, CaKind
from privyseal.model.certificate import CertificateKind
from privyseal.model.crl import CrlScope
from privyseal.model.delivery import IDLE, DeliveryState
from privyseal.model.profile import ChainShape
from privyseal.model.search.query import Search
from privyseal.x509.certificate import read_certificate
from privyseal.x509.spki import encode_public_key

_FREE_OCTETS: Final = 256 << 20
_EXPIRING_SHARE: Final = 0.8
_SKEW: Final = timedelta(minutes=5)
_SECONDS: Final = 5.0
_NEW_CA: Final = "CA: privyseal ca create NEW --parent PARENT, then let the profiles name it"
_SERVE: Final = "RA and OCSP: privyseal serve renews them by itself"
_EXTERNAL_WARNING: Final = timedelta(days=90)


class Level(Enum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check saw."""

    level: Level
    what: str
    why: str = ""
    mend: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Patient:
    """What checks look at. ``keys`` is the opened key store, or why there is none."""

    settings: Settings
    application: Application
    keys: FileKeyStore | PrivysealError
    now: datetime


Check = Callable[[Patient], Iterator[Finding]]


def examine(session: Session) -> Iterator[tuple[str, Finding]]:
    """Every finding with the name of its check. Stops early only where the next checks would have nothing to see."""
    try:
        settings = session.settings()
    except PrivysealError as error:
        yield "configuration", _bad(error)
        return
    yield "configuration", _ok(f"{settings.home} serves {settings.public_url}")
    try:
        application = build(settings, passphrase=None)
    except PrivysealError as error:
        yield "store", _bad(error)
        return
    try:
        patient = Patient(settings, application, _open_keys(session, settings), application.clock.now())
        for name, check in CHECKS.items():
            try:
                for finding in check(patient):
                    yield name, finding
            except PrivysealError as error:
                yield name, _bad(error)
    finally:
        application.close()


def _open_keys(session: Session, settings: Settings) -> FileKeyStore | PrivysealError:
    # Opened for the first time, a key store would be made: a doctor only looks.
    if not (settings.keys / "protection.json").exists():
        return NotFound(
            f"{settings.keys / 'protection.json'} is missing",
            why="without it no passphrase opens the keys",
            mend=("restore the directory `keys` from a backup", "privyseal init, when there are no keys yet"),
        )
    try:
        return FileKeyStore(settings.keys, session.passphrase())
    except PrivysealError as error:
        return error


def _ok(what: str) -> Finding:
    return Finding(Level.OK, what)


def _bad(error: PrivysealError, level: Level = Level.CRITICAL) -> Finding:
    return Finding(level, f"[{error.code}] {error.what}", error.why, error.mend)


def permissions(patient: Patient) -> Iterator[Finding]:
    """Nobody else can read home, keys or store."""
    settings = patient.settings
    open_to_all = [
        path
        for path in (settings.home, settings.keys, *sorted(settings.keys.glob("*.pem")))
        if path.exists() and path.stat().st_mode & 0o077
    ]
    for path in open_to_all:
        mode = "700" if path.is_dir() else "600"
        yield Finding(
            Level.CRITICAL,
            f"others can reach {path}",
            "keys and their home are for one user",
            (f"chmod {mode} {path}",),
        )
    if not open_to_all:
        yield _ok("only the owner can reach home and keys")


def passphrase(patient: Patient) -> Iterator[Finding]:
    """The passphrase opens the key store."""
    if isinstance(patient.keys, PrivysealError):
        level = Level.WARNING if isinstance(patient.keys, PassphraseMissing) else Level.CRITICAL
        yield _bad(patient.keys, level)
    else:
        yield _ok("the passphrase opens the keys")


def keys(patient: Patient) -> Iterator[Finding]:
    """Every CA, RA and OCSP key is there and belongs to its certificate."""
    if isinstance(patient.keys, PrivysealError):
        yield Finding(Level.WARNING, "not checked: the keys are locked", "see passphrase", ("name --passphrase-file",))
        return
    catalog, wanted = patient.application.catalog, list[tuple[str, str, bytes]]()
    for issuer in [one for one in _issuers(patient) if one.record.has_key]:
        wanted.append((_shown(issuer), issuer.record.key_ref, issuer.view.spki))
        for kind in (CertificateKind.RA, CertificateKind.OCSP):
            for service in catalog.services(issuer.id, kind):
                spki = read_certificate(service.certificate).spki
                wanted.append((f"the {kind.value.upper()} of {_shown(issuer)}", service.key_ref, spki))
    fitting = 0
    for owner, key_ref, spki in wanted:
        if encode_public_key(patient.keys.signer(key_ref, None).public_key) == spki:
            fitting += 1
            continue
        yield Finding(
            Level.CRITICAL,
            f"key {key_ref} is not that of {owner}",
            "the key file was exchanged: nothing that it signs would verify",
            (f"restore {key_ref}.pem from a backup",),
        )
    yield _ok(f"{fitting} of {len(wanted)} CA, RA and OCSP keys fit their certificates")


def certificates(patient: Patient) -> Iterator[Finding]:
    """CA, RA and OCSP certificates are valid and not near their end."""
    fine = True
    for issuer in _issuers(patient):
        view = issuer.view
        if issuer.record.state not in IN_FORCE:
            continue
        for finding in _end_of(_shown(issuer), view.not_before, view.not_after, now=patient.now, share=_EXPIRING_SHARE):
            fine = False
            yield finding
        kinds = [CertificateKind.OCSP]
        if issuer.record.kind is CaKind.ISSUING:
            kinds.append(CertificateKind.RA)
        for kind in kinds if issuer.record.has_key else ():
            newest = patient.application.catalog.services(issuer.id, kind)
            if not newest:
                fine = False
                yield Finding(
                    Level.CRITICAL,
                    f"{_shown(issuer)} has no valid {kind.value.upper()} certificate",
                    "it is renewed by the server, which was not running when it fell due",
                    ("privyseal serve",),
                )
            elif newest[0].not_after < view.not_after:
                ends = newest[0].not_before, newest[0].not_after
                what = f"{kind.value.upper()} certificate of {_shown(issuer)}"
                for finding in _end_of(what, *ends, now=patient.now, share=_EXPIRING_SHARE):
                    fine = False
                    yield finding
    if fine:
        yield _ok("CA, RA and OCSP certificates are valid and not near their end")


def _end_of(what: str, begins: datetime, ends: datetime, *, now: datetime, share: float) -> Iterator[Finding]:
    if not begins <= now <= ends:
        yield Finding(
            Level.CRITICAL,
            f"{what} is valid from {moment(begins)} to {moment(ends)}, not now",
            "it has expired, or this clock is wrong",
            ("check the clock", _NEW_CA, _SERVE),
        )
    elif now > begins + (ends - begins) * share:
        yield Finding(
            Level.WARNING,
            f"{what} ends {moment(ends)}",
            f"more than {share:.0%} of its life is over",
            (_NEW_CA, _SERVE),
        )


def crl(patient: Patient) -> Iterator[Finding]:
    """Every CA that signed something has CRLs that are still good. Of several bad shards one is told."""
    fine = True
    for issuer in _issuers(patient):
        if not issuer.owes_status(patient.now):
            continue
        found = next((bad for scope in issuer.crl_scopes if (bad := _crl_finding(patient, issuer, scope))), None)
        if found is not None:
            fine = False
            yield found
    if fine:
        yield _ok("every CRL is fresh")


def _crl_finding(patient: Patient, issuer: Issuer, scope: CrlScope) -> Finding | None:
    latest = patient.application.crls.in_force(issuer.id, scope)
    what = "delta CRL" if scope.delta else "CRL"
    where = f" at {issuer.crl_url(scope)}" if issuer.record.crl.shards else ""
    if latest is None or latest.next_update <= patient.now:
        ended = None if latest is None else moment(latest.next_update)
        shown = f"has no {what}" if latest is None else f"has {what} {latest.number}, which ended {ended}"
        return Finding(
            Level.CRITICAL,
            f"{_shown(issuer)} {shown}{where}",
            "relying parties that check revocation refuse every certificate of this CA",
            ("privyseal serve publishes one at once",),
        )
    every = issuer.record.crl.interval_of(delta=scope.delta)
    if patient.now >= latest.this_update + every + (latest.next_update - latest.this_update) / 10:
        return Finding(
            Level.WARNING,
            f"{what} {latest.number} of {_shown(issuer)} is overdue{where}; it ends {moment(latest.next_update)}",
            "the server that publishes it is not running, or its keys are locked",
            ("privyseal serve",),
        )
    return None


def store(patient: Patient) -> Iterator[Finding]:
    """The database is whole and has room."""
    patient.application.database.verify_integrity()
    free = shutil.disk_usage(patient.settings.home).free
    if free < _FREE_OCTETS:
        yield Finding(
            Level.WARNING,
            f"{free >> 20} MiB are free in {patient.settings.home}",
            f"below {_FREE_OCTETS >> 20} MiB; without room nothing is issued or revoked",
            ("make room",),
        )
    else:
        yield _ok(f"the database is whole; {free >> 20} MiB free")


def clock(patient: Patient) -> Iterator[Finding]:
    """The clock is not before the last event."""
    newest = patient.application.audit.page(before=0, limit=1)
    if newest and patient.now < newest[0].at - _SKEW:
        yield Finding(
            Level.CRITICAL,
            f"the clock says {moment(patient.now)}, but the last event was at {moment(newest[0].at)}",
            "the clock was set back: certificates would carry wrong times",
            ("synchronise the clock: timedatectl set-ntp true",),
        )
    else:
        yield _ok(f"the clock says {moment(patient.now)}")


def audit(patient: Patient) -> Iterator[Finding]:
    """The audit trail is a whole chain."""
    count, head = patient.application.audit.verify()
    yield _ok(f"{count} audit rows form a whole chain; head {head.hex()[:16]}")


def reservations(patient: Patient) -> Iterator[Finding]:
    """No issuance was left half done."""
    application = patient.application
    rows = application.database.read("SELECT reserved_by FROM certificates WHERE status = 'reserved'")
    left = sum(application.instance.is_gone(name) for (name,) in rows)
    if left:
        yield Finding(
            Level.WARNING,
            f"{left} certificate(s) were reserved by a process that is gone",
            "it was stopped between intent and record; a signature may exist that nobody knows",
            ("privyseal serve settles them at its start: the serials are revoked",),
        )
    else:
        total = asyncio.run(application.inventory.count(Search((), int(patient.now.timestamp()))))
        yield _ok(f"{total} certificates, none left half done")


def public_url(patient: Patient) -> Iterator[Finding]:
    """The public URL answers from here."""
    try:
        fetch(f"{patient.settings.public_url}/livez", seconds=_SECONDS)
    except PrivysealError as error:
        yield _bad(error, Level.WARNING)
    else:
        yield _ok(f"{patient.settings.public_url} answers")


def scep_chain(patient: Patient) -> Iterator[Finding]:
    """Profiles give SCEP clients a chain that they can use."""
    odd = [
        profile.name
        for profile in patient.application.profiles.all()
        if profile.scep.enabled and profile.scep.chain is ChainShape.RA_ONLY
    ]
    if odd:
        yield Finding(
            Level.WARNING,
            f"SCEP clients of {', '.join(odd)} get the RA certificate alone",
            "they cannot build a chain unless they have the CA certificates from elsewhere",
            ("privyseal profile create NAME --chain ra-and-full-chain ... --replace",),
        )
    else:
        yield _ok("every SCEP profile hands out RA and CA certificates")


def external_cas(patient: Patient) -> Iterator[Finding]:
    """CAs of others that were found in a directory do not run out unseen."""
    watched = patient.application.directories.externals()
    soon = [item for item in watched if item.not_after < patient.now + _EXTERNAL_WARNING]
    for item in soon:
        word = "expired" if item.not_after < patient.now else "expires"
        yield Finding(
            Level.WARNING,
            f"{item.name} of others, found in directory {item.directory}, {word} {item.not_after:%Y-%m-%d}",
            "it stands in Public Key Services, so members trust it or build chains with it",
            ("ask whoever runs it for its successor", "see where it stands: privyseal directory status"),
        )
    if not soon:
        yield _ok(f"{len(watched)} CA(s) of others are watched, none expires within {_EXTERNAL_WARNING.days} days")


def deliveries(patient: Patient) -> Iterator[Finding]:
    """Certificates reach their accounts in the directory."""
    book, fine = patient.application.deliveries, 0
    waiting = 0
    for config in patient.application.directories.all():
        counts = book.counts(config.name)
        fine += counts[DeliveryState.PRESENT]
        waiting += sum(number for state, number in counts.items() if state not in IDLE)
        for code, number, what in book.faults(config.name, most=5):
            yield Finding(
                Level.WARNING,
                f"{number} certificate(s) wait to be added to or taken from accounts of {config.name}: [{code}] {what}",
                "they stay queued, and are tried again after a minute, then ever more rarely, at least every 6 hours",
                (f"privyseal explain {code}", f"privyseal directory deliver --directory {config.name}"),
            )
    yield _ok(f"{fine} certificate(s) stand at accounts, {waiting} are on their way")


CHECKS: Final[Mapping[str, Check]] = MappingProxyType(
    {
        "permissions": permissions,
        "passphrase": passphrase,
        "keys": keys,
        "certificates": certificates,
        "crl": crl,
        "store": store,
        "clock": clock,
        "audit": audit,
        "reservations": reservations,
        "public-url": public_url,
        "scep-chain": scep_chain,
        "external-cas": external_cas,
        "deliveries": deliveries,
    }
)


def _issuers(patient: Patient) -> tuple[Issuer, ...]:
    return patient.application.catalog.issuers()


def _shown(issuer: Issuer) -> str:
    return f"CA {issuer.record.name} v{issuer.record.version}"
