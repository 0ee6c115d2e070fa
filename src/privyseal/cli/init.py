# SPDX-License-Identifier: Apache-2.0
"""``privyseal init``. Says what is already so and leaves it: a key or configuration is never overwritten."""

from __future__ import annotations

import base64
import os
import sys
from pathlib import Path

import click

from privyseal.adapters.clock import SystemRng
from privyseal.adapters.files import write_atomically
from privyseal.bootstrap import build
from privyseal.cli.output import show_item, write_text
from privyseal.cli.session import Session, is_terminal
from privyseal.cli.unit import unit_text
from privyseal.cli.verb import verb
from privyseal.config import (
    CONFIG_NAME,
    DEFAULT_LISTEN,
    Settings,
    check_settings,
    load_settings,
    passphrase_file,
    read_passphrase,
    render_settings,
)
from privyseal.errors import NameTaken, PassphraseMissing, UnsafePermissions


@verb(
    "init",
    examples=(
        "init --organization Contoso --url http://pki.contoso.com --passphrase-file /etc/privyseal/passphrase",
        "init --organization Contoso --url http://pki.contoso.com --store 'postgresql:///privyseal' "
        "--passphrase-file /etc/privyseal/passphrase",
        "init --home ./pki --organization Lab --url http://127.0.0.1:8080 --passphrase-file ./pki.pass",
        "init --home /var/lib/privyseal --systemd",
    ),
)
@click.option("--organization", metavar="NAME", help="Stands as O= in the names of CAs.")
@click.option("--url", metavar="URL", help="Public http:// URL. Certificates carry it for ever.")
@click.option("--listen", metavar="HOST:PORT", help=f"Where `serve` listens. Default: {DEFAULT_LISTEN}.")
@click.option("--store", metavar="URL", help="An empty PostgreSQL database. Default: SQLite in the home directory.")
@click.option("--store-password-file", metavar="FILE", help="Holds its password; relative to the home directory.")
@click.option("--systemd", is_flag=True, help="Print a systemd unit for this home directory and change nothing.")
def command(
    session: Session,
    organization: str | None,
    url: str | None,
    listen: str | None,
    *,
    store: str | None,
    store_password_file: str | None,
    systemd: bool,
) -> None:
    """Make an installation: a home directory with configuration, store and key protection.

    Running it again changes nothing and says what is there. The passphrase encrypts all private keys;
    when the named file does not exist, it is made with a random passphrase. Keep a copy of it elsewhere.
    """
    home = session.place
    if systemd:
        write_text(unit_text(home, passphrase_file(session.passphrase_file), user=session.actor.removeprefix("cli:")))
        return
    wanted = {"organization": organization, "public_url": url and url.rstrip("/"), "listen": listen}
    wanted |= {"store_url": store, "store_password_file": store_password_file}
    existing = (home / CONFIG_NAME).exists()
    settings = _check_existing(home, wanted) if existing else _new_settings(home, wanted)
    _make_home(home)
    fresh = not ((settings.store_url or settings.database.exists()) and _protection(settings).exists())
    # A complete installation is opened only when there is something to open it with.
    if fresh or passphrase_file(session.passphrase_file) is not None:
        build(settings, passphrase=_passphrase(session, settings), create=True).close()
    if not existing:
        write_atomically(home / CONFIG_NAME, render_settings(settings).encode(), mode=0o600)
    show_item(
        session,
        {
            "home": str(home),
            "organization": settings.organization,
            "public_url": settings.public_url,
            "listen": settings.listen,
            "store": settings.store_url or str(settings.database),
            "created": not existing,
        },
    )
    if existing and not fresh:
        session.done("already so: nothing was changed", after="privyseal doctor")
    else:
        session.done(f"made the installation in {home}", after="privyseal ca create root-ca --root")


def _check_existing(home: Path, wanted: dict[str, str | None]) -> Settings:
    settings = load_settings(home)
    for name, value in wanted.items():
        found = getattr(settings, name)
        if value is not None and value != found:
            raise NameTaken(
                f"{home / CONFIG_NAME} has {name} {found!r} already, not {value!r}",
                why="init never overwrites a configuration",
                mend=(f"change {name} in {home / CONFIG_NAME} by hand", "make another installation with --home DIR"),
            )
    return settings


def _new_settings(home: Path, wanted: dict[str, str | None]) -> Settings:
    data = {name: value for name, value in wanted.items() if value is not None}
    for name, flag, question in (
        ("organization", "--organization", "Organization (stands in CA names)"),
        ("public_url", "--url", "Public URL, such as http://pki.example.com"),
    ):
        if name in data:
            continue
        if not is_terminal(sys.stdin):
            raise click.UsageError(f"{flag} is needed", click.get_current_context())
        data[name] = click.prompt(question, err=True)
    return check_settings(home, data)


def _make_home(home: Path) -> None:
    if not home.exists():
        home.mkdir(mode=0o700, parents=True)
    elif home.stat().st_mode & 0o077:
        if any(home.iterdir()):
            raise UnsafePermissions(f"others can look into {home}", mend=(f"chmod 700 {home}",))
        home.chmod(0o700)


def _passphrase(session: Session, settings: Settings) -> str:
    path = passphrase_file(session.passphrase_file)
    protected = _protection(settings).exists()
    if path is not None:
        if not path.exists() and not protected:
            _make_passphrase(path)
            session.done(f"made the passphrase file {path}: keep a copy of it where this machine is not")
        return read_passphrase(path)
    if not is_terminal(sys.stdin):
        raise PassphraseMissing("no passphrase file was named, and there is no terminal to ask at")
    return str(click.prompt("Passphrase for the keys", hide_input=True, confirmation_prompt=not protected, err=True))


def _protection(settings: Settings) -> Path:
    return settings.keys / "protection.json"


def _make_passphrase(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = base64.b32encode(SystemRng().bytes(20)).decode("ascii").lower()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{text}\n")
        file.flush()
        os.fsync(file.fileno())
