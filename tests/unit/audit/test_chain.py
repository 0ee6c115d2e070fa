# SPDX-License-Identifier: Apache-2.0
"""The chain of audit events: each way of tampering is caught, and a true chain holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privyseal.audit.chain import GENESIS, chain, verify_chain
from privyseal.errors import AuditBroken
from privyseal.model.audit import AuditEvent, AuditRow, from_microseconds, microseconds

START = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def rows(count: int = 6) -> list[AuditRow]:
    """A true chain."""
    found: list[AuditRow] = []
    previous = GENESIS
    for number in range(1, count + 1):
        event = AuditEvent(event=f"event.{number}", actor="test", target=f"thing:{number}", detail={"n": number})
        row = chain(event, seq=number, at=START + timedelta(seconds=number), previous=previous)
        previous = row.digest
        found.append(row)
    return found


def verify(found: list[AuditRow], head: AuditRow) -> int:
    return verify_chain(found, head_seq=head.seq, head_digest=head.digest)


def test_a_true_chain_holds() -> None:
    found = rows()
    assert verify(found, found[-1]) == 6
    assert verify_chain([], head_seq=0, head_digest=GENESIS) == 0


TAMPERINGS: dict[str, Callable[[list[AuditRow]], list[AuditRow]]] = {
    "the first deleted": lambda found: found[1:],
    "one in the middle deleted": lambda found: [*found[:2], *found[3:]],
    "one deleted and the rest renumbered": lambda found: [
        *found[:2], *(replace(row, seq=row.seq - 1) for row in found[3:])],
    "two swapped": lambda found: [found[0], found[2], found[1], *found[3:]],
    "two swapped and renumbered": lambda found: [
        found[0], replace(found[2], seq=2), replace(found[1], seq=3), *found[3:]],
    "the last cut off": lambda found: found[:-1],
    "all cut off": lambda found: [],
    "one repeated": lambda found: [*found[:3], found[2], *found[3:]],
    "one appended": lambda found: [
        *found, chain(AuditEvent(event="x", actor="x", target="x"), seq=7, at=START, previous=found[-1].digest)],
    "the first written anew": lambda found: [
        chain(AuditEvent(event="x", actor="x", target="x"), seq=1, at=START, previous=GENESIS), *found[1:]],
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERINGS)
def test_tampering_is_caught(name: str) -> None:
    found = rows()
    with pytest.raises(AuditBroken):
        verify(TAMPERINGS[name](found), found[-1])


@pytest.mark.parametrize("field", ["at", "event", "actor", "target", "detail", "digest"])
@pytest.mark.parametrize("position", [0, 3, 5])
def test_a_change_of_any_field_is_caught_and_the_row_named(position: int, field: str) -> None:
    found = rows()
    values: dict[str, Any] = {"at": START, "detail": '{"n":9}', "digest": bytes(32)}
    found[position] = replace(found[position], **{field: values.get(field, "changed")})
    with pytest.raises(AuditBroken, match=r"row \d"):
        verify(found, rows()[-1])


def test_moving_a_letter_from_one_field_to_the_next_is_caught() -> None:
    found = rows()
    row = found[2]
    found[2] = replace(row, event=row.event + row.actor[0], actor=row.actor[1:])
    with pytest.raises(AuditBroken):
        verify(found, found[-1])


@given(count=st.integers(0, 250_000_000_000_000_000))
def test_moments_survive_being_stored_to_the_microsecond(count: int) -> None:
    at = from_microseconds(count)
    assert microseconds(at) == count


@given(texts=st.lists(st.text(), min_size=3, max_size=3), detail=st.dictionaries(st.text(), st.text()))
def test_any_text_can_be_chained(texts: list[str], detail: dict[str, str]) -> None:
    event = AuditEvent(event=texts[0], actor=texts[1], target=texts[2], detail=detail)
    row = chain(event, seq=1, at=START, previous=GENESIS)
    assert verify([row], row) == 1
