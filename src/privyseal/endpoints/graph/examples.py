# SPDX-License-Identifier: Apache-2.0
"""Examples of the facade's requests and answers, for its OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

from privyseal.endpoints.graph.mapping import ca_id

_CONTEXT: Final = "https://pki.contoso.com:8443/beta/$metadata"
CA: Final[dict[str, Any]] = {
    "@odata.context": _CONTEXT,
    "id": ca_id("contoso-issuing"),
    "displayName": "contoso-issuing",
    "description": "Wi-Fi and VPN",
    "cloudCertificationAuthorityType": "issuingCertificationAuthority",
    "certificationAuthorityStatus": "active",
    "certificateKeySize": "rsa3072",
    "versionNumber": 1,
}
CA_PAGE: Final[dict[str, Any]] = {
    "@odata.context": _CONTEXT,
    "value": [{name: value for name, value in CA.items() if name[0] != "@"}],
}
CA_WISH: Final[dict[str, Any]] = {
    "displayName": "Contoso Root 2",
    "cloudCertificationAuthorityType": "rootCertificationAuthority",
    "commonName": "Contoso Root 2",
    "organizationName": "Contoso",
    "countryName": "DE",
    "certificateKeySize": "eCP256",
    "validityPeriodInYears": 10,
}
VERSION: Final[dict[str, Any]] = {
    "@odata.context": _CONTEXT,
    "versionNumber": 1,
    "certificationAuthorityId": CA["id"],
    "certificationAuthorityVersionStatus": "active",
}
VERSION_PAGE: Final[dict[str, Any]] = {
    "@odata.context": _CONTEXT,
    "value": [{name: value for name, value in VERSION.items() if name[0] != "@"}],
}
LEAF: Final[dict[str, Any]] = {
    "@odata.context": _CONTEXT,
    "id": "6a0f3c62-a1b2-c3d4-e5f6-0718293a4be1",
    "subjectName": "CN=LAPTOP-042",
    "issuerName": "Contoso Issuing",
    "certificateStatus": "active",
    "serialNumber": "6a0f3c62a1b2c3d4e5f60718293a4be1",
    "deviceName": "LAPTOP-042",
    "revocationDateTime": None,
}
LEAF_PAGE: Final[dict[str, Any]] = {
    "@odata.context": _CONTEXT,
    "value": [{name: value for name, value in LEAF.items() if name[0] != "@"}],
}
