# SPDX-License-Identifier: Apache-2.0
"""A second and third opinion, OpenSSL's and pkilint's, on every certificate, CRL and OCSP answer that we sign."""

from __future__ import annotations

import base64
import functools
import re
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from tests.outside.tools import Ran, openssl

# What pkilint finds and we do on purpose, with the reason. Anything else from WARNING upwards fails the test.
ALLOWED: Final = {
    # The SID as URI (KB5014754) is tag:microsoft.com,2022-09-14:sid:S-1-...; pkilint wants a scheme with an authority.
    "pkix.invalid_uri_syntax",
}
# The same for one kind of value: code -> what its message may be. The domain's NetBIOS name is a DNS name of one label
# in a domain controller's certificate, as Windows itself writes it; pkilint wants two.
ALLOWED_VALUES: Final = {"pkix.invalid_domain_name_syntax": re.compile(r'.*: "[A-Z0-9-]{1,15}"')}
CERTIFICATE, CRL, OCSP = "certificate", "crl", "ocsp"
_LABELS: Final = {CERTIFICATE: "CERTIFICATE", CRL: "X509 CRL"}


def look_at_certificate(der: bytes, chain: Sequence[bytes] = (), *, crls: Sequence[bytes] = ()) -> None:
    """Reads, lints and, when its ``chain`` (issuer first, root last) is given, verifies a certificate.

    With ``crls`` of every issuer the whole path is checked for revocation as well.
    """
    look_at_structure([der])
    lint(CERTIFICATE, der)
    openssl("x509", "-inform", "DER", "-noout", "-text", given=der).must_work()
    if chain:
        verify_with_openssl([der], chain, crls=crls).must_work()


def look_at_crl(der: bytes, issuer: bytes | None = None) -> None:
    """Reads and lints a CRL and, when the ``issuer`` is given, verifies its signature."""
    look_at_structure([der])
    lint(CRL, der)
    if issuer is None:
        openssl("crl", "-inform", "DER", "-noout", "-text", given=der).must_work()
        return
    with tempfile.TemporaryDirectory() as name:
        path = write_pem(Path(name) / "issuer.pem", [issuer])
        read = openssl("crl", "-inform", "DER", "-noout", "-CAfile", path, given=der).must_work()
        assert "verify OK" in read.text, read.text


def look_at_ocsp_response(
    der: bytes,
    *,
    chain: Sequence[bytes] = (),
    certificate: bytes = b"",
    digest: str = "sha1",
    at: datetime | None = None,
) -> str:
    """Reads and lints an OCSP answer; with ``chain`` (issuer first) its signer is verified too. OpenSSL's text.

    With ``certificate`` its status is part of the text: ``good``, ``revoked`` or ``unknown``; ``digest`` is that
    of the CertID which the answer holds.
    """
    look_at_structure([der])
    lint(OCSP, der)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "answer.der").write_bytes(der)
        arguments: list[str | Path] = ["-respin", place / "answer.der", "-no_nonce", "-resp_text"]
        if not chain:
            return openssl("ocsp", *arguments, "-noverify").must_work().text
        arguments += ["-CAfile", write_pem(place / "root.pem", chain[-1:])]
        arguments += ["-verify_other", write_pem(place / "chain.pem", chain)]
        arguments += ["-attime", str(int((at or datetime.now(UTC)).timestamp()))]
        if certificate:
            arguments += ["-issuer", write_pem(place / "issuer.pem", chain[:1]), f"-{digest}"]
            arguments += ["-cert", write_pem(place / "leaf.pem", [certificate])]
        seen = openssl("ocsp", *arguments)
        assert "Response verify OK" in seen.text, seen.text
        return seen.text


def verify_with_openssl(certificates: Sequence[bytes], chain: Sequence[bytes], *, crls: Sequence[bytes] = ()) -> Ran:
    """``openssl verify`` of all ``certificates`` against one ``chain`` (issuer first, root last)."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        arguments: list[str | Path] = ["-CAfile", write_pem(place / "root.pem", chain[-1:])]
        arguments += ["-untrusted", write_pem(place / "chain.pem", chain)]
        if crls:
            arguments += ["-crl_check_all", "-CRLfile", write_pem(place / "crls.pem", crls, kind=CRL)]
        else:
            arguments += ["-no_check_time"]  # a test may live in any year
        leaves = [write_pem(place / f"{n}.pem", [der]) for n, der in enumerate(certificates)]
        return openssl("verify", "-x509_strict", *arguments, *leaves)


def look_at_structure(objects: Sequence[bytes]) -> None:
    """``openssl asn1parse`` over all of them at once, down to the last octet; it names the offset where it stops."""
    body = b"".join(objects)
    size = len(body).to_bytes(8, "big").lstrip(b"\0")
    read = openssl("asn1parse", "-inform", "DER", given=b"\x30" + bytes((0x80 | len(size),)) + size + body)
    assert read.code == 0, f"openssl asn1parse: {read.err.decode('utf-8', 'replace')}"


def lint(kind: str, der: bytes) -> None:
    """Fails the test with pkilint's findings from WARNING upwards, less those that are ALLOWED."""
    findings = lint_findings(kind, der)
    if findings:
        armoured = base64.encodebytes(der).decode()
        pytest.fail(f"pkilint finds in this {kind}:\n  " + "\n  ".join(findings) + f"\n{armoured}", pytrace=False)


def lint_findings(kind: str, der: bytes) -> list[str]:
    """pkilint's findings from WARNING upwards that are not ALLOWED, as text."""
    from pkilint.validation import ValidationFindingSeverity  # 0.5 s to import: only where something was signed

    loader, validator = _linter(kind)
    results = validator.validate(loader.load_der_document(der, kind).root)
    return [
        f"{description.finding.severity.name} {description.finding.code} at {result.node.path}: {description.message}"
        for result in results
        for description in result.finding_descriptions
        if description.finding.severity <= ValidationFindingSeverity.WARNING
        and not _is_allowed(description.finding.code, description.message or "")
    ]


def _is_allowed(code: str, message: str) -> bool:
    values = ALLOWED_VALUES.get(code)
    return code in ALLOWED or (values is not None and values.fullmatch(message) is not None)


@functools.cache
def _linter(kind: str) -> tuple[Any, Any]:
    from pkilint import loader, pkix
    from pkilint.pkix import certificate, crl, extension, name, ocsp

    decoders = [
        pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
        pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
    ]
    if kind == CERTIFICATE:
        return loader.RFC5280CertificateDocumentLoader(), certificate.create_pkix_certificate_validator_container(
            certificate.create_decoding_validators(name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS),
            [
                certificate.create_issuer_validator_container([]),
                certificate.create_validity_validator_container(),
                certificate.create_subject_validator_container([]),
                certificate.create_extensions_validator_container([]),
                certificate.create_spki_validator_container([]),
            ],
        )
    if kind == CRL:
        return loader.RFC5280CertificateListDocumentLoader(), crl.create_pkix_crl_validator_container(
            decoders,
            [
                crl.create_issuer_validator_container([]),
                crl.create_validity_validator_container([]),
                crl.create_extensions_validator_container([]),
            ],
        )
    return loader.RFC6960OCSPResponseDocumentLoader(), ocsp.create_pkix_ocsp_response_validator_container(
        [ocsp.create_response_decoder(), *decoders], []
    )


def write_pem(path: Path, ders: Sequence[bytes], *, kind: str = CERTIFICATE) -> Path:
    """Writes ``ders`` as PEM blocks and gives the path back."""
    label = _LABELS[kind]
    path.write_text(
        "".join(f"-----BEGIN {label}-----\n{base64.encodebytes(d).decode()}-----END {label}-----\n" for d in ders)
    )
    return path
