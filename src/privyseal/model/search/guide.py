# SPDX-License-Identifier: Apache-2.0
"""The search language told to people, once; help, ``explain search`` and the API's documentation show it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from privyseal.model.certificate import CertificateKind
from privyseal.model.revocation import CrlReason
from privyseal.model.search.query import Field, Status

FIELDS: Final[Mapping[Field, str]] = {
    Field.STATUS: f"{', '.join(status.value for status in Status)}; active is valid or expiring",
    Field.PROFILE: "name of the profile",
    Field.REVISION: "revision of the profile, a number",
    Field.ISSUER: "name of the CA",
    Field.VERSION: "version of the CA, a number",
    Field.KIND: ", ".join(kind.value for kind in CertificateKind),
    Field.PROTOCOL: "scep, operator, ...",
    Field.REQUESTER: "as `certificate get` shows it: challenge:17, cli:ada, certificate:6b03...",
    Field.REASON: ", ".join(reason.label for reason in CrlReason),
    Field.ENTITY: "exact name of a device or user",
    Field.DEVICE: "exact name of a device",
    Field.USER: "exact name of a user",
    Field.SID: "the SID inside the certificate",
    Field.SERIAL: "the serial in hexadecimal, colons or not",
    Field.SUBJECT: "occurs in the subject",
    Field.SAN: "occurs in a subject alternative name",
    Field.TEXT: "occurs in subject, alternative names or name of the device or user",
    Field.ENDS: "end of validity: <30d has less than 30 days left, or has ended; 2026-01-31; >=2026-01-31",
    Field.ISSUED: "<7d within the last 7 days; >7d before that; a date; a range 2026-01-01..2026-02-01",
    Field.REVOKED: "like issued, for the moment of revocation",
}
RULES: Final = (
    "Words are joined by and: status:expiring profile:wifi-device ends:<30d",
    "Commas are or: status:expiring,expired",
    "A minus turns a word round: -status:revoked",
    'A word without a field is looked for in the names: laptop-04; with spaces or colons in quotes: "ou=sales east"',
    "Text has at least three characters, and its case does not matter. Values of other fields are exact.",
)


def guide() -> str:
    """The whole page."""
    width = max(len(field.value) for field in Field) + 1
    fields = [f"  {field.value + ':':<{width}} {FIELDS[field]}" for field in Field]
    return "\n".join(["Rules", *(f"  {rule}" for rule in RULES), "", "Fields", *fields])
