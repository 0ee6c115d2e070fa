# SPDX-License-Identifier: Apache-2.0
"""What was told of which end, and mails on their way. Marking and queueing are one transaction: told once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from privyseal.errors import PrivysealError
from privyseal.model.audit import AuditEvent
from privyseal.model.notice import Notice
from privyseal.store.committer import GroupCommitter
from privyseal.store.engine import Database, Row
from privyseal.store.moments import from_seconds, to_seconds
from privyseal.store.unit import Transaction

_FIRST_WAIT, _LONGEST_WAIT, _GIVEN_UP = 60, 6 * 3600, 7 * 86_400
_ROUND: Final = "noticed_at"
_NAMED: Final = 20
_COLUMNS: Final = "id, created_at, title, body, state, due_at, attempts, code, what"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One queued mail."""

    id: int
    created_at: datetime
    title: str
    body: str
    state: str
    due_at: datetime
    attempts: int
    code: int
    what: str


class NoticeBook:
    """Notices and mails."""

    def __init__(self, database: Database, committer: GroupCommitter) -> None:
        self._database = database
        self._committer = committer

    def looked_at(self) -> datetime | None:
        """When ends were last looked for."""
        row = self._database.read_one("SELECT CAST(value AS BIGINT) FROM meta WHERE key = ?", (_ROUND,))
        return None if row is None else from_seconds(row[0])

    def told(self, subject: str) -> int:
        """The highest percentage that was told of something; 0 before the first."""
        row = self._database.read_one("SELECT coalesce(max(percent), 0) FROM notices WHERE subject = ?", (subject,))
        return 0 if row is None else int(row[0])

    async def give(self, notices: Sequence[Notice], *, title: str, body: str) -> None:
        """Mark each as told, and queue the mail that tells of them where there is a ``title``.

        Whoever listens to events by webhook is told by the audit row.
        """

        def work(transaction: Transaction) -> None:
            now = to_seconds(transaction.now)
            transaction.execute(
                "INSERT INTO meta (key, value) VALUES (?,?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (_ROUND, str(now)),
            )
            for notice in notices:
                transaction.execute(
                    "INSERT INTO notices (subject, percent, at, ends_at) VALUES (?,?,?,?) "
                    "ON CONFLICT (subject, percent) DO NOTHING",
                    (notice.ending.subject, notice.percent, now, to_seconds(notice.ending.ends)),
                )
            if title:
                transaction.execute(
                    "INSERT INTO mails (created_at, title, body, state, due_at, attempts, code, what) "
                    "VALUES (?,?,?,'waiting',?,0,0,'')",
                    (now, title, body, now),
                )
            if not notices:
                return
            named = [
                {"subject": one.ending.subject, "percent": one.percent, "ends": f"{one.ending.ends:%Y-%m-%dT%H:%M:%SZ}"}
                for one in notices[:_NAMED]
            ]
            detail: dict[str, object] = {"count": len(notices), "nearest": named}
            transaction.audit(
                AuditEvent(event="notice.given", actor="service:notices", target="notices", detail=detail)
            )

        await self._committer.run(work)

    def due(self, *, now: datetime, most: int) -> tuple[Mail, ...]:
        """Mails whose turn it is."""
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM mails WHERE state = 'waiting' AND due_at <= ? ORDER BY due_at, id LIMIT ?",
            (to_seconds(now), most),
        )
        return tuple(_mail(row) for row in rows)

    def page(self, *, most: int) -> tuple[Mail, ...]:
        """The newest mails."""
        rows = self._database.read(f"SELECT {_COLUMNS} FROM mails ORDER BY id DESC LIMIT ?", (most,))
        return tuple(_mail(row) for row in rows)

    async def sent(self, mail: Mail) -> None:
        """The server took it."""

        def work(transaction: Transaction) -> None:
            transaction.execute(
                "UPDATE mails SET state = 'sent', attempts = attempts + 1, code = 0, what = '' WHERE id = ?", (mail.id,)
            )
            transaction.audit(AuditEvent(event="notice.sent", actor="service:notices", target=f"mail:{mail.id}"))

        await self._committer.run(work)

    async def failed(self, mail: Mail, error: PrivysealError) -> bool:
        """The server did not take it: later again, ever more rarely, for a week. Whether it was given up."""

        def work(transaction: Transaction) -> bool:
            now = to_seconds(transaction.now)
            over = now - to_seconds(mail.created_at) >= _GIVEN_UP
            wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(mail.attempts, 20))
            transaction.execute(
                "UPDATE mails SET state = ?, attempts = attempts + 1, due_at = ?, code = ?, what = ? WHERE id = ?",
                ("given-up" if over else "waiting", now + wait, error.code, error.what[:500], mail.id),
            )
            if over:
                detail: dict[str, object] = {"code": error.code}
                target = f"mail:{mail.id}"
                transaction.audit(
                    AuditEvent(event="notice.given-up", actor="service:notices", target=target, detail=detail)
                )
            return over

        return await self._committer.run(work)


def _mail(row: Row) -> Mail:
    return Mail(
        id=row[0],
        created_at=from_seconds(row[1]),
        title=row[2],
        body=row[3],
        state=row[4],
        due_at=from_seconds(row[5]),
        attempts=row[6],
        code=row[7],
        what=row[8],
    )
