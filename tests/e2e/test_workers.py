# SPDX-License-Identifier: Apache-2.0
"""Several worker processes on one store: they share the work, replace each other, and number CRLs as one."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from tests.device import Device, parsed
from tests.e2e.killed_process import signed_objects
from tests.installation import Installation, Installations, new_home
from tests.outside.tools import ROOT
from tests.server_process import ServerProcess

WORKERS = 3
SECONDS = 30.0


@pytest.fixture
def home(installations: Installations, tmp_path: Path) -> Path:
    return new_home(tmp_path)


def wait_for(what: Callable[[], bool], *, seconds: float = SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_worker_that_dies_is_replaced_and_nobody_is_turned_away(home: Path) -> None:
    with ServerProcess(home, workers=WORKERS) as server:
        wait_for(lambda: len(server.workers) == WORKERS)
        first = server.workers
        for pid in first:
            os.kill(pid, signal.SIGKILL)
        # Connections wait in the queue of the socket, which the parent holds.
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=SECONDS)
        connection.request("GET", "/readyz")
        assert connection.getresponse().status == 200
        connection.close()
        wait_for(lambda: len(set(server.workers) - set(first)) == WORKERS)


def test_workers_end_with_their_parent_whatever_its_end_was(home: Path) -> None:
    with ServerProcess(home, workers=WORKERS) as server:
        workers = server.workers
        server.kill()
        wait_for(lambda: not any(alive(pid) for pid in workers))
        server.start()
        workers = server.workers
        assert server.stop() == 0
        assert not any(alive(pid) for pid in workers)


def test_a_revocation_reaches_every_worker_within_five_milliseconds(installations: Installations, home: Path) -> None:
    made = installations.open(home)
    made.work()
    leaf = Device(made).enroll()
    issuer = x509.load_der_x509_certificate(made.chain[0])
    request = ocsp.OCSPRequestBuilder().add_certificate(parsed(leaf), issuer, hashes.SHA256()).build()
    body = request.public_bytes(Encoding.DER)

    def ask(connection: http.client.HTTPConnection) -> ocsp.OCSPCertStatus:
        connection.request("POST", "/ocsp/issuing/v1", body)
        return ocsp.load_der_ocsp_response(connection.getresponse().read()).certificate_status

    with ServerProcess(home, workers=WORKERS) as server:
        connections = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=SECONDS) for _ in range(24)]
        for _ in range(2):
            assert {ask(connection) for connection in connections} == {ocsp.OCSPCertStatus.GOOD}
        made.revoke(leaf)
        time.sleep(0.006)
        assert {ask(connection) for connection in connections} == {ocsp.OCSPCertStatus.REVOKED}
        for connection in connections:
            connection.close()


def test_one_at_a_time_does_what_falls_due_and_another_takes_over(installations: Installations, home: Path) -> None:
    made = installations.open(home)

    def holder() -> str:
        rows = made.rows("SELECT holder FROM leases")
        return str(rows[0][0]) if rows else ""

    with ServerProcess(home, workers=WORKERS) as server:
        wait_for(lambda: holder() != "")
        first = holder()
        pid = next(pid for pid in server.workers if holds_lock(pid, home / "run" / f"{first}.lock"))
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: holder() not in ("", first))
    assert made.rows("SELECT fence FROM leases") > [(1,)]


def holds_lock(pid: int, path: Path) -> bool:
    wanted = str(path.resolve())
    return any(os.path.realpath(found) == wanted for found in Path(f"/proc/{pid}/fd").iterdir())


def test_two_processes_that_race_never_sign_one_crl_number_twice_nor_go_back(
    installations: Installations, home: Path, tmp_path: Path
) -> None:
    made = installations.open(home)
    made.work()
    made.device("raced")
    side_files = [tmp_path / "one", tmp_path / "two"]
    racers = [
        subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.e2e.racing_process", home, side_file, "25"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"},
        )
        for side_file in side_files
    ]
    seen = [crl_number(made)]
    try:
        deadline = time.monotonic() + 2 * SECONDS
        while any(racer.poll() is None for racer in racers):
            assert time.monotonic() < deadline
            time.sleep(0.005)
            seen.append(crl_number(made))
    finally:
        for racer in racers:
            racer.kill()
            racer.wait()
    assert [racer.returncode for racer in racers] == [0, 0]
    seen.append(crl_number(made))
    assert seen == sorted(seen)
    assert len(set(seen)) > 10
    numbers = [number for side_file in side_files for number in signed_objects(side_file, made.issuer)[1]]
    assert len(numbers) == len(set(numbers)) >= 25
    assert all(signed_objects(side_file, made.issuer)[1] for side_file in side_files)
    made.work()
    revoked = {row[0] for row in made.rows("SELECT serial FROM certificates WHERE status = 'revoked'")}
    assert {entry.serial_number for entry in made.crl()} == {int.from_bytes(serial, "big") for serial in revoked}
    assert len(revoked) == 50
    made.events()


def crl_number(made: Installation) -> int:
    return made.crl().extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
