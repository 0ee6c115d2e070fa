# SPDX-License-Identifier: Apache-2.0
"""Until when relying parties accept a certificate that is revoked now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from privyseal.model.crl import CrlFacts
from privyseal.status.forecast import forecast

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
END = NOW + timedelta(days=300)
HOUR = timedelta(hours=1)


def crl(number: int, days: float, *, base: int | None = None) -> CrlFacts:
    return CrlFacts(
        number=number, shard=0, base_number=base, this_update=NOW - HOUR, next_update=NOW + timedelta(days=days),
        octets=1, digest=b"",
    )  # fmt: skip


def test_the_last_crl_that_somebody_may_hold_decides() -> None:
    found = forecast([crl(5, 4), crl(7, 7), crl(6, 5.5)], now=NOW, ocsp_validity=HOUR, not_after=END)
    assert [held.number for held in found.crls] == [7, 6, 5]
    assert found.crl_until == found.everybody == NOW + timedelta(days=7)
    assert found.ocsp_until == NOW + HOUR
    assert found.delta_until is None


def test_who_follows_deltas_learns_of_it_earlier() -> None:
    found = forecast([crl(5, 4), crl(6, 1, base=5)], now=NOW, ocsp_validity=HOUR, not_after=END)
    assert (found.delta_until, found.crl_until) == (NOW + timedelta(days=1), NOW + timedelta(days=4))
    assert found.everybody == NOW + timedelta(days=4)


def test_nobody_accepts_it_after_its_own_end_or_by_a_crl_that_is_over() -> None:
    found = forecast([crl(5, -1), crl(6, 7)], now=NOW, ocsp_validity=HOUR, not_after=NOW + timedelta(minutes=30))
    assert [held.number for held in found.crls] == [6]
    assert found.everybody == found.ocsp_until == NOW + timedelta(minutes=30)


def test_without_any_crl_only_ocsp_answers_are_out() -> None:
    found = forecast([], now=NOW, ocsp_validity=HOUR, not_after=END)
    assert found.crl_until is None
    assert found.everybody == NOW + HOUR
