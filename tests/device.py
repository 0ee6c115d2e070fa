# SPDX-License-Identifier: Apache-2.0
"""A SCEP device for tests: builds requests the way clients do, each deviation one argument, and reads the replies."""

from __future__ import annotations

import base64
import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from privyseal.ca.issuer import Issuer
from privyseal.model.entity import EndEntity
from privyseal.protocols.cms import PKCS1_V1_5, ContentCipher, KeyTransport
from privyseal.protocols.scep import client
from privyseal.protocols.scep.messages import IssuerAndSerial, IssuerAndSubject, PkiStatus, Reply
from privyseal.x509 import der, oids
from tests.installation import PROFILE, Answer, Installation
from tests.scep_messages import Holder, certificate, envelope, rsa_key, scep_attributes, signed

_numbers = itertools.count(1)
AnyKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
PKCS_REQ, RENEWAL_REQ, CERT_POLL, GET_CERT, GET_CRL = "19", "17", "20", "21", "22"


def printable(text: str) -> bytes:
    """PrintableString."""
    return der.tlv(der.PRINTABLE_STRING, text.encode())


def attribute(kind: str, value: bytes) -> bytes:
    """An attribute of a certification request."""
    return der.sequence(der.oid(kind), der.tlv(der.SET, value))


def extension(kind: str, value: bytes, *, critical: bool = False) -> bytes:
    """An extension."""
    return der.sequence(der.oid(kind), *([der.boolean(True)] if critical else []), der.octet_string(value))


def pair(name: str, value: str) -> bytes:
    """Microsoft's enrollment name-value pair."""
    texts = (der.tlv(der.BMP_STRING, text.encode("utf-16-be")) for text in (name, value))
    return attribute(oids.MS_ENROLLMENT_NAME_VALUE_PAIR, der.sequence(*texts))


def build_csr(
    key: AnyKey,
    *,
    name: str = "device",
    challenge: str | None = None,
    extensions: Sequence[bytes] = (),
    attributes: Sequence[bytes] = (),
    broken: bool = False,
) -> bytes:
    """A certification request, octet by octet: attributes stay in the given order, challenge last."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]).public_bytes()
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    members = [*attributes]
    if extensions:
        members.append(attribute(oids.EXTENSION_REQUEST, der.sequence(*extensions)))
    if challenge is not None:
        members.append(attribute(oids.CHALLENGE_PASSWORD, printable(challenge)))
    info = der.sequence(der.integer(0), subject, spki, der.tlv(0xA0, *members))
    if isinstance(key, rsa.RSAPrivateKey):
        algorithm = der.sequence(der.oid(oids.SHA256_WITH_RSA), der.null())
        signature = key.sign(info, padding.PKCS1v15(), hashes.SHA256())
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        algorithm = der.sequence(der.oid(oids.ECDSA_WITH_SHA256))
        signature = key.sign(info, ec.ECDSA(hashes.SHA256()))
    else:
        algorithm, signature = der.sequence(der.oid(oids.ED25519)), key.sign(info)
    if broken:
        signature = signature[:-1] + bytes((signature[-1] ^ 1,))
    return der.sequence(info, algorithm, der.bit_string(signature))


@dataclass(slots=True)
class Sent:
    """A message as it goes over the wire, and what is needed to read its answer."""

    message: bytes
    transaction_id: str
    nonce: bytes
    key: rsa.RSAPrivateKey


@dataclass(slots=True)
class Device:
    """One device with its key. Keys are few and shared: making one costs a tenth of a second."""

    service: Installation
    profile: str = PROFILE
    key_name: str = "device"
    entity: EndEntity = field(init=False)
    issued: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.entity = self.service.device()

    @property
    def key(self) -> rsa.RSAPrivateKey:
        """The key that it asks a certificate for."""
        return rsa_key(self.key_name)

    @property
    def self_signed(self) -> Holder:
        """The throw-away certificate that signs a first request."""
        return Holder(self.key, certificate(self.key, self.entity.name, serial_number=1))

    @property
    def holder(self) -> Holder:
        """Its newest certificate."""
        return Holder(self.key, self.issued[-1])

    @property
    def issuer(self) -> Issuer:
        """The CA of its profile."""
        return self.service.app.catalog.issuer(self.service.app.profiles.get(self.profile).issuer)

    @property
    def path(self) -> str:
        """Path of the SCEP endpoint."""
        return f"/scep/{self.profile}"

    def challenge(self, **options: Any) -> str:
        """A fresh challenge from the administrator."""
        return self.service.challenge(self.entity, profile=options.pop("profile", self.profile), **options)

    def csr(self, *, challenge: str | None = "", key: AnyKey | None = None, **options: Any) -> bytes:
        """Its request; with a fresh challenge unless another, or None, is given."""
        secret = self.challenge() if challenge == "" else challenge
        return build_csr(key or self.key, name=self.entity.name, challenge=secret, **options)

    def message(
        self,
        content: bytes,
        *,
        by: Holder | None = None,
        to: Sequence[Holder] = (),
        kind: str = PKCS_REQ,
        transaction_id: str = "",
        nonce: bytes = b"",
        cipher: ContentCipher = ContentCipher.AES_128_CBC,
        transport: KeyTransport = PKCS1_V1_5,
        by_ski: bool = False,
        **signing: Any,
    ) -> Sent:
        """A pkiMessage around ``content``; ``signing`` goes to ``scep_messages.signed``."""
        holder = by or self.self_signed
        drawn = nonce or os.urandom(16)
        name = transaction_id or f"{next(_numbers):040x}"
        sealed = envelope(
            content, cipher=cipher, to=to or self.service.ras_of(self.issuer)[:1], transport=transport, by_ski=by_ski
        )
        attributes = scep_attributes(message_type=kind, transaction_id=name.encode(), nonce=drawn)
        return Sent(signed(sealed, by=holder, attributes=attributes, **signing), name, drawn, holder.rsa_key)

    def request(self, **options: Any) -> Sent:
        """A proper PKCSReq."""
        return self.message(self.csr(), **options)

    def renewal(self, *, kind: str = RENEWAL_REQ, csr: bytes | None = None, **options: Any) -> Sent:
        """A request signed by its newest certificate, without a challenge."""
        signer = options.pop("by", None) or self.holder
        return self.message(csr or self.csr(challenge=None), kind=kind, by=signer, **options)

    def poll(self, sent: Sent, **options: Any) -> Sent:
        """CertPoll for an enrollment."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.entity.name)]).public_bytes()
        wanted = IssuerAndSubject(self.issuer.view.subject, subject)
        content = der.sequence(wanted.issuer, wanted.subject)
        return self.message(content, kind=CERT_POLL, transaction_id=sent.transaction_id, **options)

    def get_cert(self, serial: int, *, issuer: bytes = b"", kind: str = GET_CERT, **options: Any) -> Sent:
        """GetCert, or with ``kind`` GetCRL."""
        wanted = IssuerAndSerial(issuer or self.issuer.view.subject, serial)
        return self.message(der.sequence(wanted.issuer, der.integer(wanted.serial_number)), kind=kind, **options)

    # --- talking -----------------------------------------------------------------------------------------

    def post(self, message: bytes) -> Answer:
        """POSTs a message."""
        return self.service.post(f"{self.path}?operation=PKIOperation", message)

    def get(self, message: bytes) -> Answer:
        """GETs with the message in standard base64, escaped."""
        encoded = quote(base64.b64encode(message).decode(), safe="")
        return self.service.get(f"{self.path}?operation=PKIOperation&message={encoded}")

    def read(self, answer: Answer, sent: Sent) -> Reply:
        """The reply in an answer."""
        assert (answer.status, answer.content_type) == (200, "application/x-pki-message"), answer
        return client.parse_reply(
            answer.body,
            transaction_id=sent.transaction_id,
            sender_nonce=sent.nonce,
            trusted_ra=[ra.certificate for ra in self.service.ras_of(self.issuer)],
            private_key=sent.key,
        )

    def send(self, sent: Sent) -> Reply:
        """POSTs and reads the reply."""
        return self.read(self.post(sent.message), sent)

    def enroll(self, sent: Sent | None = None) -> bytes:
        """Its certificate, which must be granted; kept as the newest."""
        reply = self.send(sent or self.request())
        assert reply.status is PkiStatus.SUCCESS, (reply, self.refusal())
        assert len(reply.certificates) == 1
        self.issued.append(reply.certificates[0])
        return reply.certificates[0]

    def refusal(self) -> tuple[int, str]:
        """Code and sentence of the newest attempt that was refused."""
        rows = self.service.rows("SELECT code, what FROM enrollments WHERE state = 'refused' ORDER BY id DESC LIMIT 1")
        return rows[0] if rows else (0, "")

    def refused(self, sent: Sent) -> int:
        """Sends what must be refused; the code that the store has for it. Nothing but the attempt may be stored."""
        before = self.service.count("certificates"), self.service.count("enrollments")
        reply = self.send(sent)
        assert reply.status is PkiStatus.FAILURE, reply
        assert (self.service.count("certificates"), self.service.count("enrollments")) == (before[0], before[1] + 1)
        assert self.service.events()[-1] == "enrollment.refused"
        return self.refusal()[0]


def parsed(der_bytes: bytes) -> x509.Certificate:
    """A certificate, read by somebody else's reader."""
    return x509.load_der_x509_certificate(der_bytes)


def self_signed_for(key: rsa.RSAPrivateKey, name: str = "device") -> Holder:
    """A throw-away certificate around a key."""
    now = datetime.now(UTC)
    made = client.self_signed_certificate(key, name, serial_number=1, not_before=now, not_after=now + timedelta(days=1))
    return Holder(key, made)
