# SPDX-License-Identifier: Apache-2.0
"""What a relying party does with a certificate of ours: fetch CRL and OCSP answer, and check both.

Written on ``cryptography``'s own parsers and verifiers, not on the code that made the objects.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from privyseal.adapters.fetch import fetch
from privyseal.errors import ServerAnsweredWrongly


@dataclass(frozen=True, slots=True)
class SeenCrl:
    """A CRL that was fetched and verified."""

    url: str
    encoded: bytes
    number: int
    next_update: datetime
    lists_it: bool


@dataclass(frozen=True, slots=True)
class SeenOcsp:
    """An OCSP answer that was fetched and verified."""

    url: str
    encoded: bytes
    status: str


def check_crl(certificate: x509.Certificate, issuer: x509.Certificate, *, now: datetime) -> SeenCrl:
    """Fetch the CRL that the certificate names and verify it. Raises ServerUnreachable, ServerAnsweredWrongly."""
    points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    seen, crl = _fetch_crl(str((points[0].full_name or [])[0].value), certificate, issuer, now=now)
    try:
        scope = crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint).value.full_name
    except x509.ExtensionNotFound:
        return seen
    if scope is None or seen.url not in [name.value for name in scope]:
        raise ServerAnsweredWrongly(f"the CRL at {seen.url} is a shard for other certificates")
    return seen


def check_delta(
    certificate: x509.Certificate, issuer: x509.Certificate, base: SeenCrl, *, now: datetime
) -> SeenCrl | None:
    """The same for the delta CRL; None when the certificate names none. It must fit to ``base`` (RFC 5280 5.2.4)."""
    try:
        points = certificate.extensions.get_extension_for_class(x509.FreshestCRL).value
    except x509.ExtensionNotFound:
        return None
    seen, crl = _fetch_crl(str((points[0].full_name or [])[0].value), certificate, issuer, now=now)
    try:
        based = crl.extensions.get_extension_for_class(x509.DeltaCRLIndicator).value.crl_number
    except x509.ExtensionNotFound as error:
        raise ServerAnsweredWrongly(f"{seen.url} did not answer with a delta CRL") from error
    if not based <= base.number < seen.number:
        raise ServerAnsweredWrongly(
            f"delta CRL {seen.number} at {seen.url} is based on {based}; it does not fit to CRL {base.number}"
        )
    return seen


def _fetch_crl(
    url: str, certificate: x509.Certificate, issuer: x509.Certificate, *, now: datetime
) -> tuple[SeenCrl, x509.CertificateRevocationList]:
    encoded = fetch(url).body
    try:
        crl = x509.load_der_x509_crl(encoded)
        number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except (ValueError, x509.ExtensionNotFound) as error:
        raise ServerAnsweredWrongly(f"{url} did not answer with a CRL: {error}") from error
    key = issuer.public_key()
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        raise ServerAnsweredWrongly(f"{url}: the issuer's key is of a kind that signs no CRLs")
    if crl.issuer != issuer.subject or not crl.is_signature_valid(key):
        raise ServerAnsweredWrongly(f"the CRL at {url} is not signed by {issuer.subject.rfc4514_string()}")
    if crl.next_update_utc is None or not crl.last_update_utc <= now < crl.next_update_utc:
        raise ServerAnsweredWrongly(f"the CRL at {url} is not valid now")
    entry = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
    listed = entry is not None and not _removes(entry)
    return SeenCrl(url, encoded, number, crl.next_update_utc, listed), crl


def _removes(entry: x509.RevokedCertificate) -> bool:
    try:
        reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except x509.ExtensionNotFound:
        return False
    return reason is x509.ReasonFlags.remove_from_crl


def check_ocsp(certificate: x509.Certificate, issuer: x509.Certificate, *, now: datetime) -> SeenOcsp:
    """Ask the OCSP responder that the certificate names and verify what it says. Raises as ``check_crl``."""
    access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    locations = [one for one in access if one.access_method == AuthorityInformationAccessOID.OCSP]
    url = str(locations[0].access_location.value)
    request = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, SHA256()).build()
    encoded = fetch(url, body=request.public_bytes(Encoding.DER), content_type="application/ocsp-request").body
    try:
        answer = ocsp.load_der_ocsp_response(encoded)
    except ValueError as error:
        raise ServerAnsweredWrongly(f"{url} did not answer with an OCSP response: {error}") from error
    if answer.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise ServerAnsweredWrongly(f"{url} answered {answer.response_status.name.lower()}")
    _check_responder(answer, issuer, url)
    if answer.serial_number != certificate.serial_number:
        raise ServerAnsweredWrongly(f"{url} answered about another serial")
    end = answer.next_update_utc
    if not answer.this_update_utc <= now or (end is not None and end <= now):
        raise ServerAnsweredWrongly(f"the answer of {url} is not valid now")
    return SeenOcsp(url, encoded, answer.certificate_status.name.lower())


def _check_responder(answer: ocsp.OCSPResponse, issuer: x509.Certificate, url: str) -> None:
    """The delegated responder is the issuer's, and signed this (RFC 6960 section 4.2.2.2)."""
    if not answer.certificates:
        raise ServerAnsweredWrongly(f"{url} sent no responder certificate")
    responder = answer.certificates[0]
    key, algorithm = responder.public_key(), answer.signature_hash_algorithm
    try:
        responder.verify_directly_issued_by(issuer)
        purposes = responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        if ExtendedKeyUsageOID.OCSP_SIGNING not in purposes or algorithm is None:
            raise ServerAnsweredWrongly(f"{url}: the responder's certificate is not for OCSP signing")
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(answer.signature, answer.tbs_response_bytes, ec.ECDSA(algorithm))
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(answer.signature, answer.tbs_response_bytes, padding.PKCS1v15(), algorithm)
        else:
            raise ServerAnsweredWrongly(f"{url}: the responder's key is neither EC nor RSA")
    except (InvalidSignature, ValueError, TypeError, x509.ExtensionNotFound) as error:
        raise ServerAnsweredWrongly(f"the answer of {url} is not signed by a responder of the CA") from error
