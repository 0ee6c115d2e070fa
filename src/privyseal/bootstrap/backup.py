# SPDX-License-Identifier: Apache-2.0
"""Backups of a whole installation: store, keys and settings in one sealed file; restoring one, and trying one out.

The store's moment comes first and the keys after it: what the store names was on disk by then.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

from privyseal.adapters.backup_file import BackupWriter, read_backup
from privyseal.adapters.clock import SystemClock
from privyseal.adapters.files import sync_directory, write_atomically
from privyseal.adapters.keys import FileKeyStore
from privyseal.bootstrap import Application, store_place
from privyseal.config import CONFIG_NAME, Settings, check_settings, with_store
from privyseal.errors import BackupDamaged, BackupUnreadable, FileNotAccessible, NameTaken
from privyseal.store.backup import StoreFilling, StoreSnapshot, check_schema, is_store_page
from privyseal.store.committer import GroupCommitter
from privyseal.store.engine import Database
from privyseal.store.opening import StorePlace, open_store
from privyseal.store.restoring import mark_restored, note_backup
from privyseal.store.schema import SCHEMA_VERSION
from privyseal.x509.certificate import read_certificate
from privyseal.x509.spki import encode_public_key

LAST_BACKUP, LAST_DRILL = "last_backup", "last_drill"
"""Keys in ``meta``: when a backup was made, and when one was tried out."""
_FORMAT: Final = 1
_MANIFEST, _END = "manifest.json", "end.json"
_KEY_NAME: Final = re.compile(r"keys/(?:k[0-9a-f]{16}\.pem|protection\.json)")


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupFacts:
    """What a backup holds."""

    taken_at: datetime
    organization: str
    public_url: str
    rows: int
    certificates: int
    keys: int
    store: dict[str, Any]
    """Audit head and CRL numbers."""

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "taken_at": f"{self.taken_at:%Y-%m-%dT%H:%M:%SZ}",
            "organization": self.organization,
            "public_url": self.public_url,
            "rows": self.rows,
            "certificates": self.certificates,
            "keys": self.keys,
            **self.store,
        }


def write_backup(application: Application, path: Path, *, passphrase: str, actor: str) -> BackupFacts:
    """Write a backup while others go on. It is whole under its name, or not there. Raises NameTaken."""
    if path.exists():
        raise NameTaken(f"{path} exists already", why="a backup never overwrites one", mend=("name another file",))
    temporary = path.with_name(f".{path.name}.{application.rng.bytes(4).hex()}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as target:
            facts = _write(application, target, passphrase)
            target.flush()
            os.fsync(target.fileno())
        os.link(temporary, path)
    except OSError as error:
        raise FileNotAccessible(f"{path} cannot be written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)
    detail: dict[str, object] = {"rows": facts.rows, "audit_rows": facts.store["audit_rows"]}
    asyncio.run(note_backup(application.committer, LAST_BACKUP, event="backup.made", detail=detail, actor=actor))
    return facts


def _write(application: Application, target: BinaryIO, passphrase: str) -> BackupFacts:
    settings, taken_at = application.settings, application.clock.now().replace(microsecond=0)
    writer = BackupWriter(target, passphrase)
    snapshot = StoreSnapshot(application.database)
    try:
        manifest = {
            "format": _FORMAT,
            "schema": SCHEMA_VERSION,
            "taken_at": taken_at.isoformat(),
            "organization": settings.organization,
            "public_url": settings.public_url,
            "store": snapshot.facts.as_data(),
        }
        writer.add(_MANIFEST, json.dumps(manifest).encode())
        writer.add(CONFIG_NAME, (settings.home / CONFIG_NAME).read_bytes())
        keys = sorted(path for path in settings.keys.iterdir() if _KEY_NAME.fullmatch(f"keys/{path.name}"))
        for path in keys:
            writer.add(f"keys/{path.name}", path.read_bytes())
        for name, page in snapshot.pages():
            writer.add(name, page)
    finally:
        snapshot.close()
    writer.add(_END, json.dumps({"rows": snapshot.rows, "keys": len(keys)}).encode())
    writer.close()
    return _facts(manifest, dict(snapshot.rows), len(keys))


def restore_backup(
    source: BinaryIO, home: Path, *, passphrase: str, store_url: str = "", password_file: str = "", actor: str
) -> BackupFacts:
    """Make an installation of a backup in ``home``, which must be empty, marked so that nothing is signed yet.

    The configuration is written last: before that there is no installation. Raises BackupUnreadable, BackupDamaged,
    NameTaken, StoreNotEmpty.
    """
    if home.exists() and any(home.iterdir()):
        raise NameTaken(
            f"{home} is not empty",
            why="a restore overwrites nothing",
            mend=("name another place with --home DIR", f"put the old one away: mv {home} {home}.old"),
        )
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.chmod(0o700)
    members = read_backup(source, passphrase)
    manifest, text = _beginning(members)
    settings = replace(_settings(home, text), store_url=store_url, store_password_file=password_file)
    settings.keys.mkdir(mode=0o700)
    place = store_place(settings)
    database = open_store(place, create=True, check=False, arriving="a backup")
    try:
        rows, keys = _fill(members, settings, manifest, database)
        taken_at = datetime.fromisoformat(manifest["taken_at"])
        committer = GroupCommitter(database, SystemClock())
        asyncio.run(mark_restored(database, committer, taken_at=taken_at, actor=actor))
    finally:
        database.close()
    sync_directory(settings.keys)
    text = with_store(text, url=store_url, password_file=password_file)
    write_atomically(home / CONFIG_NAME, text.encode(), mode=0o600)
    return _facts(manifest, rows, keys)


def _beginning(members: Iterator[tuple[str, bytes]]) -> tuple[dict[str, Any], str]:
    try:
        (first, manifest), (second, text) = next(members), next(members)
        if (first, second) != (_MANIFEST, CONFIG_NAME):
            raise BackupDamaged(f"it begins with {first} and {second}")
        found = json.loads(manifest)
        if found["format"] != _FORMAT:
            raise BackupUnreadable(f"it has format {found['format']!r}, this program reads {_FORMAT}")
        check_schema(found["schema"])
        datetime.fromisoformat(found["taken_at"])
        return found, text.decode()
    except (StopIteration, ValueError, KeyError, TypeError) as error:
        raise BackupDamaged("its manifest is not well formed") from error


def _settings(home: Path, text: str) -> Settings:
    try:
        return check_settings(home, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise BackupDamaged(f"its {CONFIG_NAME} is not TOML") from error


def _fill(
    members: Iterator[tuple[str, bytes]], settings: Settings, manifest: dict[str, Any], database: Database
) -> tuple[dict[str, int], int]:
    filling, keys, end = StoreFilling(database), 0, None
    try:
        for name, content in members:
            if end is not None:
                raise BackupDamaged(f"{name} follows its end")
            if name == _END:
                end = json.loads(content)
            elif is_store_page(name):
                filling.add(name, content)
            elif _KEY_NAME.fullmatch(name):
                write_atomically(settings.home / name, content, mode=0o600, replace=False)
                keys += 1
            else:
                raise BackupDamaged(f"it holds {name!r}, which no backup does")
        if end is None or end["keys"] != keys:
            raise BackupDamaged("its end, or a key, is missing")
        filling.finish(end["rows"], manifest["store"])
        return dict(filling.rows), keys
    finally:
        filling.abandon()


def _facts(manifest: dict[str, Any], rows: dict[str, int], keys: int) -> BackupFacts:
    return BackupFacts(
        taken_at=datetime.fromisoformat(manifest["taken_at"]),
        organization=manifest["organization"],
        public_url=manifest["public_url"],
        rows=sum(rows.values()),
        certificates=rows.get("certificates", 0),
        keys=keys,
        store=manifest["store"],
    )


def fitting_keys(home: Path, passphrase: str) -> int:
    """Open every key of CAs that a restored installation names; how many. Raises PassphraseWrong, BackupDamaged."""
    keys = FileKeyStore(home / "keys", passphrase)
    database = open_store(StorePlace(path=home / "privyseal.db"))
    try:
        rows = database.read("SELECT key_ref, certificate FROM authorities WHERE key_ref <> ''")
        rows += database.read("SELECT key_ref, certificate FROM services")
    finally:
        database.close()
    for key_ref, certificate in rows:
        if encode_public_key(keys.signer(key_ref, None).public_key) != read_certificate(certificate).spki:
            raise BackupDamaged(f"key {key_ref} is not that of its certificate")
    return len(rows)
