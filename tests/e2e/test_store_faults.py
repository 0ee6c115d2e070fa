# SPDX-License-Identifier: Apache-2.0
"""The store fails, is busy, or belongs to two processes: effect and audit row stay together, challenges stay single."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from privyseal.bootstrap import store_place
from privyseal.errors import StoreUnavailable
from privyseal.model.certificate import CertificateStatus
from privyseal.protocols.scep.messages import PkiStatus
from privyseal.store.opening import open_store
from tests.device import Device, parsed
from tests.installation import Installation, Installations, new_home
from tests.stores import make_fail, make_work_again


@pytest.fixture
def device(installation: Installation) -> Device:
    return Device(installation)


@contextmanager
def fault(installation: Installation, table: str, when: str, condition: str = "") -> Iterator[None]:
    """While it lasts, the database itself refuses this change."""
    make_fail(installation.app.database, table, when, condition)
    yield
    make_work_again(installation.app.database, table)


def counts(installation: Installation) -> dict[str, int]:
    return {table: installation.count(table) for table in ("certificates", "certificate_tbs", "enrollments", "audit")}


@pytest.mark.parametrize(
    ("table", "when"),
    [("audit", "INSERT"), ("certificates", "INSERT"), ("certificate_tbs", "INSERT"), ("challenges", "UPDATE"),
     ("enrollments", "INSERT"), ("audit_head", "UPDATE")],
)  # fmt: skip
def test_a_fault_before_the_signature_leaves_nothing_and_the_challenge_unused(
    device: Device, table: str, when: str
) -> None:
    service, sent = device.service, device.request()
    before = counts(service)
    with fault(service, table, when):
        assert device.post(sent.message).status == 503
    assert counts(service) == before
    service.app.audit.verify()
    device.enroll(sent)


@pytest.mark.parametrize(
    ("table", "when", "condition"),
    [("certificates", "UPDATE", ""), ("certificate_signatures", "INSERT", ""),
     ("audit", "INSERT", "NEW.event = 'certificate.issued'"), ("enrollments", "UPDATE", "")],
)  # fmt: skip
def test_a_fault_after_the_signature_leaves_the_reservation_and_no_half_record(
    device: Device, table: str, when: str, condition: str
) -> None:
    service, sent = device.service, device.request()
    with fault(service, table, when, condition):
        assert device.post(sent.message).status == 503
    ((number, status),) = service.rows("SELECT id, status FROM certificates ORDER BY id DESC LIMIT 1")
    assert status == CertificateStatus.RESERVED.value
    assert service.rows("SELECT 1 FROM certificate_signatures WHERE certificate_id = ?", number) == []
    assert service.events()[-1] == "certificate.reserved"


def test_a_reservation_that_was_never_recorded_is_settled_without_a_restart(device: Device) -> None:
    service, sent = device.service, device.request()
    with fault(service, "certificates", "UPDATE"):
        assert device.post(sent.message).status == 503
    service.work()
    assert device.send(sent).status is PkiStatus.PENDING  # it may still be on its way
    service.clock.moved = timedelta(minutes=11)
    service.work()
    ((serial, status),) = service.rows("SELECT serial, status FROM certificates ORDER BY id DESC LIMIT 1")
    assert status == CertificateStatus.REVOKED.value
    assert service.crl().get_revoked_certificate_by_serial_number(int.from_bytes(serial, "big")) is not None
    # Nobody got what the challenge was spent for, so it is good once more, for another certificate.
    reply = device.send(sent)
    assert reply.status is PkiStatus.SUCCESS
    assert x509.load_der_x509_certificate(reply.certificates[0]).serial_number != int.from_bytes(serial, "big")


def test_a_fault_while_revoking_changes_neither_status_nor_crl_nor_audit(device: Device) -> None:
    service, leaf = device.service, device.enroll()
    before, crl = counts(service), service.crl()
    for table, when in (("audit", "INSERT"), ("revocations", "INSERT"), ("certificates", "UPDATE")):
        with fault(service, table, when), pytest.raises(StoreUnavailable):
            service.revoke(leaf)
    record = service.app.certificates.by_serial(service.issuer.id, parsed(leaf).serial_number)
    assert record is not None
    assert record.status is CertificateStatus.ISSUED
    assert (counts(service), service.crl()) == (before, crl)


def test_a_fault_between_revocation_and_crl_is_mended_by_the_next_round(device: Device) -> None:
    service, leaf = device.service, device.enroll()
    serial = parsed(leaf).serial_number
    with fault(service, "crls", "INSERT"), pytest.raises(StoreUnavailable):
        service.revoke(leaf)
    assert service.crl().get_revoked_certificate_by_serial_number(serial) is None
    service.work()
    assert service.crl().get_revoked_certificate_by_serial_number(serial) is not None
    published = service.crl()
    service.work()
    assert service.crl() == published  # once is enough


def test_a_serial_that_is_there_already_is_refused_before_anything_is_signed(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = device.service
    device.enroll()
    monkeypatch.setattr("privyseal.ca.form.new_serial", lambda now, rng: parsed(device.issued[0]).serial_number)
    before = service.count("certificates")
    assert device.post(device.request().message).status == 503
    assert service.count("certificates") == before
    monkeypatch.undo()
    device.enroll()


def test_a_store_that_somebody_else_writes_to_is_waited_for(device: Device) -> None:
    service, sent = device.service, device.request()
    other = open_store(store_place(service.app.settings))
    other.writer.execute("BEGIN")
    other.writer.execute("UPDATE audit_head SET seq = seq")
    threading.Timer(0.1, other.writer.execute, ("COMMIT",)).start()
    device.enroll(sent)
    other.close()


def test_two_processes_share_a_store_and_no_challenge_is_used_twice(
    installations: Installations, tmp_path: Path
) -> None:
    home = new_home(tmp_path)
    here, there = installations.open(home), installations.open(home)
    device = Device(here)
    before = here.count("certificates")
    csr = device.csr()

    async def race(service: Installation) -> list[int]:
        target = f"{device.path}?operation=PKIOperation"
        messages = [device.message(csr) for _ in range(6)]
        answers = await asyncio.gather(*(service.call("POST", target, sent.message) for sent in messages))
        return [device.read(answer, sent).status for answer, sent in zip(answers, messages, strict=True)]

    found: list[int] = []
    threads = [threading.Thread(target=lambda one=one: found.extend(one.run(race(one)))) for one in (here, there)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(found) == [PkiStatus.SUCCESS] + [PkiStatus.FAILURE] * 11
    assert here.count("certificates") == before + 1
    assert here.events() == there.events()


def test_what_another_process_saves_is_in_force_here(installations: Installations, tmp_path: Path) -> None:
    home = new_home(tmp_path)
    here, there = installations.open(home), installations.open(home)
    there.profile("new-one")
    there.found("second")
    there.profile("of-second", issuer="second")
    Device(here, profile="new-one").enroll()
    Device(here, profile="of-second").enroll()
    assert here.get("/crl/second/v1.crl").status == 200


def test_without_a_passphrase_it_publishes_but_does_not_sign(installations: Installations, tmp_path: Path) -> None:
    home = new_home(tmp_path)
    opened = installations.open(home)
    sent = Device(opened).request()
    locked = installations.open(home, passphrase=None)
    assert locked.get("/crl/issuing/v1.crl").status == 200
    before = locked.count("certificates")
    assert locked.post("/scep/wifi-device?operation=PKIOperation", sent.message).status == 503
    locked.work()
    assert locked.count("certificates") == before
