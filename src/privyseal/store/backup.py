# SPDX-License-Identifier: Apache-2.0
"""The store as a series of pages that any engine can read again, and a store made from them.

All pages show one moment, whatever is committed while they are written.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Table

from privyseal.audit.chain import verify_chain
from privyseal.errors import BackupDamaged, BackupUnreadable
from privyseal.store.audit import read_trail
from privyseal.store.engine import Database, Row
from privyseal.store.rows import columns, empty_table, highest_crl_numbers, insert_row, pages
from privyseal.store.schema import SCHEMA_VERSION, metadata

_PLACE: Final = "store"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFacts:
    """What a copy of a store must show again."""

    audit_rows: int
    audit_head: str
    highest_crl_numbers: tuple[tuple[str, int], ...]
    """CA version and number."""

    def as_data(self) -> dict[str, Any]:
        """JSON-ready."""
        numbers = dict(self.highest_crl_numbers)
        return {"audit_rows": self.audit_rows, "audit_head": self.audit_head, "highest_crl_numbers": numbers}


class StoreSnapshot:
    """One moment of a store, on the connection for work apart. ``close`` lets it go."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection = database.background
        self._connection.execute("BEGIN")
        self.facts = self._facts()
        self.rows: Counter[str] = Counter()

    def pages(self) -> Iterator[tuple[str, bytes]]:
        """Name and content of each page. Raises StoreUnavailable."""
        try:
            for table in metadata.sorted_tables:
                for number, page in enumerate(pages(self._connection, table)):
                    self.rows[table.name] += len(page)
                    yield f"{_PLACE}/{table.name}/{number:08d}.json", _encode(table, page)
        except self._database.faults as error:
            raise self._database.explained(error) from error

    def close(self) -> None:
        """End the transaction."""
        if self._connection.in_transaction:
            self._connection.execute("COMMIT")

    def _facts(self) -> StoreFacts:
        head = self._connection.execute("SELECT seq, digest FROM audit_head WHERE id = 1").fetchone()
        numbers = highest_crl_numbers(self._connection)
        return StoreFacts(audit_rows=head[0], audit_head=head[1].hex(), highest_crl_numbers=numbers)


class StoreFilling:
    """A new store on its way in. Nobody uses it before ``finish``; without that nothing stays."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection = database.writer
        self.rows: Counter[str] = Counter()
        database.hold()
        for table in metadata.sorted_tables:
            self._connection.execute(empty_table(table))

    def add(self, name: str, content: bytes) -> None:
        """One page. Raises BackupDamaged, StoreUnavailable."""
        table = metadata.tables.get(name.split("/")[1])
        if table is None:
            raise BackupUnreadable(f"it holds a table {name.split('/')[1]!r} that this version does not know")
        page = _decode(table, content)
        try:
            self._connection.executemany(insert_row(table), page)
        except self._database.refusals as error:
            raise BackupDamaged(f"rows of {name} do not fit: {error}") from error
        except self._database.faults as error:
            raise self._database.explained(error) from error
        self.rows[table.name] += len(page)

    def finish(self, rows: dict[str, int], facts: dict[str, Any]) -> None:
        """Prove that all is there and as it was, and keep it. Raises BackupDamaged, AuditBroken."""
        if dict(self.rows) != rows:
            differing = sorted(name for name in rows.keys() | self.rows.keys() if rows.get(name) != self.rows[name])
            raise BackupDamaged(f"rows are missing in {', '.join(differing)}")
        self._database.number_on()
        head = self._connection.execute("SELECT seq, digest FROM audit_head WHERE id = 1").fetchone()
        verify_chain(read_trail(self._connection), head_seq=head[0], head_digest=head[1])
        found = StoreFacts(
            audit_rows=head[0],
            audit_head=head[1].hex(),
            highest_crl_numbers=highest_crl_numbers(self._connection),
        )
        if found.as_data() != facts:
            raise BackupDamaged("audit head or CRL numbers are not those that were noted when it was made")
        self._connection.execute("COMMIT")

    def abandon(self) -> None:
        """Keep nothing."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def is_store_page(name: str) -> bool:
    """Whether a member of a backup is a page of the store."""
    return name.startswith(f"{_PLACE}/") and name.count("/") == 2


def check_schema(found: object) -> None:
    """Raises BackupUnreadable when the rows are those of another version's tables."""
    if found != SCHEMA_VERSION:
        raise BackupUnreadable(
            f"its store has schema version {found!r}, this program has {SCHEMA_VERSION}",
            why="rows are read by the version that wrote them",
            mend=("restore it with the version of Privyseal that made it, then update",),
        )


def _encode(table: Table, page: list[Row]) -> bytes:
    rows = [[_to_json(value) for value in row] for row in page]
    return json.dumps({"columns": columns(table), "rows": rows}, separators=(",", ":")).encode()


def _to_json(value: Any) -> Any:
    return {"b": base64.b64encode(value).decode("ascii")} if isinstance(value, bytes | memoryview) else value


def _decode(table: Table, content: bytes) -> list[Row]:
    try:
        data = json.loads(content)
        if data["columns"] != columns(table):
            raise BackupUnreadable(f"table {table.name} of the backup has other columns than this version's")
        return [tuple(_from_json(value) for value in row) for row in data["rows"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BackupDamaged(f"a page of table {table.name} is not well formed") from error


def _from_json(value: Any) -> Any:
    return base64.b64decode(value["b"], validate=True) if isinstance(value, dict) else value
