# SPDX-License-Identifier: Apache-2.0
"""Looking up one account for a certificate: at most four round trips, and a refusal rather than the wrong account."""

from __future__ import annotations

from privyseal.directory.accounts import (
    ACCOUNT_ATTRIBUTES,
    Account,
    AccountKind,
    check_only_one,
    nested_group_filter,
    netbios_domain_of,
    principal_filter,
    same_name_filter,
    the_account,
)
from privyseal.directory.changes import DirectoryPort, RootDse
from privyseal.directory.naming import dns_domain, escape_filter
from privyseal.errors import AccountNotFound

# Two are enough to know that a name is ambiguous; a few more to say by whom.
_MOST = 5


def look_up_account(port: DirectoryPort, asked: str, *, kind: AccountKind | None = None) -> Account:
    """The one enabled account that ``asked`` names, in the controller's domain.

    Raises AccountNotFound, AccountAmbiguous (also when another account answers to the same name), AccountDisabled,
    AccountLacksAttribute, InvalidValue.
    """
    filter_text = principal_filter(asked, kind=kind)
    root = port.root_dse()
    domain = dns_domain(root.default_nc)
    netbios = netbios_domain_of(asked)
    if netbios is not None:
        _check_domain(port, root, netbios=netbios)
    else:
        filter_text = principal_filter(asked, dns_domain=domain, kind=kind)
    found = list(port.search(root.default_nc, filter_text, attributes=ACCOUNT_ATTRIBUTES, most=_MOST))
    account = the_account(found, asked, dns_domain=domain)
    same = same_name_filter(account, dns_domain=domain)
    check_only_one(account, list(port.search(root.default_nc, same, attributes=ACCOUNT_ATTRIBUTES, most=_MOST)))
    return account


def is_member(port: DirectoryPort, account: Account, *, group_dn: str) -> bool:
    """The account is in the group, directly or through other groups; its primary group is not seen."""
    base = port.root_dse().default_nc
    found = port.search(base, nested_group_filter(account, group_dn), attributes=("objectSid",), most=1)
    return next(found, None) is not None


def _check_domain(port: DirectoryPort, root: RootDse, *, netbios: str) -> None:
    """Raise AccountNotFound unless the controller's domain has this NetBIOS name."""
    partitions = f"CN=Partitions,{root.configuration_nc}"
    filter_text = f"(&(objectClass=crossRef)(nCName={escape_filter(root.default_nc)}))"
    names = [
        value.decode("utf-8", "replace")
        for entry in port.search(partitions, filter_text, attributes=("nETBIOSName",), one_level=True, most=2)
        for value in entry.attributes.get("netbiosname", ())
    ]
    if netbios.casefold() not in {name.casefold() for name in names}:
        raise AccountNotFound(
            f"{root.dns_host_name} serves the domain {', '.join(names) or root.default_nc}, not {netbios[:80]!r}",
            mend=("name a controller of that domain", "name the account by userPrincipalName"),
        )
