# SPDX-License-Identifier: Apache-2.0
"""Where a RADIUS server asks for accounts: from a directory that is known here, or from flags alone."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from privyseal.adapters.radius_config import AccountRule
from privyseal.bootstrap import Application
from privyseal.bootstrap.directory import open_first
from privyseal.cli.output import pem
from privyseal.cli.radius_files import certificates_pem, read_secret
from privyseal.directory.containers import Container, container_dn, public_key_services
from privyseal.errors import ContainerMissing, RadiusAccountTooPowerful
from privyseal.model.authority import CaState
from privyseal.model.directory import BindKind, DirectoryConfig

if TYPE_CHECKING:
    from privyseal.adapters.ldap import LdapDirectory

_ACCOUNT = ("directory_user", "directory_password_file")


def account_rule(application: Application, options: dict[str, Any]) -> AccountRule | None:
    """What --directory or --directory-uri say, with the flags beside them. Asks the directory in the first case.

    Raises the 7000s, RadiusAccountTooPowerful and InvalidValue.
    """
    if options["directory"]:
        if options["uris"]:
            raise click.UsageError("say --directory or --directory-uri, not both", click.get_current_context())
        return _from_known(application, application.directories.get(options["directory"]), options)
    needed = ("directory_base", *_ACCOUNT)
    given = [name for name in (*needed, "directory_ca_file", "group") if options[name]]
    if not options["uris"]:
        if given:
            raise click.UsageError(
                f"{_flag(given[0])} needs --directory or --directory-uri", click.get_current_context()
            )
        return None
    _demand(needed, options, because="--directory-uri")
    return _rule(application, options, uris=options["uris"], base=options["directory_base"])


def _from_known(application: Application, config: DirectoryConfig, options: dict[str, Any]) -> AccountRule:
    own = config.bind is BindKind.PASSWORD and not any(options[name] for name in _ACCOUNT)
    if not own:
        because = f"directory {config.name} is reached by Kerberos and FreeRADIUS binds with a password, which"
        _demand(_ACCOUNT, options, because=because if config.bind is BindKind.KERBEROS else _flag(_ACCOUNT[0]))
    with open_first(config) as port:
        base = options["directory_base"] or port.root_dse().default_nc
        if own:
            _check_harmless(config, port)
    # Kerberos goes to ldap://; the same controllers serve TLS on their own port.
    uris = tuple(re.sub(r"^ldap://([^:/]+).*", r"ldaps://\1", uri) for uri in config.controller_uris())
    account = {"directory_user": config.account, "directory_password_file": config.secret_file} if own else {}
    ca_file = options["directory_ca_file"] or config.ca_file or None
    by_system = ca_file is None and config.bind is BindKind.PASSWORD  # as for the directory itself
    rule = _rule(application, {**options, **account, "directory_ca_file": ca_file}, uris=uris, base=base)
    return replace(rule, trusted="") if by_system else rule


def _check_harmless(config: DirectoryConfig, port: LdapDirectory) -> None:
    """Raises RadiusAccountTooPowerful when the account may write what makes CAs trusted, or the domain itself."""
    root = port.root_dse()
    places = [container_dn(container, root.configuration_nc) for container in Container]
    for place in (root.default_nc, public_key_services(root.configuration_nc), *places):
        try:
            writable, creatable = port.rights(place)
        except ContainerMissing:
            continue
        if writable or creatable:
            raise RadiusAccountTooPowerful(f"{config.account}, of directory {config.name}, may write {place}")


def _rule(application: Application, options: dict[str, Any], *, uris: tuple[str, ...], base: str) -> AccountRule:
    ca_file = options["directory_ca_file"]
    roots = "".join(
        pem(issuer.view.encoded)
        for issuer in application.catalog.issuers()
        if issuer.is_root and issuer.record.state is not CaState.REVOKED
    )
    return AccountRule(
        uris=uris,
        base=base,
        user=options["directory_user"],
        password=read_secret(options["directory_password_file"]),
        group=options["group"],
        trusted=roots if ca_file is None else certificates_pem(ca_file),
    )


def _demand(names: tuple[str, ...], options: dict[str, Any], *, because: str) -> None:
    for name in names:
        if not options[name]:
            raise click.UsageError(f"{because} needs {_flag(name)} as well", click.get_current_context())


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
