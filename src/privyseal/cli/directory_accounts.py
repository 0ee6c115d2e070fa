# SPDX-License-Identifier: Apache-2.0
"""``privyseal user|device lookup``: an account as the directory has it, by the rules that issuance follows."""

from __future__ import annotations

from typing import Any

import click

from privyseal.bootstrap import Application
from privyseal.bootstrap.directory import open_first
from privyseal.cli.directory import chosen_directory
from privyseal.cli.output import show_item
from privyseal.cli.session import Session
from privyseal.cli.verb import Verb, verb
from privyseal.directory.accounts import Account
from privyseal.model.directory import DirectoryBinding
from privyseal.model.entity import EntityKind
from privyseal.ra.naming import ACCOUNT_KINDS
from privyseal.repository.accounts import look_up_account

_ASKED = {EntityKind.DEVICE: "laptop-042.contoso.com", EntityKind.USER: "ada@contoso.com"}


def find_account(
    application: Application, kind: EntityKind, principal: str, *, directory: str | None
) -> tuple[Account, DirectoryBinding]:
    """The one account that is meant, and the binding to it. Raises what looking up raises."""
    config = chosen_directory(application, directory)
    port = open_first(config)
    try:
        account = look_up_account(port, principal, kind=ACCOUNT_KINDS[kind])
    finally:
        port.close()
    return account, DirectoryBinding(config.name, account.sid)


def account_item(account: Account, directory: str) -> dict[str, Any]:
    """An account with stable field names."""
    return {
        "directory": directory,
        "kind": account.kind.value,
        "sid": account.sid.text,
        "principal_name": account.principal_name,
        "sam_account_name": account.sam_account_name,
        "dns_name": account.dns_name or None,
        "mail": account.mail or None,
        "distinguished_name": account.distinguished_name,
        "enabled": account.enabled,
        "groups": list(account.groups),
        "service_principal_names": list(account.service_principal_names),
    }


def _lookup(kind: EntityKind) -> Verb:
    word, asked = kind.value, _ASKED[kind]

    @verb("lookup", examples=(f"{word} lookup {asked}", f"{word} lookup {asked} --directory contoso -o json"))
    @click.argument("principal")
    @click.option("--directory", "directory", metavar="NAME", help="Default: the only one that is known.")
    def lookup(session: Session, principal: str, directory: str | None) -> None:
        """Show what the directory says of an account: its names, SID and groups. Nothing is stored.

        PRINCIPAL is a user principal name, account name, DOMAIN\\name, DNS host name, SID or DN. What would be
        refused when a certificate is issued is refused here, with the same error.
        """
        with session.application() as application:
            account, binding = find_account(application, kind, principal, directory=directory)
            show_item(session, account_item(account, binding.directory))

    return lookup


lookup_device, lookup_user = _lookup(EntityKind.DEVICE), _lookup(EntityKind.USER)
