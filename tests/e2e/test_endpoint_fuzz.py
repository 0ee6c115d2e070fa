# SPDX-License-Identifier: Apache-2.0
"""Any bytes at any route: an answer below 500, never an exception; a damaged message never yields a certificate."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from privyseal.errors import PrivysealError
from privyseal.protocols.scep import client
from privyseal.protocols.scep.messages import PkiStatus
from tests.device import CERT_POLL, GET_CERT, GET_CRL, PKCS_REQ, RENEWAL_REQ, Device
from tests.installation import Installation

RUNS = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
MANY = settings(RUNS, max_examples=150)
KINDS = st.sampled_from([PKCS_REQ, RENEWAL_REQ, CERT_POLL, GET_CERT, GET_CRL, "3", "0", "x"])


@pytest.fixture(scope="module")
def device(shared: Installation) -> Device:
    shared.profile("legacy", scep={"legacy_devices": True})
    return Device(shared)


def damaged(message: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    """``message`` with some pieces replaced."""
    found = bytearray(message)
    for position, length, piece in edits:
        at = position % max(1, len(found))
        found[at : at + length] = piece
    return bytes(found)


EDITS = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 8), st.binary(max_size=8)), min_size=1, max_size=4)


@MANY
@given(body=st.binary(max_size=300), legacy=st.booleans())
def test_any_bytes_posted_are_answered_below_500(device: Device, body: bytes, legacy: bool) -> None:
    path = "/scep/legacy" if legacy else device.path
    assert device.service.post(f"{path}?operation=PKIOperation", body).status < 500


@MANY
@given(edits=EDITS)
def test_a_damaged_message_is_answered_below_500_and_grants_nothing(
    device: Device, edits: list[tuple[int, int, bytes]]
) -> None:
    sent = device.message(device.csr(challenge="no challenge of ours"))
    before = device.service.count("certificates")
    assert device.post(damaged(sent.message, edits)).status < 500
    assert device.service.count("certificates") == before


@RUNS
@given(content=st.binary(max_size=200), kind=KINDS)
def test_any_content_in_a_proper_message_is_answered_in_scep(device: Device, content: bytes, kind: str) -> None:
    sent = device.message(content, kind=kind)
    assert device.send(sent).status is PkiStatus.FAILURE


@RUNS
@given(edits=EDITS, kind=KINDS)
def test_a_damaged_request_in_a_proper_message_is_never_a_fault_of_ours(
    device: Device, edits: list[tuple[int, int, bytes]], kind: str
) -> None:
    sent = device.message(damaged(device.csr(challenge="unknown"), edits), kind=kind)
    assert device.post(sent.message).status < 500


@MANY
@given(query=st.text(alphabet=st.characters(max_codepoint=255, exclude_characters="#"), max_size=60))
def test_any_query_is_answered_below_500(device: Device, query: str) -> None:
    for target in (f"{device.path}?{query}", f"{device.path}?operation=PKIOperation&message={query}"):
        assert device.service.get(target).status < 500


@MANY
@given(parts=st.lists(st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=255), max_size=12), max_size=5))
def test_any_path_is_answered_below_500(device: Device, parts: list[str]) -> None:
    for first in ("", "scep/", "ocsp/issuing/v1/", "crl/issuing/", "aia/", "livez", "readyz/"):
        assert device.service.get(f"/{first}{'/'.join(parts)}".replace("?", "")).status < 500


@MANY
@given(body=st.binary(max_size=200))
def test_any_ocsp_request_is_answered_in_ocsp(device: Device, body: bytes) -> None:
    for answer in (
        device.service.post("/ocsp/issuing/v1", body),
        device.service.get(f"/ocsp/issuing/v1/{quote(base64.b64encode(body).decode())}"),
    ):
        assert (answer.status, answer.content_type) == (200, "application/ocsp-response")


@RUNS
@given(body=st.binary(max_size=300))
def test_any_reply_read_by_our_client_is_a_value_or_one_of_our_errors(device: Device, body: bytes) -> None:
    with pytest.raises(PrivysealError):
        client.parse_reply(
            body, transaction_id="1", sender_nonce=bytes(16), trusted_ra=[device.service.ra.certificate],
            private_key=device.key,
        )  # fmt: skip
