# SPDX-License-Identifier: Apache-2.0
"""The least rights with which a service account can publish, as commands that an administrator reads and runs.

No right here is wider than one attribute of one class, or creating one class in one container.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from privyseal.directory.containers import TARGET_CONTAINERS, USER_CERTIFICATE, Container, Target, container_dn
from privyseal.directory.script import NEWLINE, cmd_quoted, shell_quoted
from privyseal.errors import InvalidValue
from privyseal.x509.sid import Sid

# schemaIDGUIDs (MS-ADSC and MS-ADA1): the same in every forest.
_CLASS_CERTIFICATION_AUTHORITY: Final = "3fdfee50-47f4-11d1-a9c3-0000f80367c1"
_ATTRIBUTE_USER_CERTIFICATE: Final = "bf967a7f-0de6-11d0-a285-00aa003049e2"
# The right of an entry for one class is not inherited by classes derived from it, so computers have their own.
_ACCOUNT_CLASSES: Final = {
    "user": "bf967aba-0de6-11d0-a285-00aa003049e2",
    "computer": "bf967a86-0de6-11d0-a285-00aa003049e2",
}
_ATTRIBUTE_CA_CERTIFICATE: Final = "bf967932-0de6-11d0-a285-00aa003049e2"


class DelegationFormat(Enum):
    """Whose command sets the rights."""

    DSACLS = "dsacls"
    SAMBA = "samba"


@dataclass(frozen=True, slots=True)
class Ace:
    """One right on one object, in both spellings."""

    dn: str
    sddl: str
    dsacls: str
    meaning: str


def aces(targets: Iterable[Target], account: Sid, *, configuration_nc: str) -> tuple[Ace, ...]:
    """The rights that publishing to these targets takes. Raises InvalidValue for Enrollment Services.

    Deleting is not among them: a delegated account leaves an empty object behind (`keep_empty` of a removal).
    """
    wanted = list(dict.fromkeys(container for target in targets for container in TARGET_CONTAINERS[target]))
    if Container.ENROLLMENT_SERVICES in wanted:
        raise InvalidValue(
            "rights on Enrollment Services are not delegated",
            why="an object there is written once in the life of an enrollment service, by an Enterprise Admin",
        )
    return tuple(ace for container in wanted for ace in _aces_on(container, account, configuration_nc=configuration_nc))


def _aces_on(container: Container, account: Sid, *, configuration_nc: str) -> tuple[Ace, ...]:
    dn, sid = container_dn(container, configuration_nc), account.text
    if container is Container.NTAUTH:
        return (
            Ace(
                dn,
                f"(OA;;RPWP;{_ATTRIBUTE_CA_CERTIFICATE};;{sid})",
                f"{sid}:RPWP;cACertificate",
                "read and write the certificates in NTAuthCertificates (Tier 0)",
            ),
        )
    return (
        Ace(
            dn,
            f"(OA;;CC;{_CLASS_CERTIFICATION_AUTHORITY};;{sid})",
            f"{sid}:CC;certificationAuthority",
            f"create objects for CAs in {container.value}",
        ),
        Ace(
            dn,
            f"(OA;CIIO;RPWP;{_ATTRIBUTE_CA_CERTIFICATE};{_CLASS_CERTIFICATION_AUTHORITY};{sid})",
            f"{sid}:RPWP;cACertificate;certificationAuthority",
            f"read and write the certificates of CAs in {container.value}",
        ),
    )


def delivery_aces(below: str, account: Sid) -> tuple[Ace, ...]:
    """The rights to append certificates to accounts below a DN: one attribute of users and of computers."""
    return tuple(
        Ace(
            below,
            f"(OA;CIIO;RPWP;{_ATTRIBUTE_USER_CERTIFICATE};{guid};{account.text})",
            f"{account.text}:RPWP;{USER_CERTIFICATE};{name}",
            f"read and write the certificates of {name}s below it",
        )
        for name, guid in _ACCOUNT_CLASSES.items()
    )


def write_delegation(
    targets: Iterable[Target],
    account: Sid,
    *,
    configuration_nc: str,
    form: DelegationFormat,
    accounts_below: Iterable[str] = (),
) -> str:
    """The commands, with what each gives, to be run as Enterprise Admin."""
    deliveries = tuple(ace for below in accounts_below for ace in delivery_aces(below, account))
    rights = (*aces(targets, account, configuration_nc=configuration_nc), *deliveries)
    tier_0 = any(ace.dn.startswith("CN=NTAuthCertificates,") for ace in rights)
    remark, end = ("rem ", NEWLINE) if form is DelegationFormat.DSACLS else ("# ", "\n")
    lines = [f"{remark}Rights for the account {account.text} to publish CA certificates. Run as Enterprise Admin."]
    if tier_0:
        lines += [
            f"{remark}NTAuthCertificates must exist: publish the first certificate to it as Enterprise Admin.",
            f"{remark}Whoever holds this account can let anybody log on as anybody: treat it as Tier 0.",
        ]
    if deliveries:
        lines += [
            f"{remark}What encrypts to an account takes the certificate from userCertificate: who holds this account",
            f"{remark}can make senders encrypt to another key. Accounts under AdminSDHolder do not inherit this.",
        ]
    for ace in rights:
        lines.append(f"{remark}{ace.meaning}")
        if form is DelegationFormat.SAMBA:
            lines.append(
                f"samba-tool dsacl set --objectdn={shell_quoted(ace.dn)} --sddl={shell_quoted(ace.sddl)} --action=allow"
            )
        else:
            inherit = " /I:S" if "CIIO" in ace.sddl else ""
            lines.append(f"dsacls {cmd_quoted(ace.dn)}{inherit} /G {cmd_quoted(ace.dsacls)}")
    return end.join(lines) + end
