# SPDX-License-Identifier: Apache-2.0
"""What a store is to everything above it: three connections, transactions by the batch, and a number that changes.

SQL is shared by both engines. It is written as SQLite reads it: ``?`` or ``:name``, whole numbers for booleans.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

from privyseal.audit.chain import GENESIS
from privyseal.errors import PrivysealError, StoreMoved, StoreTooNew

if TYPE_CHECKING:
    from privyseal.store.unit import Transaction

Row = tuple[Any, ...]
Parameters = tuple[Any, ...] | dict[str, Any]
KNOWN_VERSION: Final = 1
"""Newest schema version that this program reads; ``store.schema`` is not imported to open a store."""
MOVED: Final = "moved_to"
"""Key in ``meta``: where the store went. What holds it is not used any more."""
ARRIVING: Final = "arriving"
"""Key in ``meta``: a move filled this store and has not yet ended."""


class Cursor(Protocol):
    """The result of a statement."""

    @property
    def rowcount(self) -> int:
        """Rows that were changed."""

    @property
    def lastrowid(self) -> int | None:
        """Id of the row that an INSERT made; SQLite only, see ``Transaction.insert``."""

    def fetchone(self) -> Any:
        """The next row, or None."""

    def fetchmany(self, size: int = ..., /) -> list[Any]:
        """At most so many of the next rows."""

    def fetchall(self) -> list[Any]:
        """All rows that are left."""


class Connection(Protocol):
    """Runs statements. BEGIN and COMMIT are statements; outside of them each is a transaction of its own."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""

    def execute(self, sql: str, parameters: Any = ..., /) -> Cursor:
        """Run one statement."""

    def executemany(self, sql: str, rows: Any, /) -> Cursor:
        """Run one statement for each of some rows."""


class Database(ABC):
    """One store: ``writer`` is for transactions, ``background`` for one thread apart, ``reader`` for the rest.

    The writer is used by one transaction at a time; see ``GroupCommitter``.
    """

    writer: Connection
    reader: Connection
    background: Connection
    refusals: tuple[type[Exception], ...]
    """What a statement raises when a constraint forbids its values."""
    faults: tuple[type[Exception], ...]
    """What a statement raises when the store fails; ``refusals`` are among them."""

    def __init__(self, label: str) -> None:
        self.label = label
        """Where it is, without secrets, for people."""
        self.commits = 0
        """Commits of this process so far."""

    @abstractmethod
    def close(self) -> None:
        """Close all connections."""

    @abstractmethod
    def read(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """All rows of a query on the last committed state. Raises StoreUnavailable."""

    @abstractmethod
    def read_one(self, sql: str, parameters: Parameters = ()) -> Row | None:
        """The first row of a query, or None. Raises StoreUnavailable."""

    @abstractmethod
    def version(self) -> int:
        """A number that changes whenever anybody, in any process, commits to the store; see ``recent_version``."""

    @abstractmethod
    def recent_version(self) -> int:
        """Like ``version``, but what another process committed may show 5 ms late; for what is asked all the time."""

    @abstractmethod
    async def transact(self, work: Callable[[Transaction], None], now: datetime) -> None:
        """Run ``work`` in a transaction and commit it; on disk when this returns.

        Raises what ``work`` raises, one of ``faults``, or CommitInDoubt. Runs ``work`` again when a connection broke
        before its COMMIT.
        """

    @abstractmethod
    def relieve(self) -> None:
        """Put away, in the thread apart, what a large write has piled up; else some COMMIT would have to."""

    @abstractmethod
    def verify_integrity(self) -> None:
        """Let the database check what it can by itself. Raises StoreUnavailable with its first finding."""

    @abstractmethod
    def hold(self) -> None:
        """Begin a transaction on ``writer`` that keeps everybody else from writing, however long it takes."""

    @abstractmethod
    def forbid_writing(self) -> None:
        """Let the database refuse every further change of the audit trail and of CRL numbers, whoever is connected.

        To be called on ``writer``, in its transaction.
        """

    @abstractmethod
    def number_on(self) -> None:
        """Let ids go on after those that rows were copied with. To be called on ``writer``, in its transaction."""

    @abstractmethod
    def others(self) -> int:
        """How many other connections there are, as far as the database can tell."""

    @abstractmethod
    def explained(self, error: Exception) -> PrivysealError:
        """One of ``faults``, as an error of ours."""

    def catalog_version(self) -> int:
        """A number that changes whenever profiles or CAs change."""
        row = self.read_one("SELECT CAST(value AS BIGINT) FROM meta WHERE key = 'catalog'")
        return 0 if row is None else int(row[0])


def check_usable(connection: Connection, label: str) -> None:
    """Raises StoreTooNew, StoreMoved."""
    rows = connection.execute("SELECT key, value FROM meta WHERE key IN ('schema_version', 'moved_to', 'arriving')")
    found = dict(rows.fetchall())
    version = found.get("schema_version")
    if version is None or int(version) > KNOWN_VERSION:
        raise StoreTooNew(f"the store has schema version {version or 'none'}, this program knows up to {KNOWN_VERSION}")
    if MOVED in found:
        raise StoreMoved(f"the store {label} was moved to {found[MOVED]}")
    if ARRIVING in found:
        raise StoreMoved(
            f"the store {label} was filled by a move from {found[ARRIVING]} that has not ended",
            why="until the old store is marked as moved, both could sign",
            mend=("end the move: run the same privyseal store move once more",),
        )


def write_first_rows(connection: Connection, arriving: str) -> None:
    """What a new store holds; with ``arriving`` nobody uses it before the move from there has ended."""
    meta = "INSERT INTO meta (key, value) VALUES (?, ?)"
    connection.execute(meta, ("schema_version", str(KNOWN_VERSION)))
    connection.execute(meta, ("catalog", "1"))
    if arriving:
        connection.execute(meta, (ARRIVING, arriving))
    connection.execute("INSERT INTO audit_head (id, seq, digest) VALUES (1, 0, ?)", (GENESIS,))
