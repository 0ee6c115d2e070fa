# SPDX-License-Identifier: Apache-2.0
"""A CRL with a million entries, published by the product from its store: seconds and memory."""

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

from cryptography import x509
from installation import found, opened
from processes import python, verdict

from privyseal.ca.crl import publish_crl
from privyseal.config import Settings, load_settings
from privyseal.x509.algorithms import KeyType
from privyseal.x509.tbs import revoked_entry

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
    connection.executemany("INSERT INTO revocations VALUES (?,?,?,?,NULL,?)", rows())
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
    published = asyncio.run(publish_crl(issuer, signer, ledger=application.status_book, now=application.clock.now()))
    seconds = time.perf_counter() - started
    figures = {"seconds": seconds, "octets": len(published.encoded), "before": before, "peak": peak_kilobytes()}
    print(json.dumps(figures))
    application.close()


def check(settings: Settings, count: int) -> None:
    """The stored CRL verifies with the CA's key and holds every entry."""
    application = opened(settings)
    try:
        issuer = application.catalog.issuer("issuing")
        latest = application.status_book.latest_crl(issuer.id)
        if latest is None:
            raise SystemExit("no CRL is stored")
        crl = x509.load_der_x509_crl(latest[3])
        key = x509.load_der_x509_certificate(issuer.view.encoded).public_key()
        if len(crl) != count or not crl.is_signature_valid(key):  # type: ignore[arg-type] # a CA's key can verify
            raise SystemExit(f"the CRL holds {len(crl)} entries or does not verify")
    finally:
        application.close()


def main() -> None:
    """Run, print, and end with 1 when a bar was missed (never in --quick)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="20,000 entries; the figures mean little")
    parser.add_argument("--publish", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.publish:
        publish(chosen.publish)
        return
    count, rounds = (20_000, 1) if chosen.quick else (1_000_000, 3)
    with tempfile.TemporaryDirectory(prefix="privyseal-bench-") as place:
        settings = found(Path(place) / "home", KeyType.RSA_2048)
        revoke(settings, count)
        runs = []
        for _ in range(rounds):
            command = [python(), __file__, "--publish", str(settings.home)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(done.stderr)
            runs.append(json.loads(done.stdout))
            print(
                f"{count} entries: {runs[-1]['seconds']:.2f} s, {runs[-1]['octets'] / 1e6:.1f} MB, "
                f"peak RSS {runs[-1]['peak'] / 1024:.0f} MB ({runs[-1]['before'] / 1024:.0f} MB before)",
                flush=True,
            )
        check(settings, count)
    seconds, peak = max(run["seconds"] for run in runs), max(run["peak"] for run in runs) / 1024
    ok = verdict("crl seconds, worst run", seconds, "less than 2", ok=seconds < 2)
    ok &= verdict("crl peak RSS in MB, worst run", peak, "less than 350", ok=peak < 350)
    if not ok and not chosen.quick:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
