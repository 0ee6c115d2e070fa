# SPDX-License-Identifier: Apache-2.0
"""The messages of SCEP (RFC 8894 section 3) as frozen values. Nothing here reads bytes or decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Final, Self

from privyseal.protocols.cms import ContentCipher, Digest, KeyTransport, PublicKey
from privyseal.protocols.cms_read import CertificateParts, EnvelopedData, certificate_parts

NONCE_SIZE: Final = 16  # RFC 8894 3.2.1.5
CONTENT_KEY_OCTETS: Final = 32  # what a caller draws for a reply: enough for every cipher
IV_OCTETS: Final = 16


class MessageType(IntEnum):
    """RFC 8894 3.2.1.2."""

    CERT_REP = 3
    RENEWAL_REQ = 17
    PKCS_REQ = 19
    CERT_POLL = 20
    GET_CERT = 21
    GET_CRL = 22


class PkiStatus(IntEnum):
    """RFC 8894 3.2.1.3."""

    SUCCESS = 0
    FAILURE = 2
    PENDING = 3


class FailInfo(IntEnum):
    """RFC 8894 3.2.1.4."""

    BAD_ALG = 0
    BAD_MESSAGE_CHECK = 1
    BAD_REQUEST = 2
    BAD_TIME = 3
    BAD_CERT_ID = 4


class CaCertificatesShape(Enum):
    """What GetCACert answers with; clients differ in what they can use."""

    RA_THEN_CA = "ra-then-ca"
    RA_AND_FULL_CHAIN = "ra-and-full-chain"
    RA_ONLY = "ra-only"


@dataclass(frozen=True, slots=True)
class ReplyAddress:
    """Whom a reply is for: what it repeats of the request, and the digest the client can read."""

    transaction_id: str
    sender_nonce: bytes
    digest: Digest


@dataclass(frozen=True, slots=True)
class ScepRequest:
    """A pkiMessage from a client, its signature verified with the certificate it carries. Not yet opened.

    Whether that certificate may be trusted is for others to say.
    """

    transaction_id: str
    message_type: MessageType
    sender_nonce: bytes
    signer: CertificateParts
    signer_key: PublicKey = field(repr=False, compare=False)
    envelope: EnvelopedData = field(repr=False)
    digest: Digest
    content_cipher: ContentCipher
    key_transport: KeyTransport

    @property
    def signer_certificate(self) -> bytes:
        """DER of the certificate that signed the request: self-signed, or the one to be renewed."""
        return self.signer.encoded

    @property
    def address(self) -> ReplyAddress:
        """Where replies go."""
        return ReplyAddress(self.transaction_id, self.sender_nonce, self.digest)


@dataclass(frozen=True, slots=True)
class IssuerAndSubject:
    """Content of CertPoll (RFC 8894 3.3.3): two Names in DER."""

    issuer: bytes
    subject: bytes


@dataclass(frozen=True, slots=True)
class IssuerAndSerial:
    """Content of GetCert and GetCRL (RFC 8894 3.3.4): a Name in DER and a serial number."""

    issuer: bytes
    serial_number: int


@dataclass(frozen=True, slots=True)
class RaIdentity:
    """One of our RA certificates, as recipients of requests name it."""

    parts: CertificateParts

    @classmethod
    def of(cls, certificate: bytes) -> Self:
        """From the certificate's DER. Raises MalformedMessage."""
        return cls(certificate_parts(certificate))

    @property
    def certificate(self) -> bytes:
        """DER of the certificate."""
        return self.parts.encoded


@dataclass(frozen=True, slots=True)
class ReplySigner:
    """The RA certificate (DER) and a call that signs ``data`` with its RSA key and the hash of that name."""

    certificate: bytes
    sign: Callable[[bytes, str], bytes]


@dataclass(frozen=True, slots=True)
class Reply:
    """A CertRep as the client understands it (RFC 8894 3.3.2)."""

    status: PkiStatus
    fail_info: FailInfo | None
    fail_info_text: str
    certificates: tuple[bytes, ...]
    crls: tuple[bytes, ...]
