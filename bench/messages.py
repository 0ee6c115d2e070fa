# SPDX-License-Identifier: Apache-2.0
"""SCEP requests made before the clock runs: PKCSReq with AES-256 and SHA-256, a CSR and a transaction id each."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from urllib.request import Request, urlopen

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AttributeOID, NameOID

from privyseal.protocols.cms import PKCS1_V1_5, ContentCipher, Digest
from privyseal.protocols.scep.client import (
    Exchange,
    build_enrollment,
    parse_ca_certificates,
    parse_reply,
    self_signed_certificate,
)
from privyseal.protocols.scep.messages import MessageType


@dataclass(frozen=True)
class Client:
    """A key and the throw-away certificate that signs its requests."""

    key: rsa.RSAPrivateKey

    @cached_property
    def certificate(self) -> bytes:
        """DER."""
        now = datetime.now(UTC)
        return self_signed_certificate(
            self.key, "bench", serial_number=secrets.randbits(100), not_before=now - timedelta(days=1),
            not_after=now + timedelta(days=7),
        )  # fmt: skip


def clients(count: int) -> list[Client]:
    """Fresh RSA-2048 clients. Few serve for many messages: making a key takes longer than all the rest."""
    return [Client(rsa.generate_private_key(public_exponent=65537, key_size=2048)) for _ in range(count)]


def ca_certificates(url: str) -> tuple[bytes, ...]:
    """What GetCACert answers."""
    with urlopen(f"{url}?operation=GetCACert", timeout=10) as answer:
        return parse_ca_certificates(answer.headers["Content-Type"], answer.read())


def build_messages(who: Sequence[Client], recipient: bytes, challenges: Sequence[str]) -> list[bytes]:
    """One PKCSReq for each challenge."""
    return [
        _message(who[index % len(who)], recipient, challenge, index=index)[0]
        for index, challenge in enumerate(challenges)
    ]


def _message(client: Client, recipient: bytes, challenge: str, *, index: int) -> tuple[bytes, Exchange]:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"bench-{index}")])
    builder = x509.CertificateSigningRequestBuilder(name)
    builder = builder.add_attribute(AttributeOID.CHALLENGE_PASSWORD, challenge.encode())
    request = builder.sign(client.key, hashes.SHA256()).public_bytes(Encoding.DER)
    exchange = Exchange(
        signer_key=client.key,
        signer_certificate=client.certificate,
        recipient_certificate=recipient,
        transaction_id=secrets.token_hex(20),
        sender_nonce=secrets.token_bytes(16),
        cipher=ContentCipher.AES_256_CBC,
        digest=Digest.SHA256,
        key_transport=PKCS1_V1_5,
        content_key=secrets.token_bytes(32),
        iv=secrets.token_bytes(16),
    )
    return build_enrollment(request, message_type=MessageType.PKCS_REQ, **exchange), exchange


def try_one(url: str, client: Client, recipient: bytes, challenge: str) -> int:
    """Enroll once and check the reply for real; its size, by which wrk tells success from failure."""
    body, exchange = _message(client, recipient, challenge, index=0)
    post = Request(f"{url}?operation=PKIOperation", body, {"Content-Type": "application/x-pki-message"})
    with urlopen(post, timeout=10) as answer:
        reply = answer.read()
    parsed = parse_reply(
        reply,
        transaction_id=exchange["transaction_id"],
        sender_nonce=exchange["sender_nonce"],
        trusted_ra=(recipient,),
        private_key=client.key,
    )
    if not parsed.certificates:
        raise SystemExit(f"{url} answered the trial request with {parsed.status}, not with a certificate")
    return len(reply)
