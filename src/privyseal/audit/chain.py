# SPDX-License-Identifier: Apache-2.0
"""Hash chain over audit events: each digest covers its event and the digest before (no I/O here).

Deleting, reordering or changing a row breaks the chain; cutting rows off its end is seen against the
head that is stored apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

from privyseal.errors import AuditBroken
from privyseal.model.audit import AuditEvent, AuditRow, microseconds

_encode: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode
GENESIS: Final = sha256(b"privyseal audit chain v1").digest()


def chain(event: AuditEvent, *, seq: int, at: datetime, previous: bytes) -> AuditRow:
    """The row that follows ``previous``."""
    detail = _detail(event.detail)
    digest = _digest(seq, at, (event.event, event.actor, event.target, detail), previous=previous)
    return AuditRow(
        seq=seq,
        at=at,
        event=event.event,
        actor=event.actor,
        target=event.target,
        detail=detail,
        digest=digest,
    )


def _detail(detail: dict[str, Any]) -> str:
    if len(detail) == 1:
        ((name, value),) = detail.items()
        if type(value) is str:
            return _of_one_text(name, value)
    return _encode(detail)


@lru_cache(maxsize=64)
def _of_one_text(name: str, value: str) -> str:
    return _encode({name: value})


def _digest(seq: int, at: datetime, texts: tuple[str, ...], *, previous: bytes) -> bytes:
    # Length-prefixed, so that no two different rows share an encoding.
    parts = [previous, seq.to_bytes(8, "big"), microseconds(at).to_bytes(8, "big")]
    for text in texts:
        raw = text.encode()
        parts += (len(raw).to_bytes(4, "big"), raw)
    return sha256(b"".join(parts)).digest()


def verify_chain(rows: Iterable[AuditRow], *, head_seq: int, head_digest: bytes) -> int:
    """Number of rows when all of them, in order, form the chain that ends in the stored head.

    Raises AuditBroken naming the first row that does not fit.
    """
    previous, count = GENESIS, 0
    for row in rows:
        count += 1
        if row.seq != count:
            raise AuditBroken(f"row {count} is missing or out of order: row {row.seq} stands in its place")
        if row.digest != _digest(row.seq, row.at, (row.event, row.actor, row.target, row.detail), previous=previous):
            raise AuditBroken(f"row {row.seq} was changed, or the row before it was")
        previous = row.digest
    if (count, previous) != (head_seq, head_digest):
        raise AuditBroken(f"the trail ends at row {count}, but its head says {head_seq}: rows were cut off the end")
    return count
