# SPDX-License-Identifier: Apache-2.0
"""``privyseal store``: where everything is kept. A move leaves one store that is used, never two."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import click

from privyseal.adapters.clock import SystemClock
from privyseal.adapters.files import write_atomically
from privyseal.adapters.instance import Instance
from privyseal.bootstrap import store_place
from privyseal.cli.output import show_item
from privyseal.cli.session import Session
from privyseal.cli.verb import verb
from privyseal.config import CONFIG_NAME, Settings, check_store_url, load_settings, with_store
from privyseal.errors import NameTaken, StoreInUse
from privyseal.store.committer import GroupCommitter
from privyseal.store.engine import Database
from privyseal.store.moving import Moved, copy_store, end_move
from privyseal.store.opening import open_store

_SQLITE = "sqlite"
_TALK_SECONDS = 2.0


@verb(
    "move",
    examples=(
        "store move --to 'postgresql://privyseal@/privyseal?host=/run/postgresql'",
        "store move --to 'postgresql://privyseal@db.example.com/pki?sslmode=verify-full&sslrootcert=/etc/ssl/db.pem' "
        "--store-password-file db.pass",
        "store move --to sqlite",
    ),
)
@click.option("--to", "target", required=True, metavar="URL", help="A PostgreSQL database, or the word sqlite.")
@click.option(
    "--store-password-file", default="", metavar="FILE", help="Holds its password; relative to the home directory."
)
def move(session: Session, target: str, store_password_file: str) -> None:
    """Move everything to PostgreSQL, or back to SQLite.

    The server must be stopped. Every table is copied, read back and compared, the audit trail and the CRL numbers
    are checked, then the old store is marked and never used again. A move that was broken off is run once more.
    Keys stay where they are.
    """
    settings = session.settings()
    url = "" if target == _SQLITE else check_store_url(target)
    wanted = replace(settings, store_url=url, store_password_file=store_password_file if url else "")
    if wanted.store_url == settings.store_url:
        raise NameTaken(
            f"the store is at {store_place(settings).label} already",
            why="a move goes to another place",
            mend=("privyseal doctor",),
        )
    instance = Instance(settings.instances)
    try:
        if others := instance.others():
            raise StoreInUse(f"{len(others)} process(es) of this installation are running")
        moved = _move(session, settings, wanted)
    finally:
        instance.close()
    path = settings.home / CONFIG_NAME
    text = with_store(path.read_text("utf-8"), url=wanted.store_url, password_file=wanted.store_password_file)
    write_atomically(path, text.encode(), mode=0o600)
    load_settings(settings.home)
    _show(session, wanted, moved)


def _move(session: Session, settings: Settings, wanted: Settings) -> Moved | None:
    source = open_store(store_place(settings), check=False)
    try:
        destination = open_store(store_place(wanted), create=True, check=False, arriving=source.label)
        try:
            moved = copy_store(source, destination, progress=_Talk(session))
            _end(destination, source.label, session.actor)
        finally:
            destination.close()
    finally:
        source.close()
    return moved


def _end(destination: Database, origin: str, actor: str) -> None:
    committer = GroupCommitter(destination, SystemClock())
    asyncio.run(end_move(destination, committer, origin=origin, actor=actor))


class _Talk:
    """Says how far it is, but not for every page."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._next = time.monotonic() + _TALK_SECONDS

    def __call__(self, table: str, rows: int) -> None:
        """See ``store.moving.Progress``."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _TALK_SECONDS
            self._session.say(f"{table}: {rows} rows")


def _show(session: Session, wanted: Settings, moved: Moved | None) -> None:
    item: dict[str, object] = {"store": wanted.store_url or str(wanted.database), "copied": moved is not None}
    if moved is not None:
        item |= {
            "rows": moved.rows,
            "audit_rows": moved.audit_rows,
            "certificates": moved.certificates,
            "highest_crl_numbers": dict(moved.highest_crl_numbers),
        }
    show_item(session, item)
    session.done("the old store is marked and is not used again", after="privyseal doctor")
