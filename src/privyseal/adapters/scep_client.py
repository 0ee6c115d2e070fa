# SPDX-License-Identifier: Apache-2.0
"""A SCEP client over HTTP, as a device would use the service: every stage by itself, so that one can be named.

Used by ``scep test`` and the demo. Random bytes come from the operating system through ``Rng``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from privyseal.adapters.fetch import fetch
from privyseal.errors import EnrollmentPending, ServerAnsweredWrongly
from privyseal.protocols.cms import PKCS1_V1_5, ContentCipher, Digest
from privyseal.protocols.scep import caps, client
from privyseal.protocols.scep.messages import CONTENT_KEY_OCTETS, IV_OCTETS, NONCE_SIZE, MessageType, PkiStatus, Reply

_NEEDED: Final = frozenset({"AES", "POSTPKIOperation", "SHA-256"})


class Rng(Protocol):
    """Unpredictable bytes."""

    def bytes(self, count: int) -> bytes:
        """``count`` random bytes."""


@dataclass(frozen=True, slots=True)
class Server:
    """What GetCACaps and GetCACert told."""

    capabilities: frozenset[str]
    ra: bytes
    certificates: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey


class ScepClient:
    """One SCEP URL. Every method raises ServerUnreachable, ServerAnsweredWrongly and the codec's errors."""

    def __init__(self, url: str, rng: Rng) -> None:
        self._url = url
        self._rng = rng

    def capabilities(self) -> frozenset[str]:
        """GetCACaps; raises ServerAnsweredWrongly when AES, SHA-256 or POST is missing."""
        found = client.parse_capabilities(fetch(f"{self._url}?operation=GetCACaps").body)
        missing = _NEEDED - found
        if missing:
            raise ServerAnsweredWrongly(f"GetCACaps does not offer {', '.join(sorted(missing))}")
        return found

    def server(self) -> Server:
        """GetCACaps and GetCACert; the RA is the first certificate that may encipher keys."""
        found = self.capabilities()
        answer = fetch(f"{self._url}?operation=GetCACert&message=privyseal")
        certificates = client.parse_ca_certificates(answer.content_type, answer.body)
        for encoded in certificates:
            usage = x509.load_der_x509_certificate(encoded).extensions.get_extension_for_class(x509.KeyUsage).value
            if usage.key_encipherment:
                return Server(found, encoded, certificates)
        raise ServerAnsweredWrongly("GetCACert holds no certificate with keyEncipherment: nothing to encrypt to")

    def enroll(self, server: Server, *, key: rsa.RSAPrivateKey, name: str, challenge: str, now: datetime) -> Enrolled:
        """PKCSReq with a throw-away self-signed certificate, sent by POST."""
        builder = x509.CertificateSigningRequestBuilder().subject_name(
            x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name[:64])])
        )
        oid = x509.oid.AttributeOID.CHALLENGE_PASSWORD
        csr = builder.add_attribute(oid, challenge.encode()).sign(key, SHA256()).public_bytes(Encoding.DER)
        signer = client.self_signed_certificate(
            key,
            name[:64],
            serial_number=1,
            not_before=now - timedelta(minutes=10),
            not_after=now + timedelta(days=1),
        )
        reply = self._exchange(server, key=key, signer=signer, csr=csr, message_type=MessageType.PKCS_REQ)
        return Enrolled(issued_to(reply, key), key)

    def _exchange(
        self, server: Server, *, key: rsa.RSAPrivateKey, signer: bytes, csr: bytes, message_type: MessageType
    ) -> Reply:
        spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        transaction_id, nonce = sha256(spki).hexdigest()[:40], self._rng.bytes(NONCE_SIZE)
        message = client.build_enrollment(
            csr,
            message_type=message_type,
            signer_key=key,
            signer_certificate=signer,
            recipient_certificate=server.ra,
            transaction_id=transaction_id,
            sender_nonce=nonce,
            cipher=ContentCipher.AES_256_CBC,
            digest=Digest.SHA256,
            key_transport=PKCS1_V1_5,
            content_key=self._rng.bytes(CONTENT_KEY_OCTETS),
            iv=self._rng.bytes(IV_OCTETS),
        )
        answer = fetch(f"{self._url}?operation=PKIOperation", body=message, content_type=caps.PKI_MESSAGE_TYPE)
        if answer.content_type != caps.PKI_MESSAGE_TYPE:
            raise ServerAnsweredWrongly(f"PKIOperation answered with content type {answer.content_type!r}")
        return client.parse_reply(
            answer.body,
            transaction_id=transaction_id,
            sender_nonce=nonce,
            trusted_ra=(server.ra,),
            private_key=key,
        )


def issued_to(reply: Reply, key: rsa.RSAPrivateKey) -> x509.Certificate:
    """The certificate of a reply. Raises EnrollmentPending, ServerAnsweredWrongly."""
    if reply.status is PkiStatus.PENDING:
        raise EnrollmentPending("the server took the request and waits for an operator to decide")
    if reply.status is PkiStatus.FAILURE or not reply.certificates:
        shown = "" if reply.fail_info is None else f" ({reply.fail_info.name})"
        raise ServerAnsweredWrongly(
            f"the server refused the request{shown}",
            why="peers are told little; the enrollment log tells why",
            mend=("privyseal enrollment list --state refused",),
        )
    certificate = x509.load_der_x509_certificate(reply.certificates[0])
    if certificate.public_key() != key.public_key():
        raise ServerAnsweredWrongly("the first certificate of the answer is for another key")
    return certificate
