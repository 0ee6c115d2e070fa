# SPDX-License-Identifier: Apache-2.0
"""A CRL with a million entries, published by the product from its store: seconds, memory, and who waits for it."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from installation import PROFILE, PROFILE_DATA, found, opened
from processes import python, verdict

from privyseal.adapters.keys_subscriber import certification_request, make_key
from privyseal.bootstrap import Application
from privyseal.config import Settings, load_settings
from privyseal.model.crl import CrlScope
from privyseal.model.entity import EntityKind
from privyseal.model.profile_text import profile_from_data
from privyseal.model.revocation import CrlReason
from privyseal.x509.algorithms import KeyType
from privyseal.x509.csr import parse_request
from privyseal.x509.tbs import revoked_entry

_REVOKED = 20
_DEVICE = "WAITING"
_REQUEST = parse_request(certification_request(make_key(profile_from_data(PROFILE_DATA).key_rules)))
_REASONS = (1, 3, 4, 4, 5, 5, 9, 9, 0, 0)  # eight of ten entries carry a reason


def revoke(settings: Settings, count: int) -> None:
    """Put revocations into the store, each with the entry that revoking would have written."""
    application = opened(settings)
    issuer, connection = application.catalog.issuer("issuing"), application.database.writer
    now = datetime.now(UTC).replace(microsecond=0)

    def rows() -> Iterator[tuple[int, int, int, int, bytes]]:
        for index in range(count):
            at, reason = now - timedelta(seconds=count - index), _REASONS[index % 10]
            serial = int(at.timestamp()) << 96 | secrets.randbits(96)
            yield index + 1_000_000, issuer.id, int(at.timestamp()), reason, revoked_entry(serial, at, reason=reason)

    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO revocations (certificate_id, issuer_id, shard, after_number, at, reason, entry) "
        "VALUES (?,?,0,0,?,?,?)",
        rows(),
    )
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    application.close()


def peak_kilobytes() -> int:
    """Peak RSS of this process. Not ru_maxrss: that begins with what the parent had when it forked."""
    found_peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found_peak[1]) if found_peak else 0


def publish(home: Path) -> None:
    """In a process of its own: publish, and tell seconds, octets and peak memory."""
    application = opened(load_settings(home))
    issuer = application.catalog.issuer("issuing")
    signer = application.catalog.signer(issuer.id)
    before = peak_kilobytes()
    started = time.perf_counter()
    published = asyncio.run(application.status.publish(issuer, signer, CrlScope()))
    seconds = time.perf_counter() - started
    figures = {"seconds": seconds, "octets": published.octets, "before": before, "peak": peak_kilobytes()}
    print(json.dumps(figures))
    application.close()


def accompany(home: Path) -> None:
    """In a process of its own: revoke and issue one by one while the CRL is built; the longest that anybody waited."""
    application = opened(load_settings(home))
    print(json.dumps(asyncio.run(_accompany(application))))
    application.close()


async def _accompany(application: Application) -> dict[str, float]:
    issuer, serials = application.catalog.issuer("issuing"), await _issued(application, _REVOKED)
    signer = application.catalog.signer(issuer.id)
    latencies = []
    for serial in serials:
        started = time.perf_counter()
        await application.status.enter(
            issuer, serial, reason=CrlReason.SUPERSEDED, invalid_since=None, actor="bench"
        )  # fmt: skip
        latencies.append(time.perf_counter() - started)
    quiet = await _issuing(application, asyncio.create_task(asyncio.sleep(2)))
    loop_pauses: list[float] = []
    ticking = asyncio.create_task(_tick(loop_pauses))
    building = asyncio.create_task(application.status.publish(issuer, signer, CrlScope()))
    issuing = await _issuing(application, building)
    ticking.cancel()
    return {
        "revocation": max(latencies),
        "loop": max(loop_pauses),
        "issuance": max(issuing),
        "issued": len(issuing),
        "quiet": max(quiet),
    }


async def _tick(pauses: list[float]) -> None:
    """How late a timer of one millisecond comes."""
    while True:
        started = time.perf_counter()
        await asyncio.sleep(0.001)
        pauses.append(time.perf_counter() - started - 0.001)


async def _issued(application: Application, count: int) -> list[int]:
    issuing = [await _issue(application) for _ in range(count)]
    return [x509.load_der_x509_certificate(certificate).serial_number for certificate in issuing]


async def _issuing(application: Application, until: asyncio.Task[Any]) -> list[float]:
    """Seconds of each of the certificates that were issued, one after the other, until this task ended."""
    seconds = []
    while not until.done():
        started = time.perf_counter()
        await _issue(application)
        seconds.append(time.perf_counter() - started)
    await until
    return seconds


async def _issue(application: Application) -> bytes:
    device = application.entities.named(EntityKind.DEVICE, _DEVICE)
    return (await application.registration.issue_for(device, PROFILE, _REQUEST, requester="bench")).certificate


def check(settings: Settings, count: int) -> None:
    """The stored CRL verifies with the CA's key and holds every entry."""
    application = opened(settings)
    try:
        issuer = application.catalog.issuer("issuing")
        latest = application.crls.in_force(issuer.id, CrlScope())
        if latest is None:
            raise SystemExit("no CRL is stored")
        crl = x509.load_der_x509_crl(application.crls.encoded(issuer.id, latest.number))
        key = x509.load_der_x509_certificate(issuer.view.encoded).public_key()
        if len(crl) != count or not crl.is_signature_valid(key):  # type: ignore[arg-type] # a CA's key can verify
            raise SystemExit(f"the CRL holds {len(crl)} entries or does not verify")
    finally:
        application.close()


def apart(what: str, settings: Settings) -> dict[str, float]:
    """What this script says when it is run with this option."""
    command = [python(), __file__, what, str(settings.home)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def make_device(settings: Settings) -> None:
    """Whom certificates are issued to while the CRL is built."""
    application = opened(settings)
    names = {"name": _DEVICE, "dns_name": "waiting.example.com", "sid": "S-1-5-21-1-2-3-1105"}
    asyncio.run(application.entities.create(EntityKind.DEVICE, names, actor="bench"))
    application.close()


def main() -> None:
    """Run, print, and end with 1 when a bar was missed (never in --quick)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="20,000 entries; the figures mean little")
    parser.add_argument("--publish", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--accompany", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.accompany:
        accompany(chosen.accompany)
        return
    if chosen.publish:
        publish(chosen.publish)
        return
    count, rounds = (20_000, 1) if chosen.quick else (1_000_000, 3)
    with tempfile.TemporaryDirectory(prefix="privyseal-bench-") as place:
        settings = found(Path(place) / "home", KeyType.RSA_2048)
        revoke(settings, count)
        runs, waits = [], []
        for _ in range(rounds):
            runs.append(apart("--publish", settings))
            print(
                f"{count} entries: {runs[-1]['seconds']:.2f} s, {runs[-1]['octets'] / 1e6:.1f} MB, "
                f"peak RSS {runs[-1]['peak'] / 1024:.0f} MB ({runs[-1]['before'] / 1024:.0f} MB before)",
                flush=True,
            )
        check(settings, count)
        make_device(settings)
        for _ in range(rounds):
            waits.append(apart("--accompany", settings))
            print(
                f"one more revocation: {waits[-1]['revocation'] * 1000:.1f} ms at most; meanwhile the loop pauses "
                f"{waits[-1]['loop'] * 1000:.0f} ms, one of {waits[-1]['issued']:.0f} certificates takes "
                f"{waits[-1]['issuance'] * 1000:.0f} ms ({waits[-1]['quiet'] * 1000:.0f} ms when no CRL is built)",
                flush=True,
            )
    seconds, peak = max(run["seconds"] for run in runs), max(run["peak"] for run in runs) / 1024
    ok = verdict("crl seconds, worst run", seconds, "less than 2", ok=seconds < 2)
    ok &= verdict("crl peak RSS in MB, worst run", peak, "less than 350", ok=peak < 350)
    revocation = max(wait["revocation"] for wait in waits) * 1000
    loop = sorted(wait["loop"] for wait in waits)[len(waits) // 2] * 1000
    issuance = sorted(wait["issuance"] for wait in waits)[len(waits) // 2] * 1000
    ok &= verdict("ms for one more revocation, worst", revocation, "less than 50", ok=revocation < 50)
    ok &= verdict("ms that the loop pauses, median of the runs' worst", loop, "less than 100", ok=loop < 100)
    ok &= verdict("ms of an issuance, median of the runs' worst", issuance, "less than 100", ok=issuance < 100)
    if not ok and not chosen.quick:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
