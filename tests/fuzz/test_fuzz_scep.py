# SPDX-License-Identifier: Apache-2.0
"""Whatever octets arrive: a value, or one error of our tree. No other exception ever leaves the codecs."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privyseal.errors import PrivysealError
from privyseal.protocols import ber, cms
from privyseal.protocols.cms import ContentCipher, Digest, KeyTransport
from privyseal.protocols.scep import client, codec
from privyseal.protocols.scep.messages import RaIdentity, ScepRequest
from privyseal.x509 import oids
from tests import scep_messages as odd

pytestmark = pytest.mark.broken_on_purpose("mutated messages are not ours to look at")


def _valid() -> list[bytes]:
    plain = odd.request()
    return [
        plain,
        odd.to_ber(plain),
        odd.request(cipher=ContentCipher.DES_CBC, digest="sha1"),
        odd.signed(odd.envelope(odd.csr(), transport=KeyTransport(Digest.SHA256, Digest.SHA256)), by_ski=True),
        odd.signed(odd.envelope(odd.csr(), by_ski=True), by=odd.ec_device(), signature_oid=oids.ECDSA_WITH_SHA256),
        odd.signed(odd.to_ber(odd.envelope(odd.csr(), to=[odd.stranger(), odd.ra()]))),
    ]


def served(body: bytes) -> None:
    """All that a server does with a body before it decides."""
    for legacy in (False, True):
        try:
            request = codec.parse_request(body, legacy=legacy)
        except PrivysealError:
            codec.failure_address(body, legacy=legacy)
            continue
        assert isinstance(request, ScepRequest)
        try:
            opened(request)
            codec.requester_key(request)
        except PrivysealError:
            continue


def opened(request: ScepRequest) -> None:
    _, recipient = codec.find_recipient(request, [RaIdentity.of(odd.ra().certificate)])
    size = request.content_cipher.key_size
    key = cms.unwrap_content_key(odd.ra().rsa_key, recipient, key_size=size, substitute=odd.SUBSTITUTE)
    codec.open_request(request, key)


def _mutated(body: bytes, changes: list[tuple[int, int, int]]) -> bytes:
    octets = bytearray(body)
    for kind, place, value in changes:
        at = place % max(len(octets), 1)
        if kind == 0:
            octets[at : at + 1] = bytes((value,))
        elif kind == 1:
            octets[at:at] = bytes((value,)) * (1 + value % 5)
        elif kind == 2:
            del octets[at : at + 1 + value % 9]
        else:
            octets[at : at + 2] = octets[at + 2 : at + 4]
    return bytes(octets)


CHANGES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1 << 14), st.integers(0, 255)), min_size=1, max_size=4)


@given(st.binary(max_size=300))
def test_random_octets_are_refused_with_one_of_our_errors(body: bytes) -> None:
    served(body)
    for read in (codec.issuer_and_subject, codec.issuer_and_serial, codec.decode_get_query, ber.to_der):
        with contextlib.suppress(PrivysealError):
            read(body)


@given(st.sampled_from(range(6)), CHANGES)
def test_mutated_messages_are_values_or_our_errors(which: int, changes: list[tuple[int, int, int]]) -> None:
    served(_mutated(_valid_cached()[which], changes))


@given(st.integers(0, 1), CHANGES)
def test_properly_signed_messages_around_mutated_envelopes_are_values_or_our_errors(
    which: int, changes: list[tuple[int, int, int]]
) -> None:
    transport = KeyTransport(Digest.SHA256, Digest.SHA256) if which else cms.PKCS1_V1_5
    served(odd.signed(_mutated(odd.envelope(odd.csr(), transport=transport), changes)))


@given(CHANGES)
def test_properly_signed_messages_with_mutated_certificates_are_values_or_our_errors(
    changes: list[tuple[int, int, int]],
) -> None:
    certificate = _mutated(odd.device().certificate, changes)
    served(odd.signed(odd.envelope(odd.csr()), certificates=[certificate]))


@given(st.text(max_size=200))
def test_any_text_as_query_is_octets_or_our_error(value: str) -> None:
    with contextlib.suppress(PrivysealError):
        codec.decode_get_query(value)


@given(CHANGES)
def test_mutated_replies_are_values_or_our_errors_to_the_client(changes: list[tuple[int, int, int]]) -> None:
    request = codec.parse_request(odd.request(), legacy=False)
    body = codec.build_reply_success(
        request,
        certificates=[odd.reply_certificate()],
        signer=odd.ra().reply_signer,
        sender_nonce=odd.NONCE,
        content_key=odd.SUBSTITUTE,
        iv=odd.NONCE,
    )
    with contextlib.suppress(PrivysealError):
        client.parse_reply(
            _mutated(body, changes),
            transaction_id=odd.TRANSACTION_ID,
            sender_nonce=odd.NONCE,
            trusted_ra=[odd.ra().certificate],
            private_key=odd.device().rsa_key,
        )


_CACHE: list[bytes] = []


def _valid_cached() -> list[bytes]:
    if not _CACHE:
        _CACHE.extend(_valid())
    return _CACHE
