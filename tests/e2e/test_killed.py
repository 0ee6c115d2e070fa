# SPDX-License-Identifier: Apache-2.0
"""kill -9 at every step of issuance, revocation and publication, and of a real server under load: nothing is lost."""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature

from privyseal.errors import PrivysealError
from privyseal.model.certificate import CertificateStatus
from privyseal.protocols.scep import client
from privyseal.protocols.scep.messages import PkiStatus
from tests.device import Device, Sent, parsed
from tests.e2e.killed_process import STEPS, check, signed_objects
from tests.installation import Installation, Installations, new_home
from tests.outside.looking import look_at_certificate, look_at_crl
from tests.outside.tools import ROOT, run
from tests.server_process import ServerProcess

ROUNDS = 4 * len(STEPS)
SERVER_KILLS = 15
WORKERS = 4


def test_no_kill_at_any_step_loses_a_signature_or_repeats_a_number(
    installations: Installations, tmp_path: Path
) -> None:
    home, side_file = new_home(tmp_path), tmp_path / "signed"
    made = installations.open(home)
    made.device("killed")
    installations.end(made)
    run(
        [sys.executable, "-P", "-m", "tests.e2e.killed_process", home, side_file, str(ROUNDS)],
        directory=ROOT,
        environment={"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"},
        seconds=120,
    ).must_work()
    survivor = installations.open(home)
    survivor.work()
    serials, numbers = signed_objects(side_file, survivor.issuer)
    assert len(serials) > ROUNDS
    assert len(numbers) > len(STEPS)
    for serial in serials[-20:]:
        record = survivor.app.certificates.by_serial(survivor.issuer.id, serial)
        assert record is not None
        if record.status is CertificateStatus.ISSUED:
            look_at_certificate(survivor.app.certificates.encoded(record.id), survivor.chain)
    look_at_crl(survivor.get("/crl/issuing/v1.crl").body, survivor.chain[0])
    assert "certificate.revoked" in survivor.events()  # at least one life ended between reserving and recording


class Load:
    """Threads that enroll over HTTP as fast as they can, and note which certificate each request was given."""

    def __init__(self, device: Device, messages: list[Sent]) -> None:
        self._device = device
        self._ra = [device.service.ra.certificate]
        self._waiting = messages
        self.granted: dict[str, bytes] = {}
        self.faults: list[str] = []

    def run(self, port: int) -> None:
        """One thread; ends when the server does."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            self._talk(connection)
        finally:
            connection.close()

    def run_on(self, port: int) -> None:
        """One thread that asks again whatever happens, until everything was answered."""
        deadline = time.monotonic() + 50
        while self._waiting and time.monotonic() < deadline:
            self.run(port)

    @property
    def left(self) -> int:
        """Requests that nobody has answered."""
        return len(self._waiting)

    def _talk(self, connection: http.client.HTTPConnection) -> None:
        while self._waiting:
            sent = self._waiting.pop()
            try:
                connection.request("POST", f"{self._device.path}?operation=PKIOperation", sent.message)
                answer = connection.getresponse()
                body = answer.read()
            except (OSError, http.client.HTTPException):
                self._waiting.append(sent)  # what happened to it is not known: it is sent again
                return
            if answer.status == 503:  # nothing was promised
                self._waiting.append(sent)
                time.sleep(0.05)
                return
            self._read(sent, answer.status, body)

    def _read(self, sent: Sent, status: int, body: bytes) -> None:
        try:
            reply = client.parse_reply(
                body, transaction_id=sent.transaction_id, sender_nonce=sent.nonce, trusted_ra=self._ra,
                private_key=sent.key,
            )  # fmt: skip
        except (PrivysealError, InvalidSignature) as error:
            self.faults.append(f"HTTP {status}: {error}")
            return
        if reply.status is PkiStatus.SUCCESS:
            earlier = self.granted.setdefault(sent.transaction_id, reply.certificates[0])
            if earlier != reply.certificates[0]:
                self.faults.append("one request was given two certificates")


@pytest.mark.parametrize("workers", [1, WORKERS])
def test_a_real_server_that_is_killed_under_load_keeps_every_promise(
    installations: Installations, tmp_path: Path, workers: int
) -> None:
    home = new_home(tmp_path)
    made = installations.open(home)
    device = Device(made)
    messages = [device.request() for _ in range(1500)]
    random.seed(15)
    load = Load(device, list(messages))
    for _ in range(SERVER_KILLS):
        with ServerProcess(home, workers=workers) as server:
            threads = [threading.Thread(target=load.run, args=(server.port,)) for _ in range(4)]
            for thread in threads:
                thread.start()
            time.sleep(0.02 + random.random() * 0.15)
            server.kill_all()
            for thread in threads:
                thread.join(10)
    assert load.faults == []
    assert len(load.granted) > SERVER_KILLS
    with ServerProcess(home):
        pass  # starts once more, and settles
    check_store(made, load)


def test_workers_that_are_killed_one_by_one_under_load_keep_every_promise(
    installations: Installations, tmp_path: Path
) -> None:
    home = new_home(tmp_path)
    made = installations.open(home)
    device = Device(made)
    load = Load(device, [device.request() for _ in range(600)])
    with ServerProcess(home, workers=WORKERS) as server:
        threads = [threading.Thread(target=load.run_on, args=(server.port,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(SERVER_KILLS):
            time.sleep(0.1)
            for pid in server.workers[:2]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for thread in threads:
            thread.join(60)
    assert (load.faults, load.left) == ([], 0)
    check_store(made, load)


def check_store(made: Installation, load: Load) -> None:
    """Everything that a client holds is on record; every open end is settled; the chain of events holds."""
    made.work()
    for certificate in load.granted.values():
        record = made.app.certificates.by_serial(made.issuer.id, parsed(certificate).serial_number)
        assert record is not None
        assert record.status is CertificateStatus.ISSUED
        assert made.app.certificates.encoded(record.id) == certificate
    assert made.rows("SELECT count(*) FROM certificates WHERE status = 'reserved'") == [(0,)]
    assert made.rows("SELECT count(*) FROM enrollments WHERE state = 'running'") == [(0,)]
    ((issued,),) = made.rows("SELECT count(*) FROM enrollments WHERE state = 'issued'")
    assert issued >= len(load.granted)
    revoked = {row[0] for row in made.rows("SELECT serial FROM certificates WHERE status = 'revoked'")}
    assert {entry.serial_number for entry in made.crl()} == {int.from_bytes(serial, "big") for serial in revoked}
    made.app.audit.verify()


def test_the_harness_would_notice_a_lost_certificate(installations: Installations, tmp_path: Path) -> None:
    """Not a test of the service but of the test above."""
    side_file = tmp_path / "signed"
    made = installations(key="ec:p256")
    made.work()
    check(made.app, side_file)
    leaf = parsed(Device(made).enroll())
    side_file.write_text(f"{leaf.tbs_certificate_bytes.hex()} {leaf.signature.hex()}\n" * 2)
    with pytest.raises(AssertionError, match="used twice"):
        check(made.app, side_file)
    side_file.write_text(f"{leaf.tbs_certificate_bytes.hex()} {leaf.signature.hex()}\n")
    check(made.app, side_file)
    made.app.database.writer.execute("DELETE FROM certificates WHERE status = 'issued' AND kind = 'end-entity'")
    with pytest.raises(AssertionError, match="nobody knows"):
        check(made.app, side_file)
