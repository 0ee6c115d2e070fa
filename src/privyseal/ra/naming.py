# SPDX-License-Identifier: Apache-2.0
"""Names from the directory: the account that an end entity is bound to, as it is now, replaces what is stored here.

The SID leads to the account. Nothing of it ever comes from a request.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from privyseal.directory.accounts import Account, AccountKind
from privyseal.errors import AccountLacksAttribute, AccountNotFound, EntityNotBound
from privyseal.model.directory import DirectoryBinding
from privyseal.model.entity import ATTRIBUTES, EndEntity, EntityKind, check_attributes
from privyseal.model.profile import CertificateProfile, NamesFrom
from privyseal.ra.ports import Directory

ACCOUNT_KINDS: Final = {EntityKind.DEVICE: AccountKind.COMPUTER, EntityKind.USER: AccountKind.USER}
_LDAP_NAMES: Final = {
    "sid": "objectSid",
    "principal_name": "userPrincipalName",
    "dns_name": "dNSHostName",
    "mail": "mail",
    "distinguished_name": "distinguishedName",
}


def account_attributes(kind: EntityKind, account: Account) -> dict[str, str]:
    """What an account says, by the names of our variables; an empty value says that it has none."""
    said = {
        "sid": account.sid.text,
        "principal_name": account.principal_name,
        "dns_name": account.dns_name,
        "mail": account.mail,
        "distinguished_name": account.distinguished_name,
    }
    return {name: value for name, value in said.items() if name in ATTRIBUTES[kind]}


async def named_by_directory(profile: CertificateProfile, entity: EndEntity, directory: Directory) -> EndEntity:
    """The entity with the names that the profile wants: its own, or those of its account at this moment.

    Raises EntityNotBound, AccountNotFound, AccountDisabled, AccountAmbiguous, AccountLacksAttribute, and SetupErrors
    when the directory cannot be asked: the request may then be repeated.
    """
    if profile.names_from is NamesFrom.ENTITY:
        return entity
    if entity.binding is None:
        raise EntityNotBound(
            f"profile {profile.name} takes names from the directory; {entity.kind.value} {entity.name} "
            "is bound to no account",
            mend=(
                f"privyseal {entity.kind.value} set {entity.name} --directory NAME --principal PRINCIPAL",
                f"use a profile with names from what is stored: privyseal profile create {profile.name} --replace",
            ),
        )
    account = await directory.find(entity.binding)
    _check_same(entity, entity.binding, account)
    said = account_attributes(entity.kind, account)
    for variable in sorted(_variables(profile)):
        attribute = variable.partition(".")[2]
        if said.get(attribute) == "":
            raise AccountLacksAttribute(
                f"profile {profile.name} builds a name of {{{{{variable}}}}}, and {account.sam_account_name} "
                f"({account.sid.text}) has no {_LDAP_NAMES[attribute]}"
            )
    kept = check_attributes(entity.kind, {**entity.attributes, **said})
    return EndEntity(entity.id, entity.kind, entity.name, MappingProxyType(kept), entity.enabled, entity.binding)


def _check_same(entity: EndEntity, binding: DirectoryBinding, account: Account) -> None:
    if account.sid != binding.sid or account.kind is not ACCOUNT_KINDS[entity.kind]:
        raise AccountNotFound(
            f"{entity.kind.value} {entity.name} is bound to {binding.sid.text}; the directory answered with "
            f"{account.kind.value} {account.sid.text}"
        )


def _variables(profile: CertificateProfile) -> frozenset[str]:
    return profile.subject.variables.union(*(rule.template.variables for rule in profile.san))
