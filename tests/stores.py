# SPDX-License-Identifier: Apache-2.0
"""Both engines of the store, for tests that must hold on each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from privyseal.store.engine import Database
from privyseal.store.opening import StorePlace, open_store
from privyseal.store.sqlite import SqliteDatabase
from tests.outside.postgresql import shared_server

SQLITE, POSTGRESQL = "sqlite", "postgresql"
ENGINES: Final = (SQLITE, POSTGRESQL)


def new_place(engine: str, directory: Path) -> StorePlace:
    """Where a store can be made. PostgreSQL: skips the test where there is none."""
    return StorePlace(path=directory / "store.db", url=shared_server().new() if engine == POSTGRESQL else "")


@pytest.fixture(name="place", params=ENGINES)
def fixture_place(request: pytest.FixtureRequest, tmp_path: Path) -> StorePlace:
    """An empty place, once for each engine."""
    return new_place(request.param, tmp_path)


@pytest.fixture(name="database")
def fixture_database(place: StorePlace) -> Iterator[Database]:
    """A fresh store, once for each engine."""
    opened = open_store(place, create=True)
    yield opened
    opened.close()


def make_fail(database: Database, table: str, when: str, condition: str = "") -> None:
    """From now on the database itself refuses this change; ``condition`` sees the row as NEW."""
    clause = f" WHEN ({condition})" if condition else ""
    if isinstance(database, SqliteDatabase):
        database.writer.execute(
            f"CREATE TRIGGER fault BEFORE {when} ON {table}{clause} BEGIN SELECT RAISE(ABORT, 'injected'); END"
        )
        return
    database.writer.execute(
        "CREATE OR REPLACE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN RAISE EXCEPTION ''injected'' USING ERRCODE = ''integrity_constraint_violation''; END'"
    )
    database.writer.execute(
        f"CREATE TRIGGER fault BEFORE {when} ON {table} FOR EACH ROW{clause} EXECUTE FUNCTION fault()"
    )


def make_work_again(database: Database, table: str) -> None:
    """Takes the fault away."""
    database.writer.execute("DROP TRIGGER fault" + ("" if isinstance(database, SqliteDatabase) else f" ON {table}"))
