# SPDX-License-Identifier: Apache-2.0
"""The one road to a signature: what is signed was linted, once; serials; and the order of the steps."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from privyseal.ca.hierarchy import prepare_root
from privyseal.ca.issuance import LintedTbs, issue, new_serial, prepare_certificate, sign
from privyseal.errors import LintFailed, SigningFailed, StoreUnavailable
from privyseal.model.authority import CaKind, CaRequest, CrlRules
from privyseal.model.certificate import CertificateKind
from privyseal.model.enrollment import Claim
from privyseal.x509.algorithms import KeyType, PublicKey, signature_algorithm
from privyseal.x509.lint import CertificateRules
from privyseal.x509.names import DistinguishedName
from privyseal.x509.spki import encode_public_key

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
KEY = ec.derive_private_key(4711, ec.SECP256R1())
OTHER = ec.derive_private_key(5, ec.SECP256R1())
CLAIM = Claim(kind=CertificateKind.CA, protocol="internal", requester="test")


class Rng:
    """Counts."""

    def __init__(self) -> None:
        self._drawn = 0

    def bytes(self, count: int) -> bytes:
        self._drawn += 1
        return self._drawn.to_bytes(count, "big")


class Signer:
    """A key, and a note of what it signed. ``shown`` is the public key that it claims to have."""

    def __init__(
        self,
        key: ec.EllipticCurvePrivateKey,
        steps: list[str],
        *,
        shown: PublicKey | None = None,
        results_are_checked: bool = False,
    ) -> None:
        self._key = key
        self._steps = steps
        self.public_key: PublicKey = shown or key.public_key()
        self.results_are_checked = results_are_checked

    async def sign(self, tbs: bytes) -> bytes:
        self._steps.append("sign")
        return self._key.sign(tbs, ec.ECDSA(hashes.SHA256()))


class Ledger:
    """Remembers the order of things; fails at the step that it is told."""

    def __init__(self, steps: list[str], *, fails_at: str = "") -> None:
        self._steps = steps
        self._fails_at = fails_at

    async def reserve(self, linted: LintedTbs, claim: Claim) -> int:
        self._step("reserve")
        return 1

    async def record(self, certificate_id: int, signature: bytes) -> None:
        self._step("record")

    def _step(self, name: str) -> None:
        self._steps.append(name)
        if name == self._fails_at:
            raise StoreUnavailable(name)


def root() -> LintedTbs:
    request = CaRequest(
        name="root", kind=CaKind.ROOT, parent=None, subject=DistinguishedName.parse("CN=DEMO unit root,O=Example"),
        key_type=KeyType.P256, hash_name=None, validity=timedelta(days=3650), path_length=1, ext_key_usage=(),
        crl=CrlRules(),
    )  # fmt: skip
    public_key = KEY.public_key()
    return prepare_root(
        request, spki=encode_public_key(public_key), algorithm=signature_algorithm(public_key), now=NOW, rng=Rng()
    )


def run(
    *, fails_at: str = "", key: ec.EllipticCurvePrivateKey = KEY, shown: PublicKey | None = None, checked: bool = False
) -> tuple[list[str], bytes]:
    steps: list[str] = []
    signer = Signer(key, steps, shown=shown, results_are_checked=checked)
    road = issue(root(), signer, issuer_key=KEY.public_key(), ledger=Ledger(steps, fails_at=fails_at), claim=CLAIM)
    try:
        return steps, asyncio.run(road)
    except (StoreUnavailable, SigningFailed):
        return steps, b""


def test_the_intent_is_stored_before_the_signature_exists_and_the_signature_before_anybody_has_it() -> None:
    steps, certificate = run()
    assert steps == ["reserve", "sign", "record"]
    assert certificate[:1] == b"\x30"


def test_what_cannot_be_reserved_is_not_signed() -> None:
    assert run(fails_at="reserve") == (["reserve"], b"")


def test_what_cannot_be_recorded_is_not_handed_out() -> None:
    assert run(fails_at="record") == (["reserve", "sign", "record"], b"")


def test_a_signature_that_does_not_verify_is_neither_recorded_nor_handed_out() -> None:
    """A processor that miscounts, under a signer that does not see to that itself."""
    assert run(key=OTHER, shown=KEY.public_key()) == (["reserve", "sign"], b"")


def test_a_signer_that_checks_its_results_is_not_asked_twice() -> None:
    signer = Signer(OTHER, [], shown=KEY.public_key(), results_are_checked=True)
    assert asyncio.run(sign(root(), signer, issuer_key=KEY.public_key()))


@pytest.mark.parametrize("checked", [False, True])
def test_the_key_of_another_ca_signs_nothing_and_no_serial_is_spent_on_it(checked: bool) -> None:
    assert run(key=OTHER, checked=checked) == ([], b"")
    steps: list[str] = []
    with pytest.raises(SigningFailed, match="not that of the issuer"):
        asyncio.run(sign(root(), Signer(OTHER, steps, results_are_checked=checked), issuer_key=KEY.public_key()))
    assert steps == []


def test_linted_bytes_are_signed_once() -> None:
    linted, signer = root(), Signer(KEY, [])
    asyncio.run(sign(linted, signer, issuer_key=KEY.public_key()))
    with pytest.raises(SigningFailed, match="once"):
        asyncio.run(sign(linted, signer, issuer_key=KEY.public_key()))


def test_nobody_else_makes_linted_bytes() -> None:
    algorithm = signature_algorithm(KEY.public_key())
    for token in (None, object(), "pass", True):
        with pytest.raises(SigningFailed):
            LintedTbs(token, "certificate", tbs=b"\x30\x00", algorithm=algorithm, issuer_id=1)


def test_a_certificate_that_does_not_fit_its_rules_never_gets_on_the_road() -> None:
    linted = root()
    assert linted.content is not None
    content, algorithm = linted.content, signature_algorithm(KEY.public_key())
    rules = CertificateRules(
        algorithm=algorithm.identifier, spki=content.spki, subject=content.subject, ca=False,
        issuer_name=content.issuer, issuer_key_identifier=b"x" * 20, issuer_not_after=NOW, issuer_ext_key_usage=None,
        issuer_path_length=None, self_signed=False, exact={}, revocable=True,
    )  # fmt: skip
    with pytest.raises(LintFailed, match=r"finding"):
        prepare_certificate(content, rules, algorithm=algorithm, issuer_id=1)


def test_serials_grow_with_time_and_hold_96_random_bits() -> None:
    rng = Rng()
    early, late = new_serial(NOW, rng), new_serial(NOW + timedelta(seconds=1), rng)
    assert early >> 96 == int(NOW.timestamp())
    assert late > early
    assert new_serial(NOW, rng) != early
    assert 0 < new_serial(datetime(2105, 1, 1, tzinfo=UTC), rng) < 1 << 159
