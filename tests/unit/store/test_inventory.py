# SPDX-License-Identifier: Apache-2.0
"""Searching by the index and row by row gives the same, and what a plain reading of every record gives."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest

from privyseal.errors import CursorInvalid, StoreUnavailable
from privyseal.model.certificate import CertificateRecord, CertificateStatus, format_serial
from privyseal.model.revocation import CrlReason, Revocation
from privyseal.model.search.cursor import make_cursor, read_cursor
from privyseal.model.search.grammar import parse_search
from privyseal.model.search.query import Clause, Field, Holds, Search, Status, Within, fold
from privyseal.store.certificates import RECORD_COLUMNS, RECORD_SOURCE, record_from, serial_blob
from privyseal.store.search_index import indexed_blocks
from privyseal.store.search_terms import BLOCK, gather, members, pack, unpack
from privyseal.store.unit import Transaction
from tests.installation import ISSUING_CA, ROOT_CA, Installation, fixture_installation, fixture_installations
from tests.stores import fixture_store_engine, on_both_engines

__all__ = ["fixture_installation", "fixture_installations", "fixture_store_engine"]
pytest_generate_tests = on_both_engines


DAY = 86400
NAMES = ["LAPTOP-Ä1", "laptop-22", "Printer 3", "kiosk", "SRV%_5", "ΣΑΣ-6"]
SIDS = [None, "S-1-5-21-1-2-3-1104", "S-1-5-21-1-2-3-1105"]
PROFILES = ["wifi-device", "vpn"]
REASONS = [CrlReason.UNSPECIFIED, CrlReason.AFFILIATION_CHANGED, CrlReason.CERTIFICATE_HOLD]


def fill(installation: Installation, *, blocks: int = 2, each: int = 60, tail: int = 40) -> list[int]:
    """Certificates of every sort in so many blocks and above them, with a hole between; their ids."""
    chance, now = random.Random(4), int(installation.clock.now().timestamp())
    issuers = [installation.app.catalog.issuer(name).id for name in (ROOT_CA, ISSUING_CA)]
    devices = [installation.device(name).id for name in NAMES]
    first = 1 + max(row[0] for row in installation.rows("SELECT id FROM certificates"))
    places = [chance.randrange(first if block == 0 else block * BLOCK, (block + 1) * BLOCK) for block in range(blocks)
              for _ in range(each)]  # fmt: skip
    ids = sorted(set(places)) + [blocks * BLOCK + place for place in range(tail)]

    def work(transaction: Transaction) -> None:
        for number in ids:
            insert(transaction, number, chance, now=now, issuers=issuers, devices=devices)

    installation.run(installation.app.committer.run(work))
    return ids


def insert(
    transaction: Transaction, number: int, chance: random.Random, *, now: int, issuers: list[int], devices: list[int]
) -> None:
    start, life = now - chance.randrange(400) * DAY - chance.randrange(DAY), chance.choice([1, 30, 365, 730]) * DAY
    device, issuer = chance.choice([None, *range(len(devices))]), chance.choice(issuers)
    name = "nobody" if device is None else NAMES[device]
    transaction.execute(
        "INSERT INTO certificates (id, issuer_id, serial, kind, status, subject, san, profile, profile_revision, "
        "entity_id, not_before, not_after, protocol, requester, reserved_at, reserved_by, sid) "
        "VALUES (?,?,?,'end-entity','issued',?,?,?,?,?,?,?,?,?,?,'test',?)",
        (
            number, issuer, serial_blob((start << 96) + number), f"CN={name},O=Example", f"dns:{name}.example.com",
            chance.choice(PROFILES), chance.choice([1, 2]), None if device is None else devices[device], start,
            start + life, chance.choice(["scep", "operator"]), f"challenge:{chance.randrange(5)}", start,
            chance.choice(SIDS),
        ),
    )  # fmt: skip


def revoke_some(installation: Installation, ids: list[int], *, seed: int = 5) -> None:
    """Revokes every fourth of these, for one reason or another."""
    chance = random.Random(seed)
    for record in records(installation):
        if record.id in ids and record.revocation is None and chance.randrange(4) == 0:
            at = installation.clock.now() - timedelta(days=chance.randrange(60))
            issuer = installation.app.catalog.issuer(record.issuer).id
            revocation = Revocation(at.replace(microsecond=0), chance.choice(REASONS))
            installation.run(
                installation.app.status_book.revoke(issuer, record.serial, revocation=revocation, actor="test")
            )


def records(installation: Installation) -> list[CertificateRecord]:
    return [
        record_from(row)
        for row in installation.rows(f"SELECT {RECORD_COLUMNS} FROM {RECORD_SOURCE} ORDER BY c.id DESC")
    ]


# --- what a search means, told a second time ----------------------------------------------------------


def matches(record: CertificateRecord, search: Search) -> bool:
    return all(told(record, clause, search.now) is not clause.negated for clause in search.clauses)


def told(record: CertificateRecord, clause: Clause, now: int) -> bool:
    revocation = record.revocation
    if isinstance(clause, Within):
        moments = {
            Field.ISSUED: record.not_before,
            Field.ENDS: record.not_after,
            Field.REVOKED: None if revocation is None else revocation.at,
        }
        moment = moments[clause.field]
        if moment is None:
            return False
        seconds = int(moment.timestamp())
        return (clause.since is None or clause.since <= seconds) and (clause.until is None or seconds < clause.until)
    if isinstance(clause, Holds):
        names = {Field.SUBJECT: [record.subject], Field.SAN: [record.san]}.get(
            clause.field, [record.subject, record.san, record.entity]
        )
        return any(needle in fold(name) for needle in clause.needles for name in names)
    values: dict[Field, Any] = {
        Field.PROFILE: record.profile,
        Field.REVISION: str(record.profile_revision),
        Field.ISSUER: record.issuer,
        Field.VERSION: str(record.issuer_version),
        Field.KIND: record.kind.value,
        Field.PROTOCOL: record.protocol,
        Field.REQUESTER: record.requester,
        Field.REASON: revocation and revocation.reason.label,
        Field.ENTITY: record.entity,
        Field.DEVICE: record.entity,
        Field.USER: "",
        Field.SID: record.sid,
        Field.SERIAL: format_serial(record.serial),
    }
    if clause.field is Field.STATUS:
        return any(has_status(record, Status(value), now) for value in clause.values)
    return values[clause.field] in clause.values


def has_status(record: CertificateRecord, status: Status, now: int) -> bool:
    if record.status is CertificateStatus.REVOKED:
        held = record.revocation is not None and record.revocation.reason is CrlReason.CERTIFICATE_HOLD
        return status is Status.REVOKED or (status is Status.HELD and held)
    if record.status is CertificateStatus.RESERVED:
        return status is Status.RESERVED
    start, end = int(record.not_before.timestamp()), int(record.not_after.timestamp())
    if end <= now:
        return status is Status.EXPIRED
    late = (now - start) / (end - start) >= 0.8
    return status is Status.ACTIVE or status is (Status.EXPIRING if late else Status.VALID)


def some_searches(installation: Installation, count: int) -> list[str]:
    """Searches put together at random from words that find some and words that find none."""
    chance = random.Random(count)
    serial = format_serial(chance.choice(records(installation)).serial)
    words = [
        *(f"status:{status.value}" for status in Status), "status:expired,revoked", "profile:vpn", "profile:none",
        "profile:vpn,wifi-device", "revision:2", "issuer:issuing", "issuer:root,issuing", "issuer:none", "version:1",
        "version:9", "kind:end-entity", "kind:ca,ra", "protocol:scep", "requester:challenge:3", "requester:nobody",
        "reason:affiliation-changed", "reason:certificate-hold,unspecified", "entity:kiosk",
        "device:LAPTOP-Ä1,laptop-22",
        'entity:"Printer 3"', "user:kiosk", "entity:none", f"sid:{SIDS[1]}", f"sid:{SIDS[2]},S-1-5-18",
        f"serial:{serial}", "serial:01", "subject:example", "subject:kiosk", "san:dns", "san:SRV%_5.ex", "laptop",
        "LAPTOP-ä1", '"printer 3"', "%_5", "kio", "σας-6", "nothing-like-it", "kiosk,laptop", "ends:<30d", "ends:>1y",
        "ends:<=1d", "issued:<100d", "issued:>1y", "issued:2026-01-01..2026-06-30", "revoked:<30d", "revoked:>10d",
        "revoked:..2030-01-01", "ends:2026-12-01",
    ]  # fmt: skip
    chosen = [chance.sample(words, chance.choice([1, 1, 2, 2, 3])) for _ in range(count)]
    return words + [" ".join(chance.choice(["", "", "-"]) + word for word in some) for some in chosen]


def check_searches(installation: Installation, count: int) -> None:
    inventory, everything = installation.app.inventory, records(installation)
    hits = 0
    for text in some_searches(installation, count):
        search = parse_search(text, now=installation.clock.now())
        expected = [record for record in everything if matches(record, search)]
        assert list(inventory.page(search, limit=1000).records) == expected, text
        assert installation.run(inventory.count(search)) == len(expected), text
        hits += bool(expected)
    assert hits > count / 4, "the searches find too little to prove anything"


def test_rows_that_are_not_indexed_are_found(installation: Installation) -> None:
    ids = fill(installation)
    revoke_some(installation, ids)
    assert indexed_blocks(installation.app.database) == 0
    check_searches(installation, 150)


def test_indexed_rows_and_those_above_them_are_found(installation: Installation) -> None:
    ids = fill(installation)
    revoke_some(installation, ids[::2])
    assert installation.run(installation.app.search_index.extend(most=9)) == 2
    assert indexed_blocks(installation.app.database) == 2
    check_searches(installation, 400)


def test_what_is_revoked_or_released_after_indexing_is_seen_at_once(installation: Installation) -> None:
    ids = fill(installation)
    revoke_some(installation, ids)
    installation.run(installation.app.search_index.extend(most=9))
    revoke_some(installation, ids, seed=6)
    book = installation.app.status_book
    held = [record for record in records(installation) if has_status(record, Status.HELD, 0)]
    assert len(held) > 6
    for record in held[::2]:
        issuer = installation.app.catalog.issuer(record.issuer).id
        installation.run(book.release(issuer, record.serial, actor="test"))
    final = Revocation(installation.clock.now().replace(microsecond=0), CrlReason.SUPERSEDED)
    for record in held[1::4]:
        issuer = installation.app.catalog.issuer(record.issuer).id
        installation.run(book.revoke(issuer, record.serial, revocation=final, actor="test"))
    check_searches(installation, 200)


def test_the_clock_moves_certificates_from_one_status_to_the_next(installation: Installation) -> None:
    fill(installation)
    installation.run(installation.app.search_index.extend(most=9))
    for days in (1, 200):
        installation.clock.moved += timedelta(days=days, hours=5)
        check_searches(installation, 60)


def test_a_block_waits_for_what_is_still_reserved(installation: Installation) -> None:
    ids = fill(installation, blocks=1)

    def state(transaction: Transaction, word: str) -> None:
        transaction.execute("UPDATE certificates SET status = ? WHERE id = ?", (word, ids[3]))

    installation.run(installation.app.committer.run(lambda transaction: state(transaction, "reserved")))
    assert installation.run(installation.app.search_index.extend(most=9)) == 0
    installation.run(installation.app.committer.run(lambda transaction: state(transaction, "issued")))
    assert installation.run(installation.app.search_index.extend(most=9)) == 1


def test_the_worker_indexes(installation: Installation) -> None:
    fill(installation, blocks=1)
    installation.work()
    assert indexed_blocks(installation.app.database) == 1


def test_pages_follow_one_another_without_gap_or_repetition(installation: Installation) -> None:
    ids = fill(installation)
    installation.run(installation.app.search_index.extend(most=9))
    for text in ("", "profile:vpn", "laptop", "status:expired -protocol:scep"):
        search = parse_search(text, now=installation.clock.now())
        whole = installation.app.inventory.page(search, limit=1000)
        assert whole.cursor == ""
        seen: list[CertificateRecord] = []
        cursor, pages = "", 0
        while pages == 0 or cursor:
            page = installation.app.inventory.page(search, limit=7, cursor=cursor)
            seen, cursor, pages = [*seen, *page.records], page.cursor, pages + 1
        assert tuple(seen) == whole.records
        assert pages == max(1, -(-len(seen) // 7))
    assert len(ids) < 1000


def test_batches_give_everything(installation: Installation) -> None:
    fill(installation, each=700)
    installation.run(installation.app.search_index.extend(most=1))
    search = parse_search("profile:vpn", now=installation.clock.now())

    async def collected() -> list[CertificateRecord]:
        return [record async for some in installation.app.inventory.batches(search) for record in some]

    found = installation.run(collected())
    assert found == [record for record in records(installation) if matches(record, search)]
    assert len(found) > 500
    assert installation.run(installation.app.inventory.matching(search, most=510)) == [row.id for row in found[:510]]


def test_status_counts_of_each_ca_are_exact(installation: Installation) -> None:
    ids = fill(installation)
    installation.run(installation.app.search_index.extend(most=9))
    revoke_some(installation, ids)
    now = int(installation.clock.now().timestamp())
    everything = records(installation)
    for counts in installation.run(installation.app.inventory.status_counts(now=now)):
        own = [record for record in everything if record.issuer == counts.issuer]
        for status in (Status.ACTIVE, Status.VALID, Status.EXPIRING, Status.EXPIRED, Status.REVOKED):
            assert getattr(counts, status.value) == sum(has_status(record, status, now) for record in own)
        assert counts.total == len(own)


def test_a_cursor_is_good_for_its_own_search_only(installation: Installation) -> None:
    cursor = make_cursor("profile:vpn", 4711)
    assert read_cursor("profile:vpn", cursor) == 4711
    for other, given in (("profile:wifi", cursor), ("profile:vpn", cursor[:-1]), ("profile:vpn", "B" + cursor[1:]),
                          ("profile:vpn", "ä"), ("profile:vpn", cursor + "\n"), ("profile:vpn", "0")):  # fmt: skip
        with pytest.raises(CursorInvalid):
            read_cursor(other, given)
    search = parse_search("profile:wifi", now=installation.clock.now())
    for given in (cursor, make_cursor("profile:wifi", 1 << 63)):
        with pytest.raises(CursorInvalid):
            installation.app.inventory.page(search, limit=5, cursor=given)


def test_a_page_has_bounds(installation: Installation) -> None:
    for limit in (0, 1001):
        with pytest.raises(StoreUnavailable):
            installation.app.inventory.page(Search((), 0), limit=limit)


def test_sets_of_rows_are_stored_and_come_back() -> None:
    chance = random.Random(1)
    for size in (0, 1, 2, 255, 256, 257, 3000, BLOCK):
        rows = sorted(chance.sample(range(BLOCK), size))
        bits = gather(rows)
        assert members(bits) == rows
        assert unpack(pack(bits)) == bits
        assert len(pack(bits)) <= BLOCK // 8
