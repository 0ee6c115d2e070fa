# SPDX-License-Identifier: Apache-2.0
"""From our CAs and certificates to what Graph calls them. Ids are stable: of a CA by its name, of a leaf its serial."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha1
from typing import Final
from uuid import NAMESPACE_URL, UUID, uuid5

from privyseal.ca.issuer import Issuer
from privyseal.ca.lifecycle import STAGED_FOR, state_at
from privyseal.endpoints.graph.odata import tag_of
from privyseal.endpoints.graph.shapes import (
    GUID,
    CaStatus,
    CaType,
    CloudCa,
    CloudCaVersion,
    ExtendedKeyUsage,
    HashName,
    KeySize,
    Leaf,
    LeafStatus,
    VersionStatus,
)
from privyseal.errors import NotFound
from privyseal.model.authority import IN_FORCE, CaKind, CaRecord, CaState
from privyseal.model.authority_name import AuthorityName, PendingAuthority
from privyseal.model.certificate import CertificateRecord, CertificateStatus, format_serial
from privyseal.model.crl import CrlScope
from privyseal.model.entity import EndEntity, EntityKind
from privyseal.x509 import oids
from privyseal.x509.certificate import CertificateView
from privyseal.x509.csr import parse_request
from privyseal.x509.extensions import ext_key_usage_label
from privyseal.x509.keys import describe_key
from privyseal.x509.names import DistinguishedName

_IDS: Final = uuid5(NAMESPACE_URL, "urn:privyseal:cloud-certification-authority")
_SIZES: Final[Mapping[str, KeySize]] = {
    "RSA-2048": KeySize.RSA_2048, "RSA-3072": KeySize.RSA_3072, "RSA-4096": KeySize.RSA_4096,
    "P-256": KeySize.P256, "P-384": KeySize.P384, "P-521": KeySize.P521,
}  # fmt: skip
_CA_STATUS: Final[Mapping[CaState, CaStatus]] = {
    CaState.SIGNING_REQUIRED: CaStatus.SIGNING_PENDING, CaState.ACTIVE: CaStatus.ACTIVE,
    CaState.PAUSED: CaStatus.PAUSED, CaState.REVOKED: CaStatus.REVOKED, CaState.EXPIRED: CaStatus.EXPIRED,
}  # fmt: skip
_VERSION_STATUS: Final[Mapping[CaState, VersionStatus]] = {
    CaState.SIGNING_REQUIRED: VersionStatus.SIGNING_PENDING, CaState.STAGED: VersionStatus.STAGED,
    CaState.ACTIVE: VersionStatus.ACTIVE, CaState.PAUSED: VersionStatus.PAUSED,
    CaState.SUPERSEDED: VersionStatus.RETIRED, CaState.RETIRED: VersionStatus.RETIRED,
    CaState.REVOKED: VersionStatus.REVOKED, CaState.EXPIRED: VersionStatus.EXPIRED,
}  # fmt: skip
_USAGES: Final = (
    "digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment", "keyAgreement", "keyCertSign",
    "cRLSign", "encipherOnly", "decipherOnly",
)  # fmt: skip


def ca_id(name: str) -> str:
    """The id of a CA."""
    return str(uuid5(_IDS, name))


def leaf_id(serial: int) -> str:
    """The id of a certificate: its serial of 128 bits, written as a GUID."""
    return str(UUID(int=serial & ((1 << 128) - 1)))


def serial_of(leaf: str) -> str:
    """The serial that an id says. Raises NotFound for what is no id."""
    if not re.fullmatch(GUID, leaf):
        raise NotFound("there is no certificate of that id", mend=("list them, and take the id from there",))
    return format_serial(UUID(leaf).int)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaSeen:
    """Everything known of one name."""

    said: AuthorityName
    versions: tuple[Issuer, ...]
    pending: PendingAuthority | None
    above: Mapping[int, CaRecord]
    """Every CA version by its id."""
    base_url: str
    profile: str
    """The first profile that it issues for; empty without one."""
    now: datetime

    @property
    def shown(self) -> Issuer | None:
        """The version in force; without one the newest that ever was."""
        in_force = [issuer for issuer in self.versions if issuer.record.state in IN_FORCE]
        once = [issuer for issuer in self.versions if issuer.record.state is not CaState.STAGED]
        found = in_force or once or list(self.versions)
        return found[-1] if found else None


def ca_entity(seen: CaSeen) -> CloudCa:
    """The CA as Graph shows it."""
    labels = tuple(sorted(seen.said.labels)) or ("0",)
    blank = CloudCa(
        id=ca_id(seen.said.name),
        displayName=seen.said.name,
        description=seen.said.description,
        keyPlatform="software",
        roleScopeTagIds=labels,
    )
    found = _of_version(blank, seen, seen.shown) if seen.shown is not None else _of_pending(blank, seen)
    return replace(found, eTag=tag_of(found))


def _of_version(blank: CloudCa, seen: CaSeen, issuer: Issuer) -> CloudCa:
    record, view = issuer.record, issuer.view
    parent = None if record.parent_id is None else seen.above.get(record.parent_id)
    top = _top(record, seen.above)
    subject, state = DistinguishedName.from_der(view.subject), state_at(record.state, view.not_after, seen.now)
    kind = CaType.ROOT if record.kind is CaKind.ROOT else CaType.ISSUING
    if kind is CaType.ISSUING and (parent is None or not top.has_key):
        kind = CaType.ISSUING_EXTERNAL
    uses = tuple(
        ExtendedKeyUsage(name=ext_key_usage_label(use), objectIdentifier=use)
        for use in sorted(view.ext_key_usage or ())
    )
    waiting = seen.pending.request if seen.pending is not None else None
    return replace(
        _named(blank, subject),
        cloudCertificationAuthorityType=kind.value,
        certificationAuthorityStatus=_CA_STATUS.get(state, CaStatus.UNKNOWN).value,
        certificateKeySize=_size(describe_key(issuer.public_key)),
        cloudCertificationAuthorityHashingAlgorithm=_hash(issuer.algorithm.name),
        validityPeriodInYears=round((view.not_after - view.not_before).days / 365),
        validityStartDateTime=view.not_before,
        validityEndDateTime=view.not_after,
        serialNumber=format_serial(view.serial),
        thumbprint=_thumbprint(record.certificate),
        certificationAuthorityIssuerId=None if parent is None else ca_id(parent.name),
        issuerCommonName=DistinguishedName.from_der(view.issuer).common_name,
        rootCertificateCommonName=DistinguishedName.from_der(Issuer(top, seen.base_url).view.subject).common_name,
        certificationAuthorityIssuerUri=issuer.urls.ca_issuers,
        scepServerUrl=_scep(seen, issuer, staged=False),
        certificateRevocationListUrl=issuer.urls.crl,
        ocspResponderUri=issuer.urls.ocsp,
        certificateDownloadUrl=_download(record.certificate),
        certificateSigningRequest=None if waiting is None else base64.b64encode(waiting).decode("ascii"),
        extendedKeyUsages=uses,
        versionNumber=record.version,
        createdDateTime=record.created_at.replace(microsecond=0),
        lastModifiedDateTime=record.changed_at.replace(microsecond=0),
    )


def _of_pending(blank: CloudCa, seen: CaSeen) -> CloudCa:
    pending = seen.pending
    if pending is None:
        return blank
    request = parse_request(pending.request)
    return replace(
        _named(blank, request.subject),
        cloudCertificationAuthorityType=CaType.ISSUING_EXTERNAL.value,
        certificationAuthorityStatus=CaStatus.SIGNING_PENDING.value,
        certificateKeySize=_size(describe_key(request.public_key)),
        certificateSigningRequest=base64.b64encode(pending.request).decode("ascii"),
        extendedKeyUsages=tuple(
            ExtendedKeyUsage(name=ext_key_usage_label(use), objectIdentifier=use) for use in pending.ext_key_usage
        ),
        versionNumber=pending.version,
        createdDateTime=pending.created_at,
        lastModifiedDateTime=pending.created_at,
    )


def ca_versions(seen: CaSeen) -> tuple[CloudCaVersion, ...]:
    """Every version, the oldest first; one that waits for its certificate is the last."""
    found = [_version(seen, issuer) for issuer in seen.versions]
    if seen.pending is not None:
        waiting = seen.pending
        found.append(
            replace(
                _blank_version(seen, waiting.version, VersionStatus.SIGNING_PENDING, waiting.created_at),
                certificateSigningRequest=base64.b64encode(waiting.request).decode("ascii"),
            )
        )
    return tuple(found)


def _blank_version(seen: CaSeen, number: int, status: VersionStatus, changed: datetime) -> CloudCaVersion:
    return CloudCaVersion(
        id=str(uuid5(_IDS, f"{seen.said.name}/{number}")),
        versionNumber=number,
        certificationAuthorityId=ca_id(seen.said.name),
        certificationAuthorityVersionStatus=status.value,
        serialNumber=None,
        subjectName=None,
        thumbprint=None,
        validityStartDateTime=None,
        validityEndDateTime=None,
        scepServerUrl=None,
        certificateRevocationListUrl=None,
        certificationAuthorityIssuerUri=None,
        ocspResponderUri=None,
        certificateDownloadUrl=None,
        certificateSigningRequest=None,
        keyPlatform="software",
        decommissionDateTime=None,
        lastModifiedDateTime=changed.replace(microsecond=0),
    )


def _version(seen: CaSeen, issuer: Issuer) -> CloudCaVersion:
    record, view = issuer.record, issuer.view
    staged = record.state is CaState.STAGED
    state = state_at(record.state, view.not_after, seen.now)
    return replace(
        _blank_version(seen, record.version, _VERSION_STATUS[state], record.changed_at),
        serialNumber=format_serial(view.serial),
        subjectName=DistinguishedName.from_der(view.subject).to_text(),
        thumbprint=_thumbprint(record.certificate),
        validityStartDateTime=view.not_before,
        validityEndDateTime=view.not_after,
        scepServerUrl=_scep(seen, issuer, staged=staged),
        certificateRevocationListUrl=issuer.urls.crl,
        certificationAuthorityIssuerUri=issuer.urls.ca_issuers,
        ocspResponderUri=issuer.urls.ocsp,
        certificateDownloadUrl=_download(record.certificate),
        decommissionDateTime=(record.created_at + STAGED_FOR).replace(microsecond=0) if staged else None,
    )


def leaf_entity(
    record: CertificateRecord, view: CertificateView, *, issuer: Issuer, entity: EndEntity | None, now: datetime
) -> Leaf:
    """A certificate of a device or user."""
    status = LeafStatus.REVOKED if record.status is CertificateStatus.REVOKED else LeafStatus.ACTIVE
    if status is LeafStatus.ACTIVE and record.not_after < now:
        status = LeafStatus.EXPIRED
    device = entity if entity is not None and entity.kind is EntityKind.DEVICE else None
    user = entity if entity is not None and entity.kind is EntityKind.USER else None
    return Leaf(
        id=leaf_id(record.serial),
        subjectName=record.subject,
        issuerId=ca_id(record.issuer),
        issuerName=DistinguishedName.from_der(view.issuer).common_name or record.issuer,
        certificateStatus=status.value,
        validityStartDateTime=view.not_before,
        validityEndDateTime=view.not_after,
        crlDistributionPointUrl=issuer.crl_url(CrlScope(shard=issuer.record.crl.shard_of(record.serial))),
        certificationAuthorityIssuerUri=issuer.urls.ca_issuers,
        ocspResponderUri=issuer.urls.ocsp,
        thumbprint=_thumbprint(view.encoded),
        serialNumber=format_serial(record.serial),
        revocationDateTime=None if record.revocation is None else record.revocation.at,
        deviceName=None if device is None else device.name,
        deviceId=None if device is None else device.attributes.get("id"),
        devicePlatform=None,
        userPrincipalName=None if user is None else user.attributes.get("principal_name", user.name),
        userId=None if user is None else user.attributes.get("id"),
        keyUsages=tuple(_USAGES[bit] for bit in sorted(view.key_usage or ()) if bit < len(_USAGES)),
        extendedKeyUsages=tuple(sorted(view.ext_key_usage or ())),
        certificationAuthorityVersionNumber=record.issuer_version,
    )


def _named(blank: CloudCa, subject: DistinguishedName) -> CloudCa:
    values: dict[str, str] = {oid: value for rdn in subject.rdns for oid, value in rdn}
    return replace(
        blank,
        commonName=subject.common_name,
        organizationName=values.get(oids.ORGANIZATION),
        organizationUnit=values.get(oids.ORGANIZATIONAL_UNIT),
        countryName=values.get(oids.COUNTRY),
        stateName=values.get(oids.STATE),
        localityName=values.get(oids.LOCALITY),
        subjectName=subject.to_text(),
    )


def _top(record: CaRecord, above: Mapping[int, CaRecord]) -> CaRecord:
    for _ in range(len(above)):
        if record.parent_id is None or record.parent_id not in above:
            break
        record = above[record.parent_id]
    return record


def _scep(seen: CaSeen, issuer: Issuer, *, staged: bool) -> str | None:
    if not seen.profile or issuer.is_root:
        return None
    plain = f"{seen.base_url}/scep/{seen.profile}"
    return f"{plain}/v{issuer.record.version}" if staged else plain


def _size(described: str) -> str | None:
    found = _SIZES.get(described)
    return None if found is None else found.value


def _hash(algorithm: str) -> str | None:
    found = re.search("sha(256|384|512)", algorithm)
    return None if found is None else HashName(found.group()).value


def _thumbprint(encoded: bytes) -> str:
    """SHA-1, as Windows shows it; a name, not a protection."""
    return sha1(encoded, usedforsecurity=False).hexdigest().upper()


def _download(encoded: bytes) -> str:
    return f"data:application/x-x509-ca-cert;base64,{base64.b64encode(encoded).decode('ascii')}"
