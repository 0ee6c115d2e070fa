# SPDX-License-Identifier: Apache-2.0
"""No challenge, passphrase or private key reaches a log, an answer, the audit trail or the store in clear."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from privyseal.bootstrap import build
from privyseal.config import load_settings
from privyseal.errors import PassphraseWrong
from tests.device import Device
from tests.installation import PASSPHRASE, Installation, Installations, new_home
from tests.scep_messages import rsa_key


def everything_on_disk(home: Path) -> bytes:
    """All files of an installation, the write-ahead log among them."""
    return b"\n".join(path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file())


def exercise(installation: Installation) -> list[str]:
    """Enrollments that succeed and fail; the challenges that took part in them."""
    device = Device(installation)
    secrets = [device.challenge() for _ in range(3)] + ["guess-0123456789abcdef"]
    device.enroll(device.message(device.csr(challenge=secrets[0])))
    device.send(device.message(device.csr(challenge=secrets[0])))  # used
    device.send(device.message(device.csr(challenge=secrets[1], key=rsa_key("small"))))  # refused for its key
    device.send(device.message(device.csr(challenge=secrets[3])))  # unknown
    device.send(device.message(device.csr(challenge=secrets[2], broken=True)))
    device.post(device.request().message[:-7])
    device.enroll(device.renewal())
    installation.revoke(device.issued[0])
    installation.work()
    return secrets


def test_an_enrollment_leaves_no_secret_in_any_log_or_file(
    installations: Installations, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home = new_home(tmp_path)
    with caplog.at_level(logging.DEBUG):
        installation = installations.open(home)
        secrets = exercise(installation)
        installation.run(provoke(installation))
    said = "\n".join(
        f"{record.getMessage()} {record.args} {record.__dict__} {record.exc_text}" for record in caplog.records
    )
    assert "[8003]" in said  # the log tells of refusals at all
    kept = everything_on_disk(home)
    told = repr(installation.rows("SELECT * FROM audit")) + repr(installation.rows("SELECT * FROM enrollments"))
    for secret in (*secrets, PASSPHRASE):
        assert secret not in said
        assert secret.encode() not in kept
        assert secret not in told
    for text in (said, told, kept.decode("latin-1")):
        assert not re.search(r"-----BEGIN (RSA |EC )?PRIVATE KEY-----", text)
    numbers = installation.ra.rsa_key.private_numbers()
    for secret_number in (numbers.d, numbers.p, numbers.q):
        assert secret_number.to_bytes(256, "big").lstrip(b"\0") not in kept
        assert str(secret_number) not in said


async def provoke(installation: Installation) -> None:
    """A fault of ours in the middle of a request: what the stack trace shows is in the log as well."""

    class Fault(Exception):
        pass

    async def fail(*_: object, **__: object) -> None:
        raise Fault("planted")

    registration = installation.app.registration
    original = type(registration).poll
    type(registration).poll = fail  # type: ignore[method-assign,assignment] # for one request
    try:
        device = Device.__new__(Device)
        device.service, device.profile, device.key_name, device.issued = installation, "wifi-device", "device", []
        device.entity = await installation.app.entities.entity(1)
        sent = device.poll(device.message(b"\x30\x00"))
        answer = await installation.call("POST", f"{device.path}?operation=PKIOperation", sent.message)
    finally:
        type(registration).poll = original  # type: ignore[method-assign] # as it was
    assert answer.status == 500
    assert re.fullmatch(rb"internal error \(incident [0-9a-f]{12}\)\n", answer.body)


def test_key_files_are_encrypted_and_for_one_user_only(installations: Installations, tmp_path: Path) -> None:
    home = new_home(tmp_path)
    installations.open(home)
    files = sorted((home / "keys").glob("*.pem"))
    assert len(files) >= 5
    for path in files:
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.read_text().startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    with pytest.raises(PassphraseWrong):
        build(load_settings(home), passphrase="another passphrase altogether")


def test_errors_and_values_that_hold_secrets_do_not_print_them(shared: Installation) -> None:
    device = Device(shared)
    sent = device.message(device.csr(challenge="guess-0123456789abcdef"))
    device.send(sent)
    code, what = device.refusal()
    assert code == 8003
    assert "guess" not in what
    pem = rsa_key("device").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    assert pem.splitlines()[1] not in repr(shared.app)
    assert PASSPHRASE not in repr(shared.app)
