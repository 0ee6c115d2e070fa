# SPDX-License-Identifier: Apache-2.0
"""Bodies of GetCACaps, GetCACert and GetNextCACert (RFC 8894 3.5.2, 4.2, 4.7), each with its exact content type.

Clients compare the content types octet for octet (certmonger and sscep do), so none carries parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from privyseal.errors import InvalidValue
from privyseal.protocols import cms_write
from privyseal.protocols.cms import Digest
from privyseal.protocols.scep.messages import CaCertificatesShape, ReplySigner

CAPABILITIES_TYPE: Final = "text/plain"
CA_CERTIFICATE_TYPE: Final = "application/x-x509-ca-cert"
CA_RA_CERTIFICATES_TYPE: Final = "application/x-x509-ca-ra-cert"
NEXT_CA_TYPE: Final = "application/x-x509-next-ca-cert"
PKI_MESSAGE_TYPE: Final = "application/x-pki-message"

# SHA-384 is not in RFC 8894's list, but Debian 12's strongSwan goes on only where it is offered.
_ALWAYS: Final = ("AES", "DES3", "POSTPKIOperation", "Renewal", "SCEPStandard", "SHA-256", "SHA-384", "SHA-512")


def capabilities(*, next_ca: bool, legacy: bool) -> bytes:
    """What GetCACaps answers, one keyword a line; ``legacy`` offers SHA-1 too, single DES is never offered."""
    keywords = [*_ALWAYS]
    if legacy:
        keywords.append("SHA-1")
    if next_ca:
        keywords.append("GetNextCACert")
    return "".join(f"{keyword}\n" for keyword in keywords).encode()


def ca_certificates(shape: CaCertificatesShape, *, ra: bytes, chain: Sequence[bytes]) -> tuple[str, bytes]:
    """Content type and body for GetCACert; ``chain`` is the issuing CA first, the root last.

    The certificates keep this order, RA first (``cms_write.certificates_only`` says why they are not sorted).
    """
    if not chain:
        raise InvalidValue("the chain for GetCACert is empty; it must begin with the issuing CA")
    if shape is CaCertificatesShape.RA_ONLY:
        return CA_CERTIFICATE_TYPE, ra
    above = chain if shape is CaCertificatesShape.RA_AND_FULL_CHAIN else chain[:1]
    return CA_RA_CERTIFICATES_TYPE, cms_write.certificates_only((ra, *above))


def next_ca_reply(certificates: Sequence[bytes], *, signer: ReplySigner, digest: Digest) -> tuple[str, bytes]:
    """Content type and body for GetNextCACert: the next certificates, signed by a current one (RFC 8894 4.7.1)."""
    content = cms_write.certificates_only(certificates)
    body = cms_write.signed_data(content, (), certificate=signer.certificate, sign=signer.sign, digest=digest)
    return NEXT_CA_TYPE, body
