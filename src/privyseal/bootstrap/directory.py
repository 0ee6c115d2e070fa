# SPDX-License-Identifier: Apache-2.0
"""Connections to the controllers of stored directories, and the account behind a binding for the registration
authority. LDAP blocks, so the server asks in a thread; every wait is bounded by the adapter, which is imported on
demand: start-up time is felt, and most commands ask no directory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from privyseal.directory.accounts import Account
from privyseal.errors import (
    AccountAmbiguous,
    AccountDisabled,
    AccountLacksAttribute,
    AccountNotFound,
    DirectoryNotUsable,
    DirectoryTimeout,
    DirectoryUnreachable,
    NotFound,
    PrivysealError,
    SetupError,
)
from privyseal.model.directory import BindKind, DirectoryBinding, DirectoryConfig
from privyseal.repository.accounts import look_up_account
from privyseal.store.directories import DirectoryBook

if TYPE_CHECKING:
    from privyseal.adapters.ldap import LdapDirectory
    from privyseal.adapters.ldap_binds import Bind

_ABOUT_THE_ACCOUNT = (AccountNotFound, AccountDisabled, AccountAmbiguous, AccountLacksAttribute)


def connector(config: DirectoryConfig) -> Callable[[str], LdapDirectory]:
    """Opens bound connections to controllers of this directory, by URI or by host name. Raises ExtraMissing at once."""
    from privyseal.adapters import ldap

    scheme, bind = config.uris[0].partition("://")[0], _bind(config)
    ldap.ldap_library()

    def connect(controller: str) -> LdapDirectory:
        return ldap.connect(controller if "://" in controller else f"{scheme}://{controller}", bind)

    return connect


def _bind(config: DirectoryConfig) -> Bind:
    from privyseal.adapters.ldap_binds import KerberosCache, KerberosKeytab, SimpleBind

    if config.bind is BindKind.PASSWORD:
        ca_file = Path(config.ca_file) if config.ca_file else None
        return SimpleBind(config.account, Path(config.secret_file), ca_file)
    return KerberosKeytab(Path(config.secret_file), config.account) if config.secret_file else KerberosCache()


def open_first(config: DirectoryConfig) -> LdapDirectory:
    """A connection to the first controller that answers. Raises the 7000s; the last one's when none does."""
    connect = connector(config)
    fault: PrivysealError | None = None
    for uri in config.uris:
        try:
            return connect(uri)
        except (DirectoryUnreachable, DirectoryTimeout) as silent:
            fault = silent
    raise fault or DirectoryUnreachable(f"directory {config.name} names no controller")


def controllers(config: DirectoryConfig, port: LdapDirectory) -> tuple[str, ...]:
    """Every controller that was named or that the directory itself lists, each once; the one of ``port`` comes first.

    Only those named are known to be reachable from here; the others stand in the directory under their own names.
    """
    from privyseal.adapters.ldap import find_controllers

    named = config.controller_uris()
    hosts = {uri.partition("://")[2].partition(":")[0].casefold() for uri in named}
    own = port.root_dse().dns_host_name.casefold()
    return (*named, *(host for host in find_controllers(port) if host not in hosts and host != own))


class LiveDirectory:
    """Implements ``ra.ports.Directory``."""

    def __init__(self, book: DirectoryBook) -> None:
        self._book = book

    async def find(self, binding: DirectoryBinding) -> Account:
        """See ``ra.ports.Directory``. What is wrong with our own log-in is never told to be the applicant's fault."""
        try:
            config = self._book.get(binding.directory)
            return await asyncio.to_thread(_find, config, binding)
        except (*_ABOUT_THE_ACCOUNT, SetupError):
            raise
        except (NotFound, PrivysealError) as error:
            raise DirectoryNotUsable(
                f"directory {binding.directory} cannot be asked: {error.what} ({error.code})"
            ) from error


def _find(config: DirectoryConfig, binding: DirectoryBinding) -> Account:
    port = open_first(config)
    try:
        return look_up_account(port, binding.sid.text)
    finally:
        port.close()
