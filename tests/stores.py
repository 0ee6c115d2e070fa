# SPDX-License-Identifier: Apache-2.0
"""Both engines of the store, for tests that must hold on each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest

from privyseal.config import CONFIG_NAME, Settings, render_settings, with_store
from privyseal.store.engine import Database
from privyseal.store.opening import StorePlace, open_store
from privyseal.store.sqlite import SqliteDatabase
from tests.outside.postgresql import shared_server

SQLITE, POSTGRESQL = "sqlite", "postgresql"
ENGINES: Final = (SQLITE, POSTGRESQL)


_current = [SQLITE]


def current_engine() -> str:
    """The engine that new installations get."""
    return _current[-1]


@contextmanager
def engine_of_new_installations(engine: str) -> Iterator[None]:
    """In this block new installations get this engine."""
    if engine == POSTGRESQL:
        shared_server()
    _current.append(engine)
    try:
        yield
    finally:
        _current.pop()


@pytest.fixture(name="store_engine", scope="module", autouse=True)
def fixture_store_engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """The engine of a module's installations: SQLite, or what ``on_both_engines`` chose."""
    engine: str = getattr(request, "param", SQLITE)
    with engine_of_new_installations(engine):
        yield engine


def on_both_engines(metafunc: pytest.Metafunc) -> None:
    """Lets every test of a module run once for each engine."""
    metafunc.parametrize("store_engine", ENGINES, indirect=True, scope="module")


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


def settle_store(home: Path, settings: Settings, template: str = "") -> None:
    """Writes into the configuration where the store is: a new database, or a copy of that at ``template``."""
    if current_engine() == POSTGRESQL:
        server = shared_server()
        url = server.new(urlsplit(template).path[1:]) if template else server.new()
        path = home / CONFIG_NAME
        text = path.read_text() if path.exists() else render_settings(settings)
        path.write_text(with_store(text, url=url, password_file=""))


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
