# SPDX-License-Identifier: Apache-2.0
"""Properties, enums and contents of actions, spelled as in Microsoft Graph's beta schema of Cloud PKI."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from privyseal.model.api.fields import limited

GUID: Final = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
_TEXT: Final = 256
_SERIAL: Final = r"^[0-9a-fA-F: -]{1,63}$"


class CaType(Enum):
    """``cloudCertificationAuthorityType``."""

    UNKNOWN = "unknown"
    ROOT = "rootCertificationAuthority"
    ISSUING = "issuingCertificationAuthority"
    ISSUING_EXTERNAL = "issuingCertificationAuthorityWithExternalRoot"


class CaStatus(Enum):
    """``cloudCertificationAuthorityStatus``."""

    UNKNOWN = "unknown"
    ACTIVE = "active"
    PAUSED = "paused"
    REVOKED = "revoked"
    SIGNING_PENDING = "signingPending"
    UNKNOWN_FUTURE = "unknownFutureValue"
    EXPIRED = "expired"


class VersionStatus(Enum):
    """``cloudCertificationAuthorityVersionStatus``."""

    UNKNOWN = "unknown"
    ACTIVE = "active"
    STAGED = "staged"
    PAUSED = "paused"
    RETIRED = "retired"
    EXPIRED = "expired"
    REVOKED = "revoked"
    DECOMMISSIONED = "decommissioned"
    SIGNING_PENDING = "signingPending"


class KeySize(Enum):
    """``cloudCertificationAuthorityCertificateKeySize``."""

    RSA_2048 = "rsa2048"
    RSA_3072 = "rsa3072"
    RSA_4096 = "rsa4096"
    P256 = "eCP256"
    P256K = "eCP256k"
    P384 = "eCP384"
    P521 = "eCP521"


class HashName(Enum):
    """``cloudCertificationAuthorityHashingAlgorithm``."""

    SHA256 = "sha256"
    SHA384 = "sha384"
    SHA512 = "sha512"


class LeafStatus(Enum):
    """``cloudCertificationAuthorityLeafCertificateStatus``."""

    ACTIVE = "active"
    REVOKED = "revoked"
    EXPIRED = "expired"


def _words(kind: type[Enum]) -> tuple[str, ...]:
    return tuple(member.value for member in kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtendedKeyUsage:
    """One purpose."""

    name: str | None = limited(default=None, longest=_TEXT)
    objectIdentifier: str = limited(longest=128, pattern=r"^[0-2](\.[0-9]{1,11}){2,20}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudCa:
    """``cloudCertificationAuthority``: one of our CAs, with the version in force."""

    id: str | None = limited(default=None, longest=_TEXT)
    displayName: str | None = limited(default=None, longest=_TEXT)
    description: str | None = limited(default=None, longest=400)
    cloudCertificationAuthorityType: str | None = limited(default=None, choices=_words(CaType))
    certificationAuthorityStatus: str | None = limited(default=None, choices=_words(CaStatus))
    certificateKeySize: str | None = limited(default=None, choices=_words(KeySize))
    cloudCertificationAuthorityHashingAlgorithm: str | None = limited(default=None, choices=_words(HashName))
    keyPlatform: str | None = limited(default=None, choices=("unknown", "software", "hardwareSecurityModule"))
    validityPeriodInYears: int | None = limited(default=None, least=0, most=40)
    validityStartDateTime: datetime | None = None
    validityEndDateTime: datetime | None = None
    commonName: str | None = limited(default=None, longest=_TEXT)
    organizationName: str | None = limited(default=None, longest=_TEXT)
    organizationUnit: str | None = limited(default=None, longest=_TEXT)
    countryName: str | None = limited(default=None, longest=_TEXT)
    stateName: str | None = limited(default=None, longest=_TEXT)
    localityName: str | None = limited(default=None, longest=_TEXT)
    subjectName: str | None = limited(default=None, longest=4096)
    serialNumber: str | None = limited(default=None, longest=_TEXT)
    thumbprint: str | None = limited(default=None, longest=_TEXT)
    certificationAuthorityIssuerId: str | None = limited(default=None, longest=_TEXT)
    issuerCommonName: str | None = limited(default=None, longest=_TEXT)
    rootCertificateCommonName: str | None = limited(default=None, longest=_TEXT)
    certificationAuthorityIssuerUri: str | None = limited(default=None, longest=1024)
    scepServerUrl: str | None = limited(default=None, longest=1024)
    certificateRevocationListUrl: str | None = limited(default=None, longest=1024)
    ocspResponderUri: str | None = limited(default=None, longest=1024)
    certificateDownloadUrl: str | None = None
    certificateSigningRequest: str | None = None
    extendedKeyUsages: tuple[ExtendedKeyUsage, ...] | None = limited(default=None, longest=32)
    roleScopeTagIds: tuple[str, ...] | None = limited(default=None, longest=16)
    versionNumber: int | None = limited(default=None, least=0, most=9999)
    eTag: str | None = limited(default=None, longest=_TEXT)
    createdDateTime: datetime | None = None
    lastModifiedDateTime: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudCaVersion:
    """``cloudCertificationAuthorityVersion``."""

    id: str
    versionNumber: int
    certificationAuthorityId: str
    certificationAuthorityVersionStatus: str = limited(choices=_words(VersionStatus))
    serialNumber: str | None
    subjectName: str | None
    thumbprint: str | None
    validityStartDateTime: datetime | None
    validityEndDateTime: datetime | None
    scepServerUrl: str | None
    certificateRevocationListUrl: str | None
    certificationAuthorityIssuerUri: str | None
    ocspResponderUri: str | None
    certificateDownloadUrl: str | None
    certificateSigningRequest: str | None
    keyPlatform: str
    decommissionDateTime: datetime | None
    lastModifiedDateTime: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """``cloudCertificationAuthorityLeafCertificate``: a certificate of a device or user."""

    id: str
    subjectName: str
    issuerId: str
    issuerName: str
    certificateStatus: str = limited(choices=_words(LeafStatus))
    validityStartDateTime: datetime
    validityEndDateTime: datetime
    crlDistributionPointUrl: str | None
    certificationAuthorityIssuerUri: str | None
    ocspResponderUri: str | None
    thumbprint: str
    serialNumber: str
    revocationDateTime: datetime | None
    deviceName: str | None
    deviceId: str | None
    devicePlatform: str | None
    userPrincipalName: str | None
    userId: str | None
    keyUsages: tuple[str, ...]
    extendedKeyUsages: tuple[str, ...]
    certificationAuthorityVersionNumber: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChange:
    """Of ``changeCloudCertificationAuthorityStatus``: pause, or resume."""

    certificationAuthorityStatus: str = limited(choices=(CaStatus.ACTIVE.value, CaStatus.PAUSED.value))
    certificationAuthorityVersion: int | None = limited(default=None, least=0, most=9999)


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionChoice:
    """Of the actions that are about one version."""

    certificationAuthorityVersion: int | None = limited(default=None, least=0, most=9999)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafChoice:
    """Of ``revokeLeafCertificate``."""

    leafCertificateId: str = limited(pattern=GUID, longest=36)


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialChoice:
    """Of ``revokeLeafCertificateBySerialNumber`` and the search."""

    certificateSerialNumber: str = limited(pattern=_SERIAL, longest=63)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustChainCertificate:
    """One certificate above the signed one."""

    certificate: str
    displayName: str | None = limited(default=None, longest=_TEXT)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedUpload:
    """Of ``uploadExternallySignedCertificationAuthorityCertificate``; base64 of DER, PEM or PKCS #7."""

    signedCertificate: str
    trustChainCertificates: tuple[TrustChainCertificate, ...] = limited(default=(), longest=19)
    certificationAuthorityVersion: int | None = limited(default=None, least=0, most=9999)


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphInnerError:
    """What Graph keeps for its own request ids, and our code, cause and remedies."""

    request_id: str
    code: int
    cause: str
    remedies: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphErrorBody:
    """Code and message."""

    code: str
    message: str
    innerError: GraphInnerError


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphError:
    """An error in Graph's form."""

    error: GraphErrorBody
