# SPDX-License-Identifier: Apache-2.0
"""An installation for benchmarks: root and issuing CA, a profile, devices with challenges, certificates by the lot."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from processes import HERE, Server, python

from privyseal.audit.chain import chain
from privyseal.bootstrap import Application, build
from privyseal.ca.form import CertificateForm
from privyseal.ca.founding import found_ca
from privyseal.config import Settings, load_settings, render_settings
from privyseal.model.audit import AuditEvent, microseconds
from privyseal.model.authority import CaKind, CaRequest, CrlRules
from privyseal.model.challenge import challenge_hash
from privyseal.model.entity import EndEntity, EntityKind
from privyseal.model.profile_text import profile_from_data
from privyseal.x509.algorithms import KeyType
from privyseal.x509.keys import load_public_key
from privyseal.x509.names import DistinguishedName

PROFILE: Final = "wifi-device"
_PASSPHRASE: Final = "only for a benchmark"
PROFILE_DATA: Final[dict[str, Any]] = {
    "name": PROFILE,
    "issuer": "issuing",
    "subject": "CN={{device.name}},O=Bench",
    "san": ["dns:{{device.dns_name}}"],
    "sid_extension": True,
}


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def found(home: Path, key_type: KeyType, *, store_url: str = "") -> Settings:
    """Make an installation with two CAs of this key type and one profile; its store is SQLite, or an empty database."""
    home.mkdir(parents=True)
    address = f"127.0.0.1:{free_port()}"
    # Without a limit: all load comes from one source.
    settings = Settings(
        home=home,
        organization="Bench",
        public_url=f"http://{address}",
        listen=address,
        public_limit=0,
        store_url=store_url,
    )
    (home / "privyseal.toml").write_text(render_settings(settings))
    passphrase = home / "passphrase"
    passphrase.touch(mode=0o600)
    passphrase.write_text(_PASSPHRASE)
    application = build(settings, passphrase=_PASSPHRASE, create=True)
    try:
        asyncio.run(_found(application, key_type))
    finally:
        application.close()
    return settings


async def _found(application: Application, key_type: KeyType) -> None:
    for name, kind, parent, days in (("root", CaKind.ROOT, None, 3650), ("issuing", CaKind.ISSUING, "root", 1800)):
        request = CaRequest(
            name=name,
            kind=kind,
            parent=parent,
            subject=DistinguishedName.parse(f"CN=Bench {name},O=Bench"),
            key_type=key_type,
            hash_name=None,
            validity=timedelta(days=days),
            path_length=1 if kind is CaKind.ROOT else None,
            ext_key_usage=(),
            crl=CrlRules(),
        )
        await found_ca(request, application.workshop(), actor="bench")
    await application.profiles.save(profile_from_data(PROFILE_DATA), replace_existing=False, actor="bench")


def opened(settings: Settings) -> Application:
    """The installation, from this process."""
    return build(load_settings(settings.home), passphrase=_PASSPHRASE)


def server(settings: Settings, *more: str) -> Server:
    """The product's server on the installation, as a process of its own."""
    command = [python(), str(HERE / "server.py"), str(settings.home), *more]
    return Server(command, f"{settings.public_url}/readyz", log=settings.home / "server.log")


def enrolling_devices(settings: Settings, count: int) -> list[str]:
    """New devices, one challenge each; the secrets."""
    application = opened(settings)
    chosen = [secrets.token_urlsafe(20) for _ in range(count)]
    try:
        asyncio.run(_devices(application, chosen))
    finally:
        application.close()
    return chosen


async def _devices(application: Application, chosen: list[str]) -> None:
    until, mark = application.clock.now() + timedelta(days=1), secrets.token_hex(3)

    async def one(index: int, secret: str) -> None:
        device = await application.entities.create(EntityKind.DEVICE, _attributes(mark, index), actor="bench")
        await application.entities.create_challenge(
            challenge_hash(secret), profile=PROFILE, entity=device, expires_at=until, actor="bench"
        )

    await asyncio.gather(*(one(index, secret) for index, secret in enumerate(chosen)))


def _attributes(mark: str, index: int) -> dict[str, str]:
    name = f"LAPTOP-{mark}-{index}"
    return {"name": name, "dns_name": f"{name}.example.com", "sid": f"S-1-5-21-1004336348-1177238915-{index}-1105"}


def fill(settings: Settings, count: int) -> list[int]:
    """Put certificates into the store as if issued over the last 90 days; their serials.

    By SQL, in one transaction: every row that issuing writes, the audit trail chained. Signatures are
    random octets, since nothing reads them back.
    """
    application = opened(settings)
    try:
        return _fill(application, count)
    finally:
        application.close()


def _fill(application: Application, count: int) -> list[int]:
    connection, form = application.database.writer, application.catalog.form(PROFILE)
    drawn, now = _drawing(application, form), application.clock.now()
    serials: list[int] = []
    connection.execute("BEGIN IMMEDIATE")
    seq, digest = connection.execute("SELECT seq, digest FROM audit_head").fetchone()
    for index in range(count):
        at = now - timedelta(days=90) + timedelta(days=90) / count * index
        seconds, serial = int(at.timestamp()), int(at.timestamp()) << 96 | secrets.randbits(96)
        blob, (tbs, subject, san), attributes = serial.to_bytes(16, "big"), next(drawn), _attributes("stored", index)
        entity = connection.execute(
            "INSERT INTO entities (kind, name, attributes, enabled, created_at) VALUES ('device',?,?,1,?)",
            (attributes["name"], json.dumps(attributes, sort_keys=True), seconds),
        ).lastrowid
        challenge = connection.execute(
            "INSERT INTO challenges (hash, profile, entity_id, created_at, expires_at, used_at) VALUES (?,?,?,?,?,?)",
            (os.urandom(32), PROFILE, entity, seconds, seconds + 86400, seconds),
        ).lastrowid
        certificate = connection.execute(
            "INSERT INTO certificates (issuer_id, serial, kind, status, subject, san, profile, profile_revision, "
            "entity_id, not_before, not_after, protocol, requester, reserved_at, reserved_by) "
            "VALUES (?,?,'end-entity','issued',?,?,?,1,?,?,?,'scep',?,?,'bench')",
            (form.issuer.id, blob, subject, san, PROFILE, entity, seconds, seconds + 31536000,
             f"challenge:{challenge}", seconds),
        ).lastrowid  # fmt: skip
        algorithm = form.issuer.algorithm.identifier
        connection.execute("INSERT INTO certificate_tbs VALUES (?,?,?)", (certificate, tbs, algorithm))
        connection.execute("INSERT INTO certificate_signatures VALUES (?,?)", (certificate, os.urandom(256)))
        connection.execute(
            "INSERT INTO enrollments (at, state, profile, protocol, transaction_id, key_hash, evidence, entity_id, "
            "certificate_id, code, what, request) VALUES (?,'issued',?,'scep',?,?,?,?,?,0,'',x'')",
            (seconds, PROFILE, secrets.token_hex(20), os.urandom(32), os.urandom(32), entity, certificate),
        )
        for event in ("certificate.reserved", "certificate.issued"):
            happened = AuditEvent(
                event=event, actor=f"challenge:{challenge}", target=f"serial:{serial:x}", detail={"profile": PROFILE}
            )
            row = chain(happened, seq=seq + 1, at=at, previous=digest)
            seq, digest = row.seq, row.digest
            connection.execute(
                "INSERT INTO audit (seq, at, event, actor, target, detail, digest) VALUES (?,?,?,?,?,?,?)",
                (seq, microseconds(at), row.event, row.actor, row.target, row.detail, digest),
            )
        serials.append(serial)
    connection.execute("UPDATE audit_head SET seq = ?, digest = ?", (seq, digest))
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return serials


def _drawing(application: Application, form: CertificateForm) -> Iterator[tuple[bytes, str, str]]:
    """TBS, subject and SAN of certificates that the profile would draw; a few, over and over."""
    spki = form.issuer.view.spki
    key, few = load_public_key(spki), []
    for index in range(50):
        device = EndEntity(index, EntityKind.DEVICE, "x", _attributes("stored", index))
        drawn = form.draw(device, public_key=key, spki=spki, now=application.clock.now(), rng=application.rng)
        few.append((drawn.linted.tbs, drawn.subject, drawn.san))
    while True:
        yield from few
