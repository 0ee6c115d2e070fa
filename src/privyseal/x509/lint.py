# SPDX-License-Identifier: Apache-2.0
"""Lints over what is about to be signed. They read the bytes afresh and share nothing with the builder.

A finding stops the signature: there are no warnings here, only what RFC 5280, the issuer or the profile
forbids.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from privyseal.errors import MalformedDer
from privyseal.x509 import der, oids
from privyseal.x509.certificate import CertificateView, read_certificate
from privyseal.x509.extensions import KeyUsage, key_identifier
from privyseal.x509.tbs import assemble

_RSA_SPKI_ALGORITHM = der.sequence(der.oid(oids.RSA_ENCRYPTION), der.null())
_UNDERSTOOD = frozenset(
    {
        oids.BASIC_CONSTRAINTS, oids.KEY_USAGE, oids.EXT_KEY_USAGE, oids.SUBJECT_KEY_IDENTIFIER,
        oids.AUTHORITY_KEY_IDENTIFIER, oids.SUBJECT_ALT_NAME, oids.CRL_DISTRIBUTION_POINTS,
        oids.AUTHORITY_INFO_ACCESS, oids.NTDS_CA_SECURITY_EXT, oids.OCSP_NO_CHECK, oids.FRESHEST_CRL,
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: a stable short name and a sentence."""

    rule: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRules:
    """What the certificate must be. The issuer's part is None for a self-signed root."""

    algorithm: bytes
    spki: bytes
    subject: bytes
    ca: bool
    issuer_name: bytes
    issuer_key_identifier: bytes
    issuer_not_after: datetime
    issuer_ext_key_usage: frozenset[str] | None
    issuer_path_length: int | None
    self_signed: bool = False
    exact: Mapping[str, bytes | None]
    """Extensions whose value must be exactly this, or absent for None: the profile's verdict."""
    revocable: bool = True
    """Must say where its CRL and issuer are (Windows refuses a leaf without CDP)."""


def lint_certificate(tbs: bytes, rules: CertificateRules) -> tuple[Finding, ...]:
    """All findings on a TBSCertificate; empty when it may be signed."""
    candidate = assemble(tbs, rules.algorithm, b"\x00")
    try:
        view = read_certificate(candidate)
        # A second, independent reader: what it refuses, relying parties may refuse as well.
        x509.load_der_x509_certificate(candidate).extensions  # noqa: B018 - reading is the check
    except MalformedDer as error:
        return (Finding("encoding", f"the certificate does not read back: {error.what}"),)
    except (ValueError, x509.DuplicateExtension) as error:
        return (Finding("encoding", f"a strict parser refuses the certificate: {error}"),)
    return (
        *_lint_fields(view, rules),
        *_lint_validity(view, rules),
        *_lint_chaining(view, rules),
        *_lint_usages(view, rules),
        *_lint_extensions(view, rules),
    )


def _lint_fields(view: CertificateView, rules: CertificateRules) -> Iterator[Finding]:
    if view.serial <= 0 or not 64 < view.serial.bit_length() <= 159:
        yield Finding("serial", "the serial is not positive with more than 64 and less than 160 bits")
    if view.spki != rules.spki:
        yield Finding("public-key", "the public key is not the one that was requested")
    if view.subject != rules.subject:
        yield Finding("subject", "the subject is not the one that was decided")
    empty = view.subject == b"\x30\x00"
    if empty and (rules.ca or not view.extensions.get(oids.SUBJECT_ALT_NAME, (False, b""))[0]):
        yield Finding("subject-empty", "an empty subject needs a critical SAN and is never a CA's (RFC 5280 4.1.2.6)")


def _lint_validity(view: CertificateView, rules: CertificateRules) -> Iterator[Finding]:
    if view.not_before >= view.not_after:
        yield Finding("validity", "notBefore is not before notAfter")
    if view.not_after > rules.issuer_not_after:
        yield Finding("validity-nesting", f"it ends after its issuer ({rules.issuer_not_after:%Y-%m-%dT%H:%M:%SZ})")


def _lint_chaining(view: CertificateView, rules: CertificateRules) -> Iterator[Finding]:
    if view.issuer != rules.issuer_name:
        yield Finding("issuer-name", "the issuer is not byte for byte the issuer's subject")
    if view.subject_key_identifier != key_identifier(view.spki):
        yield Finding("ski", "the subject key identifier is not that of the key")
    if view.authority_key_identifier != rules.issuer_key_identifier:
        yield Finding("aki", "the authority key identifier is not the issuer's")
    if rules.self_signed and view.issuer != view.subject:
        yield Finding("self-signed", "a root's issuer and subject are the same")


def _lint_usages(view: CertificateView, rules: CertificateRules) -> Iterator[Finding]:
    if view.is_ca != rules.ca:
        yield Finding("basic-constraints", f"basicConstraints cA is {view.is_ca}, must be {rules.ca}")
    usages = view.key_usage or frozenset()
    if (KeyUsage.KEY_CERT_SIGN in usages) != rules.ca or (KeyUsage.CRL_SIGN in usages) != rules.ca:
        yield Finding("key-usage-ca", "keyCertSign and cRLSign belong to CAs, and to every CA")
    if not usages:
        yield Finding("key-usage", "keyUsage is missing")
    is_rsa = _RSA_SPKI_ALGORITHM in view.spki[:32]
    if not is_rsa and {KeyUsage.KEY_ENCIPHERMENT, KeyUsage.DATA_ENCIPHERMENT} & usages:
        yield Finding("key-usage-encipherment", "only an RSA key can encipher (RFC 8813, RFC 8410)")
    if rules.ca and not rules.self_signed and rules.issuer_path_length is not None:
        # A self-issued certificate takes nothing off the length (RFC 5280 section 6.1.4 l).
        most = rules.issuer_path_length - (view.subject != view.issuer)
        if view.path_length is None or view.path_length > most:
            yield Finding("path-length", f"the issuer allows path length {rules.issuer_path_length} in all")
    purposes = view.ext_key_usage
    if not rules.ca and not purposes:
        yield Finding("eku", "an end entity certificate names its purposes")
    if not rules.ca and purposes and oids.ANY_EXTENDED_KEY_USAGE in purposes:
        yield Finding("eku-any", "anyExtendedKeyUsage is never given to an end entity")
    if rules.issuer_ext_key_usage is not None:
        beyond = sorted((purposes or frozenset({oids.ANY_EXTENDED_KEY_USAGE})) - rules.issuer_ext_key_usage)
        if beyond:
            yield Finding("eku-nesting", f"the issuer does not allow {', '.join(beyond)}")


def _lint_extensions(view: CertificateView, rules: CertificateRules) -> Iterator[Finding]:
    for dotted, (critical, _) in view.extensions.items():
        if dotted not in _UNDERSTOOD:
            yield Finding("extension", f"extension {dotted} is not one that Privyseal writes")
        if critical and dotted not in (oids.BASIC_CONSTRAINTS, oids.KEY_USAGE, oids.SUBJECT_ALT_NAME):
            yield Finding("critical", f"extension {dotted} must not be critical")
    for dotted, expected in rules.exact.items():
        if view.extension(dotted) != expected:
            yield Finding("profile", f"extension {dotted} is not what the profile says")
    if rules.revocable:
        for dotted in (oids.CRL_DISTRIBUTION_POINTS, oids.AUTHORITY_INFO_ACCESS):
            value = view.extension(dotted)
            if value is None or b"http://" not in value:
                yield Finding("revocation", f"extension {dotted} with a plain http URL is missing")
