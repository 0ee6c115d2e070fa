# SPDX-License-Identifier: Apache-2.0
"""Where a store is, and the engine that opens it. PostgreSQL's library is imported only when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from privyseal.errors import StoreExtraMissing
from privyseal.store.engine import Database
from privyseal.store.sqlite import SqliteDatabase


@dataclass(frozen=True, slots=True, kw_only=True)
class StorePlace:
    """A file, or with ``url`` a PostgreSQL database. The password is never a part of the URL."""

    path: Path
    url: str = ""
    password: str = field(default="", repr=False)

    @property
    def label(self) -> str:
        """For people."""
        return self.url or str(self.path)


def open_store(place: StorePlace, *, create: bool = False, check: bool = True, arriving: str = "") -> Database:
    """Open the store; with ``create`` make its tables where there are none.

    ``check`` is off only for a move, which looks at stores that are not in use; ``arriving`` marks a new one as the
    destination of a move from there. Raises StoreUnavailable, StoreTooNew, StoreMoved, StoreNotEmpty,
    StoreExtraMissing.
    """
    if not place.url:
        return SqliteDatabase(place.path, create=create, check=check, arriving=arriving)
    try:
        from privyseal.store.postgresql import PostgresDatabase
    except ImportError as error:
        raise StoreExtraMissing(f"psycopg cannot be imported: {error}") from error
    return PostgresDatabase(place.url, password=place.password, create=create, check=check, arriving=arriving)
