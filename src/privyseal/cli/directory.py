# SPDX-License-Identifier: Apache-2.0
"""``privyseal directory add|list|get|remove-config``: which directories there are and how they are reached.

Nothing here talks to a directory.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click

from privyseal.bootstrap import Application
from privyseal.cli.output import show_item, show_list
from privyseal.cli.session import Session
from privyseal.cli.verb import verb
from privyseal.errors import NotFound
from privyseal.model.directory import BindKind, DirectoryConfig

OWN_TICKETS = "privyseal.own-tickets"
"""Where click keeps that --ccache was said."""
_COLUMNS = ("name", "uris", "bind", "account", "hosts")


def directory_item(config: DirectoryConfig) -> dict[str, Any]:
    """A directory with stable field names."""
    return {
        "name": config.name,
        "uris": list(config.uris),
        "bind": config.bind.value,
        "account": config.account or None,
        "secret_file": config.secret_file or None,
        "ca_file": config.ca_file or None,
        "hosts": list(config.hosts),
    }


def chosen_directory(application: Application, name: str | None) -> DirectoryConfig:
    """The named directory, or the only one; with --ccache by the user's own tickets. Raises NotFound."""
    config = _named(application, name)
    return config.by_ticket_cache() if click.get_current_context().meta.get(OWN_TICKETS) else config


def _named(application: Application, name: str | None) -> DirectoryConfig:
    if name is not None:
        return application.directories.get(name)
    known = application.directories.all()
    if not known:
        raise NotFound(
            "no directory is known here yet",
            mend=("privyseal directory add contoso --uri ldap://dc1.contoso.com --keytab FILE --principal ACCOUNT",),
        )
    if len(known) > 1:
        listed = ", ".join(config.name for config in known)
        raise click.UsageError(f"say --directory NAME; there are {listed}", click.get_current_context())
    return known[0]


@verb(
    "add",
    examples=(
        "directory add contoso --uri ldap://dc1.contoso.com --keytab svc-pki.keytab --principal svc-pki",
        "directory add contoso --uri ldap://dc1.contoso.com --host dc2.contoso.com",
        "directory add contoso --uri ldaps://dc1.contoso.com --bind password --user svc-pki@contoso.com "
        "--password-file svc-pki.pass --ca-file contoso-root.pem",
    ),
)
@click.argument("name")
@click.option(
    "--uri", "uris", multiple=True, required=True, metavar="URI", help="Controller; the next if it is silent."
)
@click.option(
    "--bind",
    type=click.Choice([kind.value for kind in BindKind]),
    default=BindKind.KERBEROS.value,
    show_default=True,
    help="kerberos seals ldap:// on port 389; password needs ldaps://.",
)
@click.option("--keytab", metavar="FILE", help="Keys of the service account. Default: the ticket cache of kinit.")
@click.option("--principal", metavar="NAME", help="Which account of the keytab. Default: its first.")
@click.option("--user", metavar="NAME", help="For passwords: account@domain.")
@click.option("--password-file", metavar="FILE", help="Its password; only the path is stored.")
@click.option("--ca-file", metavar="FILE", help="CA of the controllers' TLS. Default: the system's.")
@click.option("--host", "hosts", multiple=True, metavar="DC", help="Further controller to be proved. Repeatable.")
@click.option("--replace", "replace_existing", is_flag=True, help="Change how a known directory is reached.")
def add(session: Session, name: str, uris: tuple[str, ...], bind: str, replace_existing: bool, **given: Any) -> None:
    """Make an Active Directory known: where its controllers are and how to log in. No secret is stored, only where
    it is.

    The directory is not asked yet. Kerberos with a keytab on ldap:// is the way that works everywhere.
    """
    _check_kind(bind, given)
    password = bind == BindKind.PASSWORD.value
    secret, account = (
        (given["password_file"], given["user"]) if password else (given["keytab"], given["principal"])
    )  # fmt: skip
    config = DirectoryConfig(
        name=name,
        uris=uris,
        bind=BindKind(bind),
        account=account or "",
        secret_file=_absolute(secret),
        ca_file=_absolute(given["ca_file"]),
        hosts=given["hosts"],
    )
    with session.application() as application:
        work = application.directories.add(config, replace_existing=replace_existing, actor=session.actor)
        asyncio.run(work)
        show_item(session, directory_item(config))
    session.done(f"directory {name} is known", after="privyseal directory status")


def _check_kind(bind: str, given: dict[str, Any]) -> None:
    others = ("keytab", "principal") if bind == BindKind.PASSWORD.value else ("user", "password_file")
    for option in others:
        if given[option] is not None:
            flag = option.replace("_", "-")
            raise click.UsageError(f"--{flag} does not go with --bind {bind}", click.get_current_context())


def _absolute(path: str | None) -> str:
    return "" if path is None else str(Path(path).expanduser().absolute())


@verb("list", examples=("directory list", "directory list -o json"))
def list_all(session: Session) -> None:
    """List the directories that are known here, and how each is reached."""
    with session.application() as application:
        show_list(session, [directory_item(config) for config in application.directories.all()], _COLUMNS)


@verb("get", examples=("directory get contoso", "directory get contoso -o json"))
@click.argument("name")
def get(session: Session, name: str) -> None:
    """Show how one directory is reached: controllers, account, and the files that hold its secret."""
    with session.application() as application:
        show_item(session, directory_item(application.directories.get(name)))


@verb("remove-config", examples=("directory remove-config contoso",))
@click.argument("name")
def remove_config(session: Session, name: str) -> None:
    """Forget how a directory is reached. Nothing in the directory changes, and receipts of changes are kept.

    Refused while devices or users are bound to accounts of it.
    """
    with session.application() as application:
        asyncio.run(application.directories.remove(name, actor=session.actor))
    session.done(f"directory {name} is no longer known; what was published there stays there")
