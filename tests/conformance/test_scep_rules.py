# SPDX-License-Identifier: Apache-2.0
"""The seven rules that let every packaged SCEP client talk to one server, and its rows of the matrix, as octets."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest
from asn1crypto import cms as asn1_cms

from privyseal.protocols.cms import ContentCipher, Digest, KeyTransport, content_cipher_of, digest_of
from privyseal.protocols.cms_read import EnvelopedData, SignedData, read_enveloped_data, read_signed_data
from privyseal.protocols.scep.messages import FailInfo, PkiStatus
from privyseal.x509 import der, oids
from tests.device import PKCS_REQ, RENEWAL_REQ, Device, attribute, build_csr, extension, parsed
from tests.installation import Installation, Installations
from tests.scep_messages import Holder, rsa_key, stranger, to_ber

LEGACY = "legacy"
CAPABILITIES = b"AES\nDES3\nPOSTPKIOperation\nRenewal\nSCEPStandard\nSHA-256\nSHA-384\nSHA-512\n"


@pytest.fixture
def device(shared: Installation) -> Device:
    return Device(shared)


@pytest.fixture(scope="module", autouse=True)
def profiles(shared: Installation) -> None:
    shared.profile(LEGACY, scep={"legacy_devices": True})
    shared.profile("manual", approval="manual")


def outside_of(body: bytes) -> SignedData:
    return read_signed_data(body)


def inside_of(body: bytes) -> EnvelopedData:
    return read_enveloped_data(outside_of(body).content or b"")


# --- rule 1: RA mode, RSA RA first whatever the CA is ----------------------------------------------------


@pytest.mark.parametrize("key", ["ec:p256", "rsa:2048", "ed25519"])
def test_get_ca_cert_is_a_p7b_with_the_rsa_ra_first(installations: Installations, key: str) -> None:
    installation = installations(key)
    answer = installation.get("/scep/wifi-device?operation=GetCACert")
    assert answer.headers["content-type"] == "application/x-x509-ca-ra-cert"
    found = read_signed_data(answer.body).certificates
    assert found == (installation.ra.certificate, *installation.chain)
    others = asn1_cms.ContentInfo.load(answer.body)["content"]["certificates"]
    assert tuple(other.chosen.dump() for other in others) == found
    Device(installation).enroll()


# --- rule 2: SHA-384 and SCEPStandard are listed; SignerInfo names rsaEncryption ---------------------------


def test_get_ca_caps_lists_what_each_client_looks_for_one_a_line(shared: Installation) -> None:
    answer = shared.get("/scep/wifi-device?operation=GetCACaps")
    assert (answer.headers["content-type"], answer.body) == ("text/plain", CAPABILITIES)


def test_get_ca_caps_of_a_legacy_profile_adds_sha1_and_never_des(shared: Installation) -> None:
    body = shared.get(f"/scep/{LEGACY}?operation=GetCACaps").body
    assert body == CAPABILITIES + b"SHA-1\n"


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_replies_name_plain_rsa_encryption_and_mirror_the_digest(device: Device, digest: str) -> None:
    sent = device.request(digest=digest)
    body = device.post(sent.message).body
    signer = outside_of(body).signer
    assert signer is not None
    assert signer.signature_algorithm.dotted == oids.RSA_ENCRYPTION
    assert digest_of(signer.digest_algorithm, legacy=True) is Digest(digest)
    (info,) = asn1_cms.ContentInfo.load(body)["content"]["signer_infos"]  # another reader sees the same
    assert info["signature_algorithm"]["algorithm"].native == "rsassa_pkcs1v15"
    assert info["digest_algorithm"]["algorithm"].native == digest


# --- rule 3: the client's cipher is mirrored; DES and SHA-1 behind the legacy switch -------------------------


@pytest.mark.parametrize(
    "cipher",
    [ContentCipher.AES_128_CBC, ContentCipher.AES_192_CBC, ContentCipher.AES_256_CBC, ContentCipher.DES_EDE3_CBC],
)
def test_the_reply_comes_in_the_cipher_of_the_request(device: Device, cipher: ContentCipher) -> None:
    sent = device.request(cipher=cipher)
    answer = device.post(sent.message)
    assert content_cipher_of(inside_of(answer.body), legacy=False) is cipher
    assert device.read(answer, sent).status is PkiStatus.SUCCESS


def test_des_with_the_legacy_switch_is_answered_in_triple_des(shared: Installation) -> None:
    device = Device(shared, profile=LEGACY)
    sent = device.request(cipher=ContentCipher.DES_CBC, digest="sha1")
    answer = device.post(sent.message)
    assert content_cipher_of(inside_of(answer.body), legacy=False) is ContentCipher.DES_EDE3_CBC
    assert device.read(answer, sent).status is PkiStatus.SUCCESS


@pytest.mark.parametrize(("cipher", "digest"), [("AES_128_CBC", "sha1"), ("DES_CBC", "sha256"), ("DES_CBC", "sha1")])
def test_sha1_and_des_without_the_switch_are_bad_alg(device: Device, cipher: str, digest: str) -> None:
    reply = device.send(device.request(cipher=ContentCipher[cipher], digest=digest))
    assert (reply.status, reply.fail_info) == (PkiStatus.FAILURE, FailInfo.BAD_ALG)


def test_md5_is_refused_even_with_the_switch(shared: Installation) -> None:
    device = Device(shared, profile=LEGACY)
    assert device.send(device.request(digest="md5")).fail_info is FailInfo.BAD_ALG


# --- rule 4: BER, several recipients, unsorted attributes, wrong keys -----------------------------------------


@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_ber_with_octet_strings_in_pieces_is_read(device: Device, piece: int) -> None:
    sent = device.request()
    answer = device.post(to_ber(sent.message, piece=max(piece, 4)))
    assert device.read(answer, sent).status is PkiStatus.SUCCESS


def test_ours_need_not_be_the_first_recipient(device: Device) -> None:
    issuing = Holder(rsa_key("stranger"), device.service.chain[0])  # scepclient encrypts to every certificate it got
    for recipients in ([stranger(), device.service.ra], [issuing, stranger(), device.service.ra]):
        device.enroll(device.request(to=recipients))


def test_a_recipient_named_by_its_key_identifier_is_found(device: Device) -> None:
    device.enroll(device.request(by_ski=True))


def test_a_request_whose_attributes_are_unsorted_is_read(device: Device) -> None:
    names = der.sequence(der.tlv(0x82, b"x.example.com"))
    wanted = attribute(oids.EXTENSION_REQUEST, der.sequence(extension(oids.SUBJECT_ALT_NAME, names)))
    secret = device.challenge()
    challenge = attribute(oids.CHALLENGE_PASSWORD, der.tlv(der.PRINTABLE_STRING, secret.encode()))
    for order in ([wanted, challenge], [challenge, wanted]):
        csr = build_csr(device.key, attributes=order)
        reply = device.send(device.message(csr, transaction_id="unsorted"))
        assert reply.status is PkiStatus.SUCCESS


def test_signed_attributes_out_of_order_verify(device: Device) -> None:
    device.enroll(device.request(unsorted=True))


# --- rule 5: GET in every alphabet, any content type, any message -----------------------------------------------


def get_forms(message: bytes) -> dict[str, str]:
    """How clients put the same message into a URL."""
    standard = base64.b64encode(message).decode()
    wrapped = "%0A".join(standard[at : at + 64] for at in range(0, len(standard), 64))
    return {
        "raw plus and slash, padding escaped (Apple)": standard.replace("=", "%3D"),
        "everything escaped (certmonger)": quote(standard, safe=""),
        "plus became a space": standard.replace("+", "%20"),
        "plus became a raw plus, unescaped by a proxy to a space": standard.replace("+", " "),
        "URL alphabet (scepclient)": base64.urlsafe_b64encode(message).decode(),
        "line ends (Cisco)": wrapped,
        "no padding": standard.rstrip("="),
        "lower-case escapes": quote(standard, safe="").replace("%2B", "%2b").replace("%2F", "%2f"),
    }


@pytest.mark.parametrize("form", get_forms(b""))
def test_a_get_is_read_in_every_form(device: Device, form: str) -> None:
    for size in (0, 1, 2):  # all three lengths of padding
        csr = device.csr(extensions=[extension("1.2.3.4", bytes(size))])
        sent = device.message(csr)
        answer = device.service.get(f"{device.path}?operation=PKIOperation&message={get_forms(sent.message)[form]}")
        assert device.read(answer, sent).status is PkiStatus.SUCCESS


def test_get_and_post_give_the_same_certificate(device: Device) -> None:
    sent = device.request()
    posted, got = device.post(sent.message), device.get(sent.message)
    assert device.read(posted, sent).certificates == device.read(got, sent).certificates


# --- rule 6: renewal by 17 and by 19, challenge present or absent --------------------------------------------------


@pytest.mark.parametrize("challenge", ["absent", "used", "fresh", "never given out"])
@pytest.mark.parametrize("kind", [RENEWAL_REQ, PKCS_REQ])
def test_a_certificate_of_ours_renews_by_either_message_type(device: Device, kind: str, challenge: str) -> None:
    secret = device.challenge()
    first = device.enroll(device.message(device.csr(challenge=secret)))
    secrets = {"absent": None, "used": secret, "fresh": device.challenge(), "never given out": "nothing of yours"}
    csr = device.csr(challenge=secrets[challenge], key=rsa_key("renewed"))
    second = device.enroll(device.renewal(kind=kind, csr=csr))
    assert parsed(second).public_key() == rsa_key("renewed").public_key()
    assert parsed(second).serial_number != parsed(first).serial_number
    assert parsed(second).subject == parsed(first).subject


# --- rule 7: leaf only, empty eContent, exact content types ---------------------------------------------------------


def test_a_success_holds_the_leaf_only(device: Device) -> None:
    sent = device.request()
    reply = device.send(sent)
    assert len(reply.certificates) == 1


def test_failure_and_pending_carry_an_econtent_of_length_zero(shared: Installation) -> None:
    waiting, wrong = Device(shared, profile="manual"), Device(shared)
    for device, sent in (
        (waiting, waiting.request()),
        (wrong, wrong.message(wrong.csr(challenge="unknown"))),
        (wrong, wrong.request(digest="sha1")),
    ):
        body = device.post(sent.message).body
        encapsulated = asn1_cms.ContentInfo.load(body)["content"]["encap_content_info"]
        assert encapsulated["content"].contents == b""
        assert encapsulated.dump().endswith(bytes.fromhex("a0020400"))  # [0] EXPLICIT, OCTET STRING, length 0
        assert device.read(device.post(sent.message), sent).certificates == ()


def test_content_types_are_exact(shared: Installation) -> None:
    shared.profile("alone", scep={"chain": "ra-only"})
    device = Device(shared)
    wanted = {
        "/scep/alone?operation=GetCACert": "application/x-x509-ca-cert",
        "/scep/wifi-device?operation=GetCACert": "application/x-x509-ca-ra-cert",
        "/scep/wifi-device?operation=GetCACaps": "text/plain",
    }
    assert {target: shared.get(target).headers["content-type"] for target in wanted} == wanted
    for sent in (device.request(), device.poll(device.request()), device.message(device.csr(challenge="no"))):
        assert device.post(sent.message).headers["content-type"] == "application/x-pki-message"


# --- the rest of RFC 8894 ---------------------------------------------------------------------------------------------


def test_every_reply_has_a_fresh_sender_nonce_and_returns_ours(device: Device) -> None:
    sent = device.request()
    nonces = set()
    for _ in range(5):
        body = device.post(sent.message).body
        (info,) = asn1_cms.ContentInfo.load(body)["content"]["signer_infos"]
        found = {one["type"].native: one["values"][0] for one in info["signed_attrs"]}
        assert found[oids.SCEP_RECIPIENT_NONCE].native == sent.nonce
        nonces.add(found[oids.SCEP_SENDER_NONCE].native)
    assert len(nonces) == 5
    assert {len(nonce) for nonce in nonces} == {16}


def test_oaep_and_pkcs1_recipients_side_by_side(device: Device) -> None:
    device.enroll(device.request(transport=KeyTransport(Digest.SHA256, Digest.SHA256)))


def test_only_pki_operation_is_posted_and_unknown_operations_are_400(shared: Installation) -> None:
    assert shared.post("/scep/wifi-device?operation=GetCACaps").status == 405
    assert shared.get("/scep/wifi-device?operation=Nonsense").status == 400
    assert shared.get("/scep/wifi-device").status == 400
