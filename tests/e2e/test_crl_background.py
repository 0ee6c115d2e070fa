# SPDX-License-Identifier: Apache-2.0
"""CRLs that nobody waits for, and large ones: published by the server, kept in parts."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from privyseal.model.revocation import CrlReason
from privyseal.worker import publish_as_wanted, publish_wanted
from privyseal.x509.tbs import revoked_entry
from tests.device import Device, parsed
from tests.e2e.test_crl_forms import crl_at, number_of, reason_in
from tests.e2e.test_status import GOOD, REVOKED, status
from tests.installation import Installation


def test_a_revocation_that_nobody_waits_for_is_published_by_the_worker(installation: Installation) -> None:
    app, device = installation.app, Device(installation)
    leaves = [device.enroll() for _ in range(3)]
    before = number_of(installation.crl())
    for leaf in leaves:
        serial = parsed(leaf).serial_number
        work = app.status.enter(
            installation.issuer, serial, reason=CrlReason.SUPERSEDED, invalid_since=None, actor="test"
        )  # fmt: skip
        installation.run(work)
    assert [status(installation, leaf) for leaf in leaves] == [REVOKED] * 3
    assert app.crl_wanted.is_set()
    installation.run(publish_wanted(app))
    assert not app.crl_wanted.is_set()
    assert number_of(installation.crl()) == before + 1  # one CRL for all
    assert all(reason_in(installation.crl(), leaf) for leaf in leaves)
    assert app.status.due(installation.issuer) == ()


def test_a_large_crl_is_kept_in_parts_and_those_of_older_ones_are_removed(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Small for the test's sake: what counts as large, a part of a CRL, and how many entries are read at once.
    monkeypatch.setattr("privyseal.ca.crl.LARGE", 1000)
    monkeypatch.setattr("privyseal.x509.algorithms.LARGE", 1000)
    monkeypatch.setattr("privyseal.store.crls._PART", 2000)
    monkeypatch.setattr("privyseal.store.crls._ENTRIES_AT_ONCE", 37)
    monkeypatch.setattr("privyseal.x509.lint_crl._ENTRIES_AT_ONCE", 41)
    issuer, since = installation.issuer, datetime(2026, 1, 1, tzinfo=UTC)
    entries = [revoked_entry(1 << 120 | index, since, reason=4) for index in range(300)]
    with sqlite3.connect(installation.app.database.path) as database:
        database.executemany(
            "INSERT INTO revocations (certificate_id, issuer_id, shard, after_number, at, reason, entry) "
            "VALUES (?,?,0,1,1700000000,4,?)",
            [(10**6 + number, issuer.id, entry) for number, entry in enumerate(entries)],
        )
    leaf = Device(installation).enroll()
    for _ in range(3):
        if status(installation, leaf) is GOOD:
            installation.revoke(leaf, CrlReason.SUPERSEDED)
        else:
            installation.clock.moved += timedelta(days=4)
            installation.work()
        crl = crl_at(installation, "/crl/issuing/v1.crl")
        assert len({entry.serial_number for entry in crl}) == len(crl) == 301
    parts = installation.rows("SELECT number, count(*) FROM crl_parts WHERE issuer_id = ? GROUP BY number", issuer.id)
    assert len(parts) == 1
    assert parts[0][0] == number_of(installation.crl())
    assert parts[0][1] > 5


def test_a_serving_process_publishes_what_it_revoked_without_a_turn_and_without_delay(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("privyseal.worker.REST_SECONDS", 0.0)
    app, leaf = installation.app, Device(installation).enroll()
    before = number_of(installation.crl())

    async def serve_and_revoke() -> None:
        task = asyncio.create_task(publish_as_wanted(app))
        await app.status.enter(
            installation.issuer, parsed(leaf).serial_number, reason=CrlReason.SUPERSEDED, invalid_since=None,
            actor="test",
        )  # fmt: skip
        async with asyncio.timeout(10):
            while app.status.due(installation.issuer):
                await asyncio.sleep(0.01)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    installation.run(serve_and_revoke())
    assert number_of(installation.crl()) == before + 1
    assert reason_in(installation.crl(), leaf) is x509.ReasonFlags.superseded
