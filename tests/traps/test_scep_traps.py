# SPDX-License-Identifier: Apache-2.0
"""What Windows, Apple, Android and MDMs trip over in SCEP servers, one named test a trap, by its number in our list."""

from __future__ import annotations

import ast
import base64
import http.client
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from privyseal.errors import StoreUnavailable
from privyseal.model.certificate import CertificateStatus
from privyseal.protocols.cms import Digest, KeyTransport, key_transport_of
from privyseal.protocols.cms_read import read_enveloped_data, read_signed_data
from privyseal.protocols.scep import client
from privyseal.protocols.scep.messages import PkiStatus
from privyseal.x509 import der, oids
from tests.device import Device, extension, pair, parsed
from tests.installation import Installation, Installations, new_home
from tests.outside.tools import ROOT
from tests.scep_messages import transient_device
from tests.server_process import ServerProcess


@pytest.mark.parametrize("message", ["default", "", "0", "CA-IDENT", "%00", "a=b", "default&x=y"])
@pytest.mark.parametrize("operation", ["GetCACaps", "GetCACert"])
def test_trap_01_whatever_stands_in_message_of_get_ca_is_ignored(
    shared: Installation, operation: str, message: str
) -> None:
    plain = shared.get(f"/scep/wifi-device?operation={operation}")
    assert plain.status == 200
    assert shared.get(f"/scep/wifi-device?operation={operation}&message={message}") == plain
    assert shared.get(f"/scep/wifi-device?message={message}&operation={operation}").body == plain.body


@pytest.mark.parametrize(
    "tail", ["", "/", "/pkiclient.exe", "/pkiclient.exe/pkiclient.exe", "/mscep.dll", "/certsrv/mscep/mscep.dll",
             "/certsrv/mscep/mscep.dll/pkiclient.exe", "//pkiclient.exe"]
)  # fmt: skip
def test_trap_02_the_tails_that_windows_and_ndes_append_all_lead_to_the_endpoint(
    shared: Installation, tail: str
) -> None:
    assert b"SCEPStandard" in shared.get(f"/scep/wifi-device{tail}?operation=GetCACaps").body
    device = Device(shared)
    sent = device.request()
    answer = shared.post(f"/scep/wifi-device{tail}?operation=PKIOperation", sent.message)
    assert device.read(answer, sent).status is PkiStatus.SUCCESS


def test_trap_02_other_tails_are_not_found(shared: Installation) -> None:
    assert shared.get("/scep/wifi-device/other.exe?operation=GetCACaps").status == 404


@pytest.mark.parametrize(
    ("chain", "content_type", "count"),
    [("ra-then-ca", "application/x-x509-ca-ra-cert", 2), ("ra-and-full-chain", "application/x-x509-ca-ra-cert", 3),
     ("ra-only", "application/x-x509-ca-cert", 1)],
)  # fmt: skip
def test_trap_03_each_profile_chooses_which_certificates_get_ca_cert_carries(
    shared: Installation, chain: str, content_type: str, count: int
) -> None:
    shared.profile(f"shape-{chain}", scep={"chain": chain})
    answer = shared.get(f"/scep/shape-{chain}?operation=GetCACert")
    assert answer.content_type == content_type
    certificates = client.parse_ca_certificates(answer.content_type, answer.body)
    everything = (shared.ra.certificate, *shared.chain)
    assert certificates == everything[:count]


def test_trap_03_the_default_is_the_ra_then_the_whole_chain(shared: Installation) -> None:
    answer = shared.get("/scep/wifi-device?operation=GetCACert")
    found = client.parse_ca_certificates(answer.content_type, answer.body)
    assert found == (shared.ra.certificate, *shared.chain)


@pytest.mark.parametrize("key", ["ec:p256", "rsa:2048"])
def test_trap_04_the_ra_certificate_has_the_usages_without_which_windows_goes_silent(
    installations: Installations, key: str
) -> None:
    installation = installations(key)
    ra = parsed(installation.ra.certificate)
    usage = ra.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert usage.key_encipherment
    assert not usage.key_cert_sign
    purposes = ra.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.1") in purposes
    assert ra.public_key().key_size == 2048  # type: ignore[union-attr] # RSA whatever the CA is
    ra.verify_directly_issued_by(parsed(installation.chain[0]))


@pytest.mark.parametrize("mgf", [Digest.SHA1, Digest.SHA256])
@pytest.mark.parametrize("oaep", [Digest.SHA1, Digest.SHA256, Digest.SHA384, Digest.SHA512])
def test_trap_05_oaep_is_read_and_answered_in_kind(shared: Installation, oaep: Digest, mgf: Digest) -> None:
    transport = KeyTransport(oaep, mgf)
    device = Device(shared)
    sent = device.request(transport=transport)
    answer = device.post(sent.message)
    assert device.read(answer, sent).status is PkiStatus.SUCCESS
    inside = read_enveloped_data(read_signed_data(answer.body).content or b"")
    assert [key_transport_of(recipient) for recipient in inside.recipients] == [transport]


def test_trap_06_a_transient_signer_with_a_critical_authority_key_identifier_is_accepted(
    shared: Installation,
) -> None:
    device = Device(shared)
    signer = parsed(transient_device().certificate)
    assert signer.extensions.get_extension_for_oid(ExtensionOID.AUTHORITY_KEY_IDENTIFIER).critical
    issued = device.enroll(device.request(by=transient_device()))
    assert parsed(issued).public_key() == device.key.public_key()


def test_trap_07_a_request_with_ca_false_and_a_path_length_is_read(shared: Installation) -> None:
    device = Device(shared)
    value = der.sequence(der.boolean(False), der.integer(0))
    csr = device.csr(extensions=[extension(oids.BASIC_CONSTRAINTS, value, critical=True)])
    with pytest.raises(ValueError, match=r"."):  # the trap: a strict reader refuses the request or its extensions
        _ = list(x509.load_der_x509_csr(csr).extensions)
    issued = parsed(device.enroll(device.message(csr)))
    constraints = issued.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (constraints.ca, constraints.path_length) == (False, None)


@pytest.mark.parametrize("chain", ["ra-then-ca", "ra-and-full-chain", "ra-only"])
def test_trap_08_the_reply_carries_the_issued_certificate_only(shared: Installation, chain: str) -> None:
    shared.profile(f"reply-{chain}", scep={"chain": chain})
    device = Device(shared, profile=f"reply-{chain}")
    sent = device.request()
    reply = device.send(sent)
    assert [parsed(der_).public_key() for der_ in reply.certificates] == [device.key.public_key()]
    assert reply.crls == ()


def test_trap_09_the_same_transaction_with_another_key_is_refused(shared: Installation) -> None:
    device = Device(shared)
    first = device.request()
    device.enroll(first)
    thief = Device(shared, key_name="thief")
    assert thief.refused(thief.request(transaction_id=first.transaction_id)) == 8007


def test_trap_09_the_same_transaction_with_the_same_key_is_answered_again(shared: Installation) -> None:
    device = Device(shared)
    csr = device.csr()
    first = device.message(csr)
    certificate, before = device.enroll(first), shared.count("certificates")
    assert device.enroll(first) == certificate  # the very same octets, as after a lost answer
    again = device.message(csr, transaction_id=first.transaction_id)  # built anew: other nonce, other content key
    assert again.message != first.message
    assert device.enroll(again) == certificate
    assert shared.count("certificates") == before


TLS_CLIENTS = {"adapters/mail.py", "adapters/webhook.py", "client/transport.py"}


def test_trap_10_the_server_cannot_ask_for_a_client_certificate(tmp_path: Path) -> None:
    """Shown twice: what serves SCEP knows no TLS and gives uvicorn no TLS option; a ClientHello gets no TLS record."""
    for path in sorted((ROOT / "src" / "privyseal").rglob("*.py")):
        place = f"{path.parent.name}/{path.name}"
        if place.startswith("adapters/ldap") or place in TLS_CLIENTS:
            continue  # there we are the client
        if place == "serve/api.py":  # the listener of the API, which is not that of SCEP, asks for none either
            assert not re.search("verify_mode|load_verify|CERT_", path.read_text())
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in getattr(node, "names", [])] if isinstance(node, ast.Import) else []
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            assert "ssl" not in [*(name.partition(".")[0] for name in names), module.partition(".")[0]], path
            if isinstance(node, ast.keyword):
                assert not (node.arg or "").startswith("ssl"), path
    hello = bytes.fromhex("16030100310100002d0303") + bytes(32) + bytes.fromhex("000004002f00350100")
    with ServerProcess(new_home(tmp_path)) as server, server.connect() as connection:
        connection.sendall(hello)
        assert connection.recv(65536)[:1] != b"\x16"  # neither ServerHello nor CertificateRequest


def test_trap_11_a_get_of_40_kilobytes_works_and_a_longer_one_is_refused_not_left_hanging(
    installations: Installations, tmp_path: Path
) -> None:
    home = new_home(tmp_path)
    installation = installations.open(home)
    device = Device(installation)
    filler = extension("1.3.6.1.4.1.99999.1", bytes(28_000))
    sent = device.message(device.csr(extensions=[filler]))
    target = f"{device.path}/pkiclient.exe?operation=PKIOperation&message={quote(base64.b64encode(sent.message))}"
    assert 40_000 < len(target) < 64_000
    with ServerProcess(home) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request("GET", target)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200
        reply = client.parse_reply(
            body, transaction_id=sent.transaction_id, sender_nonce=sent.nonce,
            trusted_ra=[installation.ra.certificate], private_key=sent.key,
        )  # fmt: skip
        assert reply.status is PkiStatus.SUCCESS
        connection.close()
        for size in (70_000, 700_000):
            with server.connect() as raw:
                try:
                    raw.sendall(f"GET {device.path}?operation=PKIOperation&message={'A' * size} HTTP/1.1\r\n".encode())
                    raw.sendall(b"Host: x\r\n\r\n")
                    status = int(raw.recv(65536).split()[1])
                except ConnectionError:
                    continue  # it hung up on us in the middle of the line: refused as well
                assert 400 <= status < 500


def test_trap_14_a_renewal_can_be_made_to_need_a_fresh_challenge(shared: Installation) -> None:
    shared.profile("intune", scep={"renewal_needs_challenge": True})
    device = Device(shared, profile="intune")
    first = device.enroll()
    assert device.refused(device.renewal()) == 8002
    used = device.csr(challenge=device.challenge())
    device.enroll(device.renewal(csr=used))
    assert device.refused(device.renewal(csr=used)) == 8004
    assert parsed(device.issued[-1]).serial_number != parsed(first).serial_number


def test_trap_15_an_edited_profile_revokes_nothing_and_the_same_name_may_enroll_again(shared: Installation) -> None:
    shared.profile("edited")
    device = Device(shared, profile="edited")
    old = device.enroll()
    shared.profile("edited", validity="30d")
    new = device.enroll()
    assert parsed(new).subject == parsed(old).subject
    for certificate in (old, new):
        record = shared.app.certificates.by_serial(shared.issuer.id, parsed(certificate).serial_number)
        assert record is not None
        assert record.status is CertificateStatus.ISSUED
    assert lifetime(new) == timedelta(days=30, minutes=10)


def lifetime(certificate: bytes) -> timedelta:
    found = parsed(certificate)
    return found.not_valid_after_utc - found.not_valid_before_utc


@pytest.mark.parametrize(
    ("pairs", "granted"),
    [
        ((), timedelta(days=365)),  # Apple asks for nothing
        ((("ValidityPeriod", "days"), ("ValidityPeriodUnits", "30")), timedelta(days=30)),
        ((("ValidityPeriodUnits", "30"), ("ValidityPeriod", "Days")), timedelta(days=30)),
        ((("ValidityPeriod", "years"), ("ValidityPeriodUnits", "20")), timedelta(days=365)),  # more than the policy
        ((("ValidityPeriod", "30"), ("ValidityPeriodUnits", "days")), timedelta(days=30)),  # Android swaps the two
        ((("ValidityPeriod", "eons"), ("ValidityPeriodUnits", "x")), timedelta(days=365)),
    ],
)
def test_trap_17_the_lesser_of_wished_and_allowed_validity_is_granted_and_the_wish_is_in_the_audit(
    shared: Installation, pairs: tuple[tuple[str, str], ...], granted: timedelta
) -> None:
    device = Device(shared)
    issued = device.enroll(device.message(device.csr(attributes=[pair(*one) for one in pairs])))
    span = lifetime(issued) - timedelta(minutes=10)
    assert span == granted
    (detail,) = shared.rows("SELECT detail FROM audit WHERE event = 'certificate.reserved' ORDER BY seq DESC LIMIT 1")
    assert ("as requested" in detail[0]) == (span < timedelta(days=365))


def test_trap_19_a_fault_after_signing_never_rolls_the_row_back_and_start_up_revokes_it(
    installations: Installations, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = new_home(tmp_path)
    installation = installations.open(home)
    device = Device(installation)
    sent = device.request()

    async def fail(certificate_id: int, signature: bytes) -> None:
        raise StoreUnavailable("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(type(installation.app.certificates), "record", lambda _, *given: fail(*given))
        assert device.post(sent.message).status == 503
    ((serial, status),) = installation.rows("SELECT serial, status FROM certificates ORDER BY id DESC LIMIT 1")
    assert status == "reserved"
    assert device.send(sent).status is PkiStatus.PENDING  # nobody says success of what nobody stored
    installations.end(installation)
    again = installations.open(home)
    again.work()
    assert again.rows("SELECT status FROM certificates WHERE serial = ?", serial) == [("revoked",)]
    assert again.crl().get_revoked_certificate_by_serial_number(int.from_bytes(serial, "big")) is not None
    assert "certificate.revoked" in again.events()


def test_trap_22_renewal_is_announced_and_works_by_get_too(shared: Installation) -> None:
    assert b"Renewal\n" in shared.get("/scep/wifi-device?operation=GetCACaps").body
    device = Device(shared)
    first = device.enroll()
    sent = device.renewal()
    reply = device.read(device.get(sent.message), sent)
    assert reply.status is PkiStatus.SUCCESS
    assert parsed(reply.certificates[0]).serial_number != parsed(first).serial_number


def test_trap_23_a_leaf_says_where_its_crl_is_and_the_crl_never_runs_out_unseen(installation: Installation) -> None:
    leaf = parsed(Device(installation).enroll())
    points = leaf.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    (url,) = [name.value for point in points for name in point.full_name or ()]
    assert re.fullmatch(r"http://pki\.example\.com/crl/issuing/v1\.crl", url)
    before = installation.crl()
    installation.clock.moved = timedelta(days=4)  # due every 3.5 days, good for 7
    installation.work()
    renewed = installation.crl()
    assert renewed.next_update_utc > before.next_update_utc  # type: ignore[operator] # both have one
    installation.clock.moved = timedelta(days=20)  # the service was off: the CRL has expired
    assert installation.crl().next_update_utc < installation.clock.now()  # type: ignore[operator] # it has one
    installation.work()
    assert installation.crl().next_update_utc > installation.clock.now()  # type: ignore[operator] # it has one


def test_trap_30_not_before_lies_ten_minutes_in_the_past(shared: Installation) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    leaf = parsed(Device(shared).enroll())
    late = leaf.not_valid_before_utc + timedelta(minutes=10) - before
    assert timedelta(0) <= late <= timedelta(seconds=10)
    assert before - shared.crl().last_update_utc >= timedelta(minutes=10)
