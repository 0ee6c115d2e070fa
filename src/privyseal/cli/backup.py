# SPDX-License-Identifier: Apache-2.0
"""``privyseal backup``: making, trying out and restoring backups. A restored store signs nothing before ``resync``."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import click

from privyseal.adapters.fetch import fetch
from privyseal.bootstrap.backup import LAST_DRILL, BackupFacts, fitting_keys, restore_backup, write_backup
from privyseal.bootstrap.resync import Resync, resync
from privyseal.cli.output import moment, show_item
from privyseal.cli.session import Session
from privyseal.cli.values import read_given
from privyseal.cli.verb import verb
from privyseal.config import check_store_url, read_passphrase
from privyseal.errors import FileNotAccessible, NotInitialized
from privyseal.store.restoring import note_backup

_SECONDS = 5.0
_LARGEST_CRL = 256 << 20
_PASSPHRASE = click.option(
    "--backup-passphrase-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Its own passphrase. Default: that of the keys.",
)


@verb("create", examples=("backup create --to /backup/pki-2026-11-22.backup", "backup create --to FILE -o json"))
@click.option("--to", "target", required=True, type=click.Path(path_type=Path), metavar="FILE", help="A new file.")
@_PASSPHRASE
def create(session: Session, target: Path, backup_passphrase_file: Path | None) -> None:
    """Write store, keys and settings to one encrypted file, while the server goes on.

    All of it shows one moment. The passphrase itself is not in it: keep that in another place. A backup of a
    PostgreSQL store can be restored to SQLite, and the other way round.
    """
    passphrase = _passphrase(session, backup_passphrase_file)
    with session.application() as application:
        facts = write_backup(application, target.absolute(), passphrase=passphrase, actor=session.actor)
    show_item(session, {"file": str(target), "octets": target.stat().st_size, **facts.as_data()})
    session.done(f"{facts.rows} rows and {facts.keys} key files", after=f"privyseal backup verify {target}")


@verb("verify", examples=("backup verify /backup/pki-2026-11-22.backup", "backup verify FILE -o json"))
@click.argument("file", type=click.Path(path_type=Path))
@_PASSPHRASE
def verify(session: Session, file: Path, backup_passphrase_file: Path | None) -> None:
    """Try a backup out: restore it to a place that is thrown away, and prove what is in it.

    Every octet is decrypted and authenticated, every row counted and kept, every CA, RA and OCSP key opened and
    held against its certificate, the audit trail and the CRL numbers checked. Needs room for the store.
    """
    with tempfile.TemporaryDirectory(prefix="privyseal-drill-") as place:
        home = Path(place) / "home"
        facts = _restore(session, file, home, backup_passphrase_file=backup_passphrase_file)
        keys = fitting_keys(home, session.passphrase())
    _note_drill(session, facts)
    show_item(session, {"file": str(file), **facts.as_data(), "keys_opened": keys})
    session.say(f"{keys} CA, RA and OCSP keys open and fit their certificates")
    session.say(f"{facts.store['audit_rows']} audit rows form a whole chain; head {facts.store['audit_head'][:16]}")
    session.say(f"{facts.rows} rows are all there, {facts.certificates} certificates among them")
    session.done(f"this backup of {moment(facts.taken_at)} can be restored")


@verb(
    "restore",
    examples=(
        "backup restore /backup/pki-2026-11-22.backup --home /var/lib/privyseal",
        "backup restore FILE --home DIR --store 'postgresql:///privyseal'",
    ),
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--store", metavar="URL", default="", help="An empty PostgreSQL database. Default: SQLite in the home.")
@click.option(
    "--store-password-file", default="", metavar="FILE", help="Holds its password; relative to the home directory."
)
@_PASSPHRASE
def restore(
    session: Session, file: Path, store: str, *, store_password_file: str, backup_passphrase_file: Path | None
) -> None:
    """Make an installation of a backup, in an empty directory. Nothing is signed before `backup resync`.

    An older copy does not know what was issued, revoked and published since. The server says so and does not start
    until serials and CRL numbers are in step.
    """
    facts = _restore(
        session,
        file,
        session.place,
        url=check_store_url(store) if store else "",
        password_file=store_password_file,
        backup_passphrase_file=backup_passphrase_file,
    )
    show_item(session, {"home": str(session.place), **facts.as_data()})
    session.done(f"restored as of {moment(facts.taken_at)}; it signs nothing yet", after="privyseal backup resync")


@verb(
    "resync",
    examples=("backup resync", "backup resync --crl issuing.crl --crl root.crl", "backup resync --accept"),
)
@click.option("--crl", "crls", multiple=True, metavar="FILE", help="A CRL that somebody still holds; DER or PEM.")
@click.option("--accept", is_flag=True, help="Go on although of some CA no CRL was found.")
def resync_store(session: Session, crls: tuple[str, ...], accept: bool) -> None:
    """Bring a restored store in step with the world: CRL numbers go on beyond all that can have been used.

    CRLs are fetched from their public URLs and taken from --crl. What they revoke is revoked here too. Serials of
    the time before now are burnt. Certificates that were issued since the backup stay unknown: OCSP answers
    `unknown` for them.
    """
    given = [read_given(name, limit=_LARGEST_CRL) for name in crls]
    with session.application() as application:
        done = asyncio.run(
            resync(
                application,
                given,
                fetch=lambda url: fetch(url, seconds=_SECONDS).body,
                accept=accept,
                actor=session.actor,
            )
        )
    if done is None:
        show_item(session, {"in_step": True, "changed": False})
        session.done("already so: this store is in step")
        return
    _show(session, done)


def _show(session: Session, done: Resync) -> None:
    cas = {
        step.name: {"stored": step.stored, "seen": step.seen, "goes_on_at": step.floor, "revocations": step.revocations}
        for step in done.steps
    }
    since, until = (moment(at) for at in done.gap)
    show_item(session, {"in_step": True, "changed": True, "unknown_from": since, "unknown_until": until, "cas": cas})
    session.say(f"Certificates issued from {since} to {until} are not known here. They work until they end: no CRL")
    session.say("can list them, OCSP answers `unknown`, nobody can revoke them. Enroll those devices and users again;")
    session.say("if one of them must not go on, replace the CA version that signed it.")
    for step in done.steps:
        if step.seen is None:
            session.say(
                f"Of {step.name} no CRL was seen: what was revoked since {since} counts as good. Revoke it anew."
            )
    session.done("serials and CRL numbers are in step", after="privyseal serve")


def _restore(
    session: Session,
    file: Path,
    home: Path,
    *,
    url: str = "",
    password_file: str = "",
    backup_passphrase_file: Path | None,
) -> BackupFacts:
    try:
        with file.open("rb") as source:
            return restore_backup(
                source,
                home,
                passphrase=_passphrase(session, backup_passphrase_file),
                store_url=url,
                password_file=password_file,
                actor=session.actor,
            )
    except OSError as error:
        raise FileNotAccessible(f"{error.filename or file} cannot be used: {error.strerror}") from error


def _note_drill(session: Session, facts: BackupFacts) -> None:
    """Where this runs beside the installation, monitoring learns of it."""
    try:
        settings = session.settings()
    except NotInitialized:
        return
    if settings.public_url != facts.public_url:
        return
    with session.application() as application:
        detail: dict[str, object] = {"taken_at": moment(facts.taken_at)}
        asyncio.run(
            note_backup(application.committer, LAST_DRILL, event="backup.tried", detail=detail, actor=session.actor)
        )


def _passphrase(session: Session, own: Path | None) -> str:
    return session.passphrase() if own is None else read_passphrase(own)
