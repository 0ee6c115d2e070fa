# SPDX-License-Identifier: Apache-2.0
"""The one road to a signature: build -> lint -> reserve -> sign exactly the linted bytes -> record.

Nothing else in Privyseal makes a certificate, CRL or OCSP answer. A ``LintedTbs`` exists only when the
lints found nothing, and can be spent once.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Final

from privyseal.ca.ports import Apart, IssuanceLedger, Rng, Signer
from privyseal.errors import LintFailed, SigningFailed
from privyseal.model.enrollment import Claim
from privyseal.x509.algorithms import PublicKey, SignatureAlgorithm, verify_signature
from privyseal.x509.lint import CertificateRules, Finding, lint_certificate
from privyseal.x509.lint_crl import CrlRules, lint_crl
from privyseal.x509.tbs import CertificateContent, assemble, certificate_tbs

_PASS: Final = object()


class LintedTbs:
    """Bytes that passed their lints and may be signed once. Made by this module only."""

    __slots__ = ("_spent", "algorithm", "content", "issuer_id", "kind", "tbs")

    def __init__(
        self,
        token: object,
        kind: str,
        *,
        tbs: bytes,
        algorithm: SignatureAlgorithm,
        issuer_id: int,
        content: CertificateContent | None = None,
    ) -> None:
        if token is not _PASS:
            raise SigningFailed("a LintedTbs is made by ca.issuance only")
        self.kind = kind
        self.tbs = tbs
        self.algorithm = algorithm
        self.issuer_id = issuer_id
        self.content = content
        self._spent = False

    def spend(self) -> bytes:
        """The bytes, the first time. Raises SigningFailed the second time."""
        if self._spent:
            raise SigningFailed("these bytes were already signed once")
        self._spent = True
        return self.tbs

    def forget(self) -> None:
        """Let go of bytes that were signed and assembled, when they are large."""
        self.tbs = b""


def new_serial(now: datetime, rng: Rng) -> int:
    """A serial of 128 bits: 32 bits of time, then 96 random bits (RFC 5280 section 4.1.2.2).

    The time prefix keeps the index of serials growing at one end; the random part is what nobody can guess.
    """
    return int(now.timestamp()) << 96 | int.from_bytes(rng.bytes(12), "big")


def prepare_certificate(
    content: CertificateContent, rules: CertificateRules, *, algorithm: SignatureAlgorithm, issuer_id: int
) -> LintedTbs:
    """Build and lint a certificate. Raises LintFailed with every finding."""
    tbs = certificate_tbs(content)
    _refuse("certificate", lint_certificate(tbs, rules))
    return LintedTbs(_PASS, "certificate", tbs=tbs, algorithm=algorithm, issuer_id=issuer_id, content=content)


def prepare_crl(tbs: bytes, rules: CrlRules, *, algorithm: SignatureAlgorithm, issuer_id: int) -> LintedTbs:
    """Lint a CRL. Raises LintFailed."""
    _refuse("CRL", lint_crl(tbs, rules))
    return LintedTbs(_PASS, "crl", tbs=tbs, algorithm=algorithm, issuer_id=issuer_id)


def prepare_ca_request(info: bytes, *, algorithm: SignatureAlgorithm) -> LintedTbs:
    """Take a CA's own certification request onto the road: it proves possession of the key and grants nothing."""
    if info[:1] != b"\x30":
        raise LintFailed("the certification request information is not a SEQUENCE")
    return LintedTbs(_PASS, "request", tbs=info, algorithm=algorithm, issuer_id=0)


def prepare_ocsp(tbs: bytes, *, algorithm: SignatureAlgorithm, issuer_id: int) -> LintedTbs:
    """Take an OCSP answer's ResponseData onto the road.

    It is not reserved row by row: it grants nothing, and the responder's own certificate is on record.
    """
    if tbs[:1] != b"\x30":
        raise LintFailed("the OCSP response data is not a SEQUENCE")
    return LintedTbs(_PASS, "ocsp", tbs=tbs, algorithm=algorithm, issuer_id=issuer_id)


def _refuse(what: str, findings: tuple[Finding, ...]) -> None:
    if findings:
        listed = "; ".join(f"{finding.rule}: {finding.text}" for finding in findings)
        raise LintFailed(f"the {what} has {len(findings)} finding(s): {listed}")


def check_key(signer: Signer, issuer_key: PublicKey) -> None:
    """Raises SigningFailed unless the signer's key is the one in the issuer's certificate."""
    if signer.public_key != issuer_key:
        raise SigningFailed("the private key is not that of the issuer's certificate")


async def sign(linted: LintedTbs, signer: Signer, *, issuer_key: PublicKey, apart: Apart | None = None) -> bytes:
    """The signature over exactly the linted bytes, verified before anyone sees it. Raises SigningFailed.

    What is large is verified ``apart``.

    A key file that belongs to another CA signs nothing. Verification guards against faulty hardware, whose wrong
    RSA signatures would give the key away; a signer that sees to this itself is not asked twice (decision 21).
    """
    check_key(signer, issuer_key)
    tbs = linted.spend()
    signature = await signer.sign(tbs)
    if signer.results_are_checked:
        return signature
    verify = partial(verify_signature, issuer_key, linted.algorithm, signature, data=tbs)
    if apart is None:
        verify()
    else:
        await apart(verify)
    return signature


def finish_ocsp(response: bytes) -> bytes:
    """A complete OCSPResponse on its way out: the last stretch of the road, where tests look at everything."""
    return response


def finish(kind: str, tbs: bytes, algorithm: bytes, signature: bytes) -> bytes:
    """The signed object's DER. ``kind`` (certificate, crl) tells an onlooker what it is."""
    return assemble(tbs, algorithm, signature)


async def issue(
    linted: LintedTbs, signer: Signer, *, issuer_key: PublicKey, ledger: IssuanceLedger, claim: Claim
) -> bytes:
    """Reserve, sign, record; returns the certificate's DER. A crash in between leaves a row that start-up settles."""
    check_key(signer, issuer_key)
    certificate_id = await ledger.reserve(linted, claim)
    signature = await sign(linted, signer, issuer_key=issuer_key)
    await ledger.record(certificate_id, signature)
    return finish("certificate", linted.tbs, linted.algorithm.identifier, signature)
