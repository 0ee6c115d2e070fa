# SPDX-License-Identifier: Apache-2.0
"""Revocation shows at once, in OCSP and CRL; OCSP answers as OpenSSL asks. Also from a second process's store."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from privyseal.errors import AlreadyRevoked, NotIssued
from privyseal.model.certificate import CertificateKind
from privyseal.model.revocation import CrlReason
from privyseal.x509 import der
from tests.device import Device, parsed
from tests.installation import ROOT_CA, Installation, Installations, new_home
from tests.outside.looking import look_at_crl, look_at_ocsp_response, verify_with_openssl, write_pem
from tests.outside.tools import openssl
from tests.scep_messages import certificate, rsa_key
from tests.server_process import ServerProcess

OCSP_PATH = "/ocsp/issuing/v1"
GOOD, REVOKED, UNKNOWN = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED, ocsp.OCSPCertStatus.UNKNOWN


def question(
    leaf: bytes, issuer: bytes, *, digest: hashes.HashAlgorithm | None = None, nonce: bytes = b"", serial: int = 0
) -> bytes:
    """An OCSP request about ``leaf``, or about ``serial``, as a client writes it."""
    algorithm = digest or hashes.SHA1()
    found = parsed(issuer)
    bits = list(der.read(found.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).children())[
        1
    ]
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        hashlib.new(algorithm.name, found.subject.public_bytes()).digest(),
        hashlib.new(algorithm.name, bits.contents[1:]).digest(),
        serial or parsed(leaf).serial_number,
        algorithm,
    )
    if nonce:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def first(element: der.Element) -> der.Element:
    """The first element inside."""
    return next(iter(element.children()))


def ask(service: Installation, leaf: bytes, *, get: bool = False, path: str = OCSP_PATH, **options: object) -> bytes:
    """Body of the answer about ``leaf``."""
    request = question(leaf, service.chain[0], **options)  # type: ignore[arg-type] # digest and nonce
    if get:
        answer = service.get(f"{path}/{quote(base64.b64encode(request).decode())}")
    else:
        answer = service.post(path, request)
    assert (answer.status, answer.content_type) == (200, "application/ocsp-response")
    return answer.body


def status(service: Installation, leaf: bytes, **options: object) -> ocsp.OCSPCertStatus:
    return ocsp.load_der_ocsp_response(ask(service, leaf, **options)).certificate_status  # type: ignore[arg-type] # options


# --- revocation shows at once ---------------------------------------------------------------------------


@pytest.mark.parametrize("get", [True, False])
def test_a_cached_answer_does_not_outlive_the_revocation(shared: Installation, get: bool) -> None:
    leaf = Device(shared, key_name=f"compromised-{get}").enroll()  # a key that nobody else needs afterwards
    kept = ask(shared, leaf, get=get)
    assert ask(shared, leaf, get=get) == kept  # kept, not signed again
    number = shared.revoke(leaf, CrlReason.KEY_COMPROMISE)
    answer = ocsp.load_der_ocsp_response(ask(shared, leaf, get=get))
    assert (answer.certificate_status, answer.revocation_reason) == (REVOKED, x509.ReasonFlags.key_compromise)
    crl = shared.crl()
    entry = crl.get_revoked_certificate_by_serial_number(parsed(leaf).serial_number)
    assert entry is not None
    assert crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == number


def test_a_revocation_by_another_process_shows_at_once_too(installations: Installations, tmp_path: Path) -> None:
    home = new_home(tmp_path)
    here, there = installations.open(home), installations.open(home)
    leaf = Device(here).enroll()
    assert status(here, leaf) is GOOD
    assert here.crl().get_revoked_certificate_by_serial_number(parsed(leaf).serial_number) is None
    there.revoke(leaf)
    assert status(here, leaf) is REVOKED
    assert here.crl().get_revoked_certificate_by_serial_number(parsed(leaf).serial_number) is not None
    renewal = Device(here)
    renewal.issued.append(leaf)
    assert renewal.refused(renewal.renewal()) == 8009


def test_crl_numbers_rise_and_entries_stay(shared: Installation) -> None:
    serials, numbers = set(), []
    for _ in range(4):
        leaf = Device(shared).enroll()
        shared.revoke(leaf, CrlReason.SUPERSEDED)
        serials.add(parsed(leaf).serial_number)
        crl = shared.crl()
        numbers.append(crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number)
        assert serials <= {entry.serial_number for entry in crl}
    assert numbers == sorted(set(numbers))
    look_at_crl(shared.get("/crl/issuing/v1.crl").body, shared.chain[0])


def test_revoking_twice_or_what_was_never_issued_is_refused(shared: Installation) -> None:
    leaf = Device(shared).enroll()
    shared.revoke(leaf)
    with pytest.raises(AlreadyRevoked):
        shared.revoke(leaf)
    with pytest.raises(NotIssued):
        shared.revoke(certificate(rsa_key("device"), "never issued", serial_number=4711))


def test_openssl_verify_with_crl_check_follows_the_revocation(shared: Installation) -> None:
    leaf = Device(shared).enroll()

    def verify() -> str:
        crls = [shared.get(f"/crl/{name}/v1.crl").body for name in ("issuing", "root")]
        return verify_with_openssl([leaf], shared.chain, crls=crls).text

    assert "OK" in verify()
    shared.revoke(leaf)
    assert "certificate revoked" in verify()


def test_serials_are_positive_unique_unpredictable_and_at_most_20_octets(shared: Installation) -> None:
    device = Device(shared)
    serials = [parsed(device.enroll()).serial_number for _ in range(20)]
    assert len(set(serials)) == 20
    assert len({serial & (1 << 64) - 1 for serial in serials}) == 20
    for serial in serials:
        assert 0 < serial < 1 << 159
        assert serial.bit_length() > 64


# --- OCSP --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("digest", "name"), [(hashes.SHA1(), "sha1"), (hashes.SHA256(), "sha256")])
@pytest.mark.parametrize("get", [True, False])
def test_both_cert_id_digests_by_get_and_post(
    shared: Installation, digest: hashes.HashAlgorithm, name: str, get: bool
) -> None:
    leaf = Device(shared).enroll()
    body = ask(shared, leaf, digest=digest, get=get)
    seen = look_at_ocsp_response(body, chain=shared.chain, certificate=leaf, digest=name)
    assert "good" in seen


def test_a_get_whose_base64_holds_slashes_raw_or_escaped(shared: Installation) -> None:
    leaf = Device(shared).enroll()
    for _ in range(200):
        request = question(leaf, shared.chain[0], nonce=os.urandom(20))
        encoded = base64.b64encode(request).decode()
        if "//" in encoded or encoded.count("/") > 2:
            break
    for tail in (encoded, quote(encoded), quote(encoded, safe=""), encoded.replace("+", "%2B")):
        answer = shared.get(f"{OCSP_PATH}/{tail}")
        assert ocsp.load_der_ocsp_response(answer.body).certificate_status is GOOD


@pytest.mark.parametrize("size", [1, 16, 32])
def test_a_nonce_comes_back_and_is_never_answered_from_memory(shared: Installation, size: int) -> None:
    leaf = Device(shared).enroll()
    nonce = os.urandom(size)
    signed = ask(shared, leaf, nonce=nonce)
    answer = ocsp.load_der_ocsp_response(signed)
    assert answer.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == nonce
    assert ask(shared, leaf, nonce=nonce) != signed


def test_a_serial_that_was_never_issued_is_unknown(shared: Installation) -> None:
    stranger = certificate(rsa_key("device"), "never issued", serial_number=123456789)
    assert status(shared, stranger) is UNKNOWN


def test_a_reserved_serial_is_unknown_until_it_is_issued(shared: Installation) -> None:
    leaf = Device(shared).enroll()
    shared.change("UPDATE certificates SET status = 'reserved' WHERE id = (SELECT max(id) FROM certificates)")
    assert status(shared, leaf) is UNKNOWN
    shared.change("UPDATE certificates SET status = 'issued' WHERE id = (SELECT max(id) FROM certificates)")
    assert status(shared, leaf) is GOOD


def test_a_foreign_issuer_is_unauthorized(shared: Installation) -> None:
    foreign = certificate(rsa_key("stranger"), "Foreign CA", serial_number=1)
    answer = shared.post(OCSP_PATH, question(Device(shared).enroll(), foreign))
    assert ocsp.load_der_ocsp_response(answer.body).response_status is ocsp.OCSPResponseStatus.UNAUTHORIZED


def test_garbage_is_a_malformed_request(shared: Installation) -> None:
    for answer in (shared.post(OCSP_PATH, b"garbage"), shared.get(f"{OCSP_PATH}/!!!"), shared.get(OCSP_PATH)):
        assert ocsp.load_der_ocsp_response(answer.body).response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST


def test_several_cert_ids_are_answered_in_one_response(shared: Installation) -> None:
    device = Device(shared)
    good, revoked = device.enroll(), device.enroll()
    shared.revoke(revoked)
    unknown = certificate(rsa_key("device"), "x", serial_number=77)
    requests = [der.read(question(leaf, shared.chain[0])) for leaf in (good, revoked, unknown)]
    entries = [first(first(first(request))).encoded for request in requests]
    answer = shared.post(OCSP_PATH, der.sequence(der.sequence(der.sequence(*entries))))
    found = [one.certificate_status for one in ocsp.load_der_ocsp_response(answer.body).responses]
    assert found == [GOOD, REVOKED, UNKNOWN]


def test_the_root_answers_for_the_issuing_ca(shared: Installation) -> None:
    request = question(shared.chain[0], shared.chain[1])
    for path in (f"/ocsp/{ROOT_CA}/v1", OCSP_PATH):  # the path is a convenience, the CertID decides
        assert ocsp.load_der_ocsp_response(shared.post(path, request).body).certificate_status is GOOD


def test_the_responder_is_delegated_named_by_its_key_and_comes_along(shared: Installation) -> None:
    answer = ocsp.load_der_ocsp_response(ask(shared, Device(shared).enroll()))
    (responder,) = answer.certificates
    stored = shared.app.catalog.services(shared.issuer.id, CertificateKind.OCSP)[0]
    assert responder.public_bytes(Encoding.DER) == stored.certificate
    assert answer.responder_name is None
    assert answer.responder_key_hash == x509.SubjectKeyIdentifier.from_public_key(responder.public_key()).digest
    assert responder.extensions.get_extension_for_class(x509.OCSPNoCheck)
    purposes = responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.OCSP_SIGNING]


def test_get_answers_may_be_cached_for_minutes_and_posts_not_at_all(shared: Installation) -> None:
    leaf = Device(shared).enroll()
    request = question(leaf, shared.chain[0])
    got = shared.get(f"{OCSP_PATH}/{quote(base64.b64encode(request).decode())}")
    assert got.headers["cache-control"] == "max-age=300, public, no-transform, must-revalidate"
    assert got.headers["etag"] == f'"{hashlib.sha256(got.body).hexdigest()}"'
    assert "cache-control" not in shared.post(OCSP_PATH, request).headers


def test_openssl_ocsp_against_a_real_server_sees_good_revoked_unknown(
    installations: Installations, tmp_path: Path
) -> None:
    home = new_home(tmp_path)
    installation = installations.open(home)
    device = Device(installation)
    good, revoked = device.enroll(), device.enroll()
    installation.revoke(revoked)
    issuer = write_pem(tmp_path / "issuer.pem", installation.chain[:1])
    root = write_pem(tmp_path / "root.pem", installation.chain[1:])
    with ServerProcess(home) as server:

        def seen(leaf: bytes, *options: str) -> str:
            path = write_pem(tmp_path / "leaf.pem", [leaf])
            ran = openssl(
                "ocsp", "-issuer", issuer, *options, "-cert", path, "-url", f"{server.base}{OCSP_PATH}",
                "-CAfile", root, "-verify_other", issuer, "-resp_text",
            ).must_work()  # fmt: skip
            assert "Response verify OK" in ran.text, ran.text
            return next(line for line in ran.text.splitlines() if line.startswith(str(path))).rpartition(": ")[2]

        assert [seen(leaf) for leaf in (good, revoked)] == ["good", "revoked"]
        assert [seen(leaf, "-sha256") for leaf in (good, revoked)] == ["good", "revoked"]
        assert seen(good, "-no_nonce") == "good"
        serial = openssl(
            "ocsp", "-issuer", issuer, "-serial", "12345", "-url", f"{server.base}{OCSP_PATH}", "-CAfile", root,
            "-verify_other", issuer,
        )  # fmt: skip
        assert "12345: unknown" in serial.text
        installation.revoke(good)
        assert seen(good, "-no_nonce") == "revoked"  # the server's kept answer did not outlive it
