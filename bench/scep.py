# SPDX-License-Identifier: Apache-2.0
"""SCEP issuance: server CPU per certificate against the three private-key operations that it cannot avoid.

RSA-2048 everywhere, store on disk with synchronous=FULL. Beside it micromdm's scepserver with the same messages.
"""

from __future__ import annotations

import argparse
import secrets
import subprocess
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from installation import PROFILE, enrolling_devices, fill, found, free_port, opened, server
from messages import Client, build_messages, ca_certificates, clients, try_one
from processes import ROOT, Load, Server, Shots, cpu_of, fire, verdict, write_shots

from privyseal.config import Settings
from privyseal.x509.algorithms import KeyType

_MOST_PER_SECOND: Final = 1400
_PEER_PER_SECOND: Final = 600
_JUDGED: Final = (16, 64)


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how much."""

    seconds: int
    rounds: int
    stored: int
    clients: int


class RawOperations:
    """One RSA decryption and two signatures with the ``cryptography`` wheel: RA, CA, RA. CPU seconds."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._wrapped = self._key.public_key().encrypt(secrets.token_bytes(32), padding.PKCS1v15())
        self.seen: list[float] = []

    def _once(self) -> None:
        self._key.decrypt(self._wrapped, padding.PKCS1v15())
        for _ in range(2):
            self._key.sign(self._wrapped, padding.PKCS1v15(), hashes.SHA256())

    def measure(self) -> float:
        """The mean of a few hundred; called between loads, so that both meet the same machine."""
        self.seen.append(cpu_of(self._once, 400))
        return self.seen[-1]


class Contender:
    """A running SCEP server with messages that it has not seen yet."""

    def __init__(self, running: Server, url: str, file: Path, minimum: int) -> None:
        self.running = running
        self._url = url
        self._file = file
        self._minimum = minimum
        self._next = 0

    def fire(self, connections: int, seconds: int, count: int) -> Load:
        """Load it; every message is used once."""
        shots = Shots(
            url=f"{self._url}?operation=PKIOperation", file=self._file, first=self._next, count=count,
            minimum=self._minimum,
        )  # fmt: skip
        self._next += count
        return fire(self.running, shots, connections=connections, seconds=seconds)


def ours(stack: ExitStack, settings: Settings, who: list[Client], count: int) -> Contender:
    """Our server on this installation with ``count`` messages ready."""
    challenges = enrolling_devices(settings, count + 1)
    url = f"{settings.public_url}/scep/{PROFILE}"
    running = stack.enter_context(server(settings))
    recipient = ca_certificates(url)[0]
    file = settings.home / "messages"
    write_shots(file, build_messages(who, recipient, challenges[1:]))
    size = try_one(url, who[0], recipient, challenges[0])
    return Contender(running, url, file, size - 100)


def scepserver(stack: ExitStack, who: list[Client], count: int) -> Contender | None:
    """micromdm's server with a fresh depot in the Debian 13 root directory, or None when that is not there."""
    found_root = subprocess.run(
        [str(ROOT / "tools" / "trixie-chroot"), "--find"], capture_output=True, text=True, check=False
    )
    root = Path(found_root.stdout.strip() or "/nonexistent")
    if not (root / "usr/bin/scepserver").exists():
        return None
    place = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=root / "tmp", prefix="privyseal-bench-")))
    inside, port = f"/{place.relative_to(root)}/depot", free_port()
    command = ["chroot", str(root), "scepserver"]
    init = subprocess.run(
        [*command, "ca", "-init", "-depot", inside, "-keySize", "2048", "-organization", "Bench", "-country", "DE"],
        capture_output=True,
        text=True,
        check=False,
    )
    if init.returncode:
        print(f"scepserver does not start here (chroot needs root): {init.stderr.strip()[:200]}")
        return None
    command += ["-depot", inside, "-port", str(port), "-challenge", "secret", "-allowrenew", "0", "-crtvalid", "30"]
    url = f"http://127.0.0.1:{port}/scep"
    running = stack.enter_context(Server(command, f"{url}?operation=GetCACaps", log=place / "log"))
    recipient = ca_certificates(url)[0]
    write_shots(place / "messages", build_messages(who, recipient, ["secret"] * count))
    return Contender(running, url, place / "messages", try_one(url, who[0], recipient, "secret") - 100)


def against_raw(plan: Plan, place: Path, who: list[Client], raw: RawOperations) -> tuple[dict[int, float], bool]:
    """Loads at 1 to 256 connections on an empty store, and on a full one in turn; CPU by connections, and success."""
    empty, full = found(place / "empty", KeyType.RSA_2048), found(place / "full", KeyType.RSA_2048)
    fill(full, plan.stored)
    per_load = _MOST_PER_SECOND * plan.seconds
    cpu: dict[int, float] = {}
    full_cpu: list[float] = []
    ratios: dict[int, list[float]] = {}
    failed = 0
    with ExitStack() as stack:
        fresh = ours(stack, empty, who, per_load * (2 * plan.rounds + 4))
        laden = ours(stack, full, who, per_load * plan.rounds)
        for connections, rounds in ((1, 1), (4, 1), (16, plan.rounds), (64, plan.rounds), (128, 1), (256, 1)):
            loads: list[Load] = []
            for _ in range(rounds):
                before = raw.measure()
                loads.append(fresh.fire(connections, plan.seconds, per_load))
                ratios.setdefault(connections, []).append((before + raw.measure()) / 2 / loads[-1].cpu)
                print(f"privyseal   {connections:3d} connections {loads[-1].line('certs')}", flush=True)
                if connections == 16:
                    load = laden.fire(connections, plan.seconds, per_load)
                    full_cpu.append(load.cpu)
                    failed += load.failed
                    print(f"  {plan.stored:6d} stored           {load.line('certs')}", flush=True)
            cpu[connections] = median(load.cpu for load in loads)
            failed += sum(load.failed for load in loads)
    for settings in (empty, full):
        check_trail(settings)
    print(f"three raw private-key operations: {median(raw.seen) * 1e6:.0f} us CPU")
    ok = True
    for connections in ratios:
        ratio = median(ratios[connections])
        if connections not in _JUDGED:
            print(f"ratio raw / server CPU at {connections} connection(s): {ratio:.2f}")
        else:
            bar = "at least 0.60, aim 0.70"
            ok &= verdict(f"scep raw / server CPU, {connections} connections", ratio, bar, ok=ratio >= 0.6)
    slower = median(full_cpu) / cpu[16]
    ok &= verdict(f"scep CPU with {plan.stored} stored / with none", slower, "at most 1.10", ok=slower <= 1.1)
    ok &= verdict("scep failed requests", failed, "0", ok=failed == 0)
    return cpu, ok


def on_another_store(plan: Plan, place: Path, who: list[Client], url: str) -> None:
    """The same load with the store in PostgreSQL; a figure, not a bar."""
    settings = found(place / "postgresql", KeyType.RSA_2048, store_url=url)
    per_load = _MOST_PER_SECOND * plan.seconds
    with ExitStack() as stack:
        contender = ours(stack, settings, who, per_load * 3)
        for connections in (1, 16, 64):
            load = contender.fire(connections, plan.seconds, per_load)
            print(f"postgresql  {connections:2d} connections {load.line('certs')}", flush=True)
    check_trail(settings)


def check_trail(settings: Settings) -> None:
    """The audit trail must hold after all that. Raises AuditBroken."""
    application = opened(settings)
    try:
        print(f"audit trail of {settings.home.name}: {application.audit.verify()[0]} rows, chain holds")
    finally:
        application.close()


def against_scepserver(plan: Plan, who: list[Client], cpu: dict[int, float]) -> bool:
    """The same messages to scepserver, a fresh depot for each load (it scans a text index on every request)."""
    peer: dict[int, float] = {}
    for connections in (1, 4, 16):
        with ExitStack() as stack:
            contender = scepserver(stack, who, _PEER_PER_SECOND * plan.seconds)
            if contender is None:
                print("scepserver 2.3.0 is not here: sudo tools/trixie-chroot; comparison left out")
                return True
            load = contender.fire(connections, plan.seconds, _PEER_PER_SECOND * plan.seconds)
            print(f"scepserver  {connections:3d} connections {load.line('certs')}", flush=True)
            peer[connections] = load.cpu
    ok = True
    for connections, theirs in peer.items():
        better = theirs / cpu[connections]
        name = f"scep CPU of scepserver 2.3.0 / ours, {connections} connection(s)"
        ok &= verdict(name, better, "at least 2", ok=better >= 2)
    return ok


def main() -> None:
    """Run, print, and end with 1 when a bar was missed (never in --quick, which measures too little)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes; the figures mean little")
    parser.add_argument("--store", default="", metavar="URL", help="an empty PostgreSQL database: load it as well")
    chosen = parser.parse_args()
    quick = chosen.quick
    plan = Plan(1, 1, 500, 2) if quick else Plan(5, 3, 100_000, 24)
    who, raw = clients(plan.clients), RawOperations()
    with tempfile.TemporaryDirectory(prefix="privyseal-bench-") as place:
        cpu, ok = against_raw(plan, Path(place), who, raw)
        ok &= against_scepserver(plan, who, cpu)
        if chosen.store:
            on_another_store(plan, Path(place), who, chosen.store)
    if not ok and not quick:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
