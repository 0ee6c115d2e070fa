# SPDX-License-Identifier: Apache-2.0
"""``audit verify`` on a stored trail that somebody touched with SQL."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from privyseal.errors import AuditBroken
from privyseal.model.audit import AuditEvent
from privyseal.store.audit import AuditTrail
from privyseal.store.committer import GroupCommitter
from privyseal.store.engine import Database


class Clock:
    """Stands still."""

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def trail_of_ten_rows(database: Database) -> None:
    committer = GroupCommitter(database, Clock())

    async def fill() -> None:
        for number in range(10):
            event = AuditEvent(event="noted", actor="test", target=str(number))
            await committer.run(lambda transaction, event=event: transaction.audit(event))

    asyncio.run(fill())


def test_an_untouched_trail_holds_and_gives_its_digest(database: Database) -> None:
    count, digest = AuditTrail(database).verify()
    assert count == 10
    assert digest == database.read("SELECT digest FROM audit_head")[0][0]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit WHERE seq = 4",
        "DELETE FROM audit WHERE seq = 1",
        "DELETE FROM audit WHERE seq > 7",
        "DELETE FROM audit",
        "UPDATE audit SET target = 'other' WHERE seq = 5",
        "UPDATE audit SET detail = '{}' || ' ' WHERE seq = 5",
        "UPDATE audit SET at = at + 1 WHERE seq = 10",
        "UPDATE audit SET seq = CASE seq WHEN 3 THEN -4 WHEN 4 THEN -3 ELSE seq END",
        "UPDATE audit_head SET seq = 9",
        "UPDATE audit_head SET digest = (SELECT digest FROM audit WHERE seq = 1)",
        "DELETE FROM audit_head",
    ],
)
def test_delete_reorder_change_and_truncate_are_each_caught(database: Database, statement: str) -> None:
    database.writer.execute(statement)
    if "-4" in statement:
        database.writer.execute("UPDATE audit SET seq = -seq WHERE seq < 0")
    with pytest.raises(AuditBroken):
        AuditTrail(database).verify()


def test_cutting_the_end_off_together_with_the_head_is_seen_by_who_kept_the_digest(database: Database) -> None:
    trail = AuditTrail(database)
    _, kept = trail.verify()
    database.writer.execute("DELETE FROM audit WHERE seq > 7")
    database.writer.execute("UPDATE audit_head SET seq = 7, digest = (SELECT digest FROM audit WHERE seq = 7)")
    count, digest = trail.verify()
    assert (count, digest == kept) == (7, False)


def test_after_a_broken_trail_was_seen_the_store_is_still_read_afresh(database: Database) -> None:
    trail = AuditTrail(database)
    database.writer.execute("UPDATE audit SET target = 'other' WHERE seq = 5")
    with pytest.raises(AuditBroken) as caught:
        trail.verify()
    database.writer.execute("UPDATE audit SET target = '4' WHERE seq = 5")
    assert trail.verify()[0] == 10
    assert caught.value.code == 9012


def test_pages_come_newest_first_and_can_be_filtered(database: Database) -> None:
    trail = AuditTrail(database)
    assert [row.seq for row in trail.page(before=0, limit=3)] == [10, 9, 8]
    assert [row.seq for row in trail.page(before=8, limit=2)] == [7, 6]
    assert trail.page(before=0, limit=5, event="ca.") == ()
