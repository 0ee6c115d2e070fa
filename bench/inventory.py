# SPDX-License-Identifier: Apache-2.0
"""Searching the inventory: pages of every kind of search at 10,000 and at a million certificates, and exact counts."""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from installation import found, opened
from processes import verdict

from privyseal.bootstrap import Application
from privyseal.model.certificate import format_serial
from privyseal.model.revocation import CrlReason, Revocation
from privyseal.model.search.grammar import parse_search
from privyseal.store.moments import from_seconds
from privyseal.store.schema import revocations
from privyseal.store.search_index import indexed_blocks
from privyseal.store.search_terms import BLOCK
from privyseal.x509.algorithms import KeyType
from privyseal.x509.tbs import revoked_entry

SMALL: Final = 10_000
# As many rows above the last indexed block as with 10,000, so that the same part of both is read row by row.
LARGE: Final = 61 * BLOCK + SMALL % BLOCK
_DAY: Final = 86400
_PAGE: Final = 50
_PROFILES: Final = ("wifi-device", "vpn-device", "wifi-user", "printer")
_CERTIFICATE: Final = (
    "INSERT INTO certificates (id, issuer_id, serial, kind, status, subject, san, profile, profile_revision, "
    "entity_id, not_before, not_after, protocol, requester, reserved_at, reserved_by, sid) "
    "VALUES (?,?,?,'end-entity',?,?,?,?,1,?,?,?,?,?,?,'bench',?)"
)


class Filling:
    """Certificates as a company has them after two years: of four profiles, every tenth revoked, a third expired."""

    def __init__(self, application: Application, count: int) -> None:
        self._chance = random.Random(1)
        self._now = int(application.clock.now().timestamp())
        self._issuer = application.catalog.issuer("issuing").id
        self._count = count
        rows = application.database.read("SELECT max(id) FROM certificates")
        self.first = int(rows[0][0]) + 1
        self.entities: list[tuple[object, ...]] = []
        self.certificates: list[tuple[object, ...]] = []
        self.revocations: list[tuple[object, ...]] = []

    def add(self, index: int) -> None:
        """One more."""
        chance, number = self._chance, self.first + index
        start = self._now - 730 * _DAY + index * 730 * _DAY // self._count
        mark = f"{chance.getrandbits(32):08x}"
        name, serial = f"LAPTOP-{mark}-{index}", start << 96 | chance.getrandbits(96)
        revoked = chance.randrange(10) == 0
        profile = _PROFILES[min(chance.randrange(10), 3) if index % 1000 else 3]
        self.entities.append((number, name, start))
        self.certificates.append(
            (
                number, self._issuer, serial.to_bytes(16, "big"), "revoked" if revoked else "issued",
                f"CN={name},O=Bench", f"dns:{name.lower()}.example.com", profile, number, start,
                start + chance.choice((365, 365, 365, 90)) * _DAY, chance.choice(("scep", "scep", "operator")),
                f"challenge:{number}", start, f"S-1-5-21-1004336348-1177238915-{index}-1105",
            )
        )  # fmt: skip
        if revoked:
            at, reason = min(start + chance.randrange(60) * _DAY, self._now), chance.choice((0, 1, 4, 5, 9))
            entry = revoked_entry(serial, from_seconds(at), reason=reason)
            self.revocations.append((number, self._issuer, at, reason, entry))


def fill(application: Application, count: int) -> None:
    """Put certificates into the store by SQL: the rows that searching looks at, not the certificates' bytes."""
    filling, writer = Filling(application, count), application.database.writer
    writer.execute("BEGIN")
    for start in range(0, count, 50_000):
        for index in range(start, min(start + 50_000, count)):
            filling.add(index)
        writer.executemany(
            "INSERT INTO entities (id, kind, name, attributes, enabled, created_at) VALUES (?,'device',?,'{}',1,?)",
            filling.entities,
        )
        writer.executemany(_CERTIFICATE, filling.certificates)
        writer.executemany(_revocation_insert(), filling.revocations)
        for rows in (filling.entities, filling.certificates, filling.revocations):
            rows.clear()
    writer.execute("COMMIT")


def _revocation_insert() -> str:
    """What searching needs of a revocation; every other column that wants a value gets 0."""
    named = ["certificate_id", "issuer_id", "at", "reason", "entry"]
    rest = [column.name for column in revocations.columns if not column.nullable and column.name not in named]
    values = ["?"] * len(named) + ["0"] * len(rest)
    return f"INSERT INTO revocations ({', '.join(named + rest)}) VALUES ({', '.join(values)})"


def searches(application: Application, count: int) -> dict[str, Callable[[], str]]:
    """Kinds of searches, each giving another one of its kind whenever it is called."""
    chance = random.Random(2)
    low = int(application.database.read("SELECT max(id) FROM certificates")[0][0]) - count

    def row(column: str) -> str:
        number = low + chance.randrange(1, count)
        found_row = application.database.read(f"SELECT {column} FROM certificates WHERE id = ?", (number,))[0][0]
        return format_serial(int.from_bytes(found_row, "big")) if isinstance(found_row, bytes) else str(found_row)

    def mark() -> str:
        return row("subject")[3:].partition(",")[0]

    return {
        "everything": lambda: "",
        "one profile": lambda: f"profile:{chance.choice(_PROFILES[:3])}",
        "a rare profile": lambda: f"profile:{_PROFILES[3]}",
        "expiring": lambda: "status:expiring",
        "expiring in 30 days": lambda: f"status:active ends:<{chance.randrange(20, 40)}d profile:wifi-device",
        "expired, not revoked": lambda: "status:expired -status:revoked",
        "revoked for a compromise": lambda: "status:revoked reason:key-compromise profile:vpn-device",
        "revoked in one week": lambda: f"revoked:<{chance.randrange(5, 9)}d",
        "issued in one month": lambda: "issued:2025-06-01..2025-06-30",
        "one device": lambda: f"device:{mark()}",
        "one serial": lambda: f"serial:{row('serial')}",
        "one SID": lambda: f"sid:{row('sid')}",
        "one requester": lambda: f"requester:{row('requester')}",
        "text of one": lambda: mark()[:15].lower(),
        "text of a few": lambda: mark()[7:12],
        "text of all": lambda: "example.com",
        "text of none": lambda: f"zzz{chance.randrange(1000)}qqq",
        "nothing fits": lambda: "profile:vpn-device protocol:est status:active",
        "all but": lambda: f"-profile:{_PROFILES[0]} -protocol:scep -text:laptop-0",
    }


Figures = dict[str, list[tuple[float, float]]]


def measure(application: Application, count: int, rounds: int) -> Figures:
    """Milliseconds and CPU milliseconds of a page for each kind of search; a third of them are second pages."""
    figures: Figures = {}
    for kind, make in searches(application, count).items():
        taken = figures.setdefault(kind, [])
        for number in range(rounds + 2):
            search, cursor = parse_search(make(), now=application.clock.now()), ""
            if number % 3 == 2:
                cursor = application.inventory.page(search, limit=_PAGE).cursor
            started, cpu = time.perf_counter(), time.process_time()
            application.inventory.page(search, limit=_PAGE, cursor=cursor)
            if number > 1:
                taken.append(((time.perf_counter() - started) * 1000, (time.process_time() - cpu) * 1000))
    return figures


async def counts(application: Application) -> None:
    """Exact counts, with the time that they take."""
    for text in ("", "status:revoked", "status:active profile:wifi-device", "ends:<30d", "laptop-00"):
        search = parse_search(text, now=application.clock.now())
        started = time.perf_counter()
        number = await application.inventory.count(search)
        print(f"  count {text or 'everything':34} {number:9} in {time.perf_counter() - started:6.3f} s", flush=True)
    started = time.perf_counter()
    totals = await application.inventory.status_counts(now=int(application.clock.now().timestamp()))
    taken = time.perf_counter() - started
    print(f"  count of each status of each CA      {sum(row.total for row in totals):9} in {taken:6.3f} s", flush=True)


async def revoke_some(application: Application, count: int, rounds: int) -> float:
    """Worst milliseconds of one more revocation, the index kept exact in its transaction."""
    issuer, chance, worst = application.catalog.issuer("issuing"), random.Random(3), 0.0
    low = int(application.database.read("SELECT max(id) FROM certificates")[0][0]) - count
    rows = application.database.read(
        "SELECT serial FROM certificates WHERE id > ? AND status = 'issued' LIMIT ?",
        (low + chance.randrange(count // 2), rounds),
    )
    now = application.clock.now().replace(microsecond=0)
    for (serial,) in rows:
        started = time.perf_counter()
        await application.status_book.revoke(
            issuer.id, int.from_bytes(serial, "big"), revocation=Revocation(now, CrlReason.SUPERSEDED), actor="bench"
        )
        worst = max(worst, (time.perf_counter() - started) * 1000)
    return worst


def run(place: Path, count: int, rounds: int) -> tuple[Figures, float]:
    """Everything at one size: milliseconds by kind of search, and of the slowest revocation."""
    application = opened(found(place, KeyType.P256))
    try:
        started = time.perf_counter()
        fill(application, count)
        filled = time.perf_counter()
        built = asyncio.run(application.search_index.extend(most=1_000_000))
        indexed = time.perf_counter() - filled
        print(f"{count} certificates: filled in {filled - started:.0f} s; {built} blocks indexed in {indexed:.1f} s, "
              f"{count - indexed_blocks(application.database) * BLOCK} rows above them", flush=True)  # fmt: skip
        figures = measure(application, count, rounds)
        asyncio.run(counts(application))
        return figures, asyncio.run(revoke_some(application, count, rounds))
    finally:
        application.close()


def p95(taken: list[tuple[float, float]]) -> float:
    """The 95th of a hundred, by the clock."""
    return sorted(wall for wall, _ in taken)[int(len(taken) * 0.95)]


def cost(taken: list[tuple[float, float]]) -> float:
    """Median of the CPU milliseconds: what else the machine does is not in it."""
    return statistics.median(cpu for _, cpu in taken)


def main() -> None:
    """Run, print, and end with 1 when a bar was missed (never in --quick)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="6,000 and 12,000; the figures mean little")
    chosen = parser.parse_args()
    small, large, rounds = (6_000, 12_000, 5) if chosen.quick else (SMALL, LARGE, 60)
    with tempfile.TemporaryDirectory(prefix="privyseal-bench-") as place:
        few, _ = run(Path(place) / "small", small, rounds)
        many, revocation = run(Path(place) / "large", large, rounds)
    ratios = {}
    for kind, taken in many.items():
        ratios[kind] = cost(taken) / cost(few[kind])
        print(
            f"{kind:26} CPU {cost(few[kind]):6.2f} -> {cost(taken):6.2f} ms   "
            f"p95 {p95(few[kind]):6.2f} -> {p95(taken):6.2f} ms   ratio {ratios[kind]:.2f}"
        )
    total = sum(map(cost, many.values())) / sum(map(cost, few.values()))
    slowest = max(map(p95, many.values()))
    first = p95(many["everything"])
    ok = verdict("inventory first page p95 in ms", first, "less than 100", ok=first < 100)
    ok &= verdict("inventory slowest search page p95 in ms", slowest, "less than 100", ok=slowest < 100)
    ok &= verdict("inventory CPU of all kinds of pages, large / small", total, "at most 1.50", ok=total <= 1.5)
    dearest = max(map(cost, many.values())) / max(map(cost, few.values()))
    ok &= verdict(
        "inventory CPU of the dearest kind of page, large / small", dearest, "at most 1.50", ok=dearest <= 1.5
    )
    kind = max(ratios, key=lambda name: ratios[name])
    print(f"largest ratio of one kind: {ratios[kind]:.2f}, {kind}: {cost(few[kind]):.2f} -> {cost(many[kind]):.2f} ms")
    ok &= verdict("inventory slowest revocation in ms", revocation, "less than 50", ok=revocation < 50)
    if not ok and not chosen.quick:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
