# SPDX-License-Identifier: Apache-2.0
"""``privyseal config``: servers by name, so that the command line can speak to one of them instead of to files here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from privyseal.adapters.files import write_atomically
from privyseal.cli.output import show_item, show_list
from privyseal.cli.session import Session
from privyseal.cli.verb import verb
from privyseal.client.transport import HttpTransport
from privyseal.config import Contexts, Remote, contexts_file, read_contexts, render_contexts
from privyseal.errors import InvalidValue, NotFound

_LOCAL = "local"


@verb(
    "set-context",
    examples=(
        "config set-context prod --url https://pki.contoso.com:8443 --token-file ~/.pki.token --ca-file ./root.pem",
    ),
)
@click.argument("name")
@click.option("--url", required=True, metavar="URL", help="https:// URL of the API, without /api/v1.")
@click.option("--token-file", required=True, metavar="FILE", help="File with a token, mode 600.")
@click.option("--ca-file", default="", metavar="FILE", help="CA certificates to trust. Default: the system's.")
def set_context(session: Session, name: str, url: str, token_file: str, ca_file: str) -> None:
    """Remember a server. Nothing is sent, and no token is copied: the file is read each time."""
    if name == _LOCAL or not name.isidentifier():
        raise InvalidValue(f"context name {name[:40]!r} is not letters, digits and underscores, or is {_LOCAL}")
    HttpTransport(url, "").close()  # refuses a URL that would send the token in clear
    path = contexts_file()
    known = read_contexts(path)
    files = [str(Path(given).expanduser().absolute()) if given else "" for given in (token_file, ca_file)]
    remote = Remote(url=url.rstrip("/"), token_file=files[0], ca_file=files[1])
    _write(path, replace(known, known={**known.known, name: remote}))
    show_item(session, {"name": name, "url": remote.url, "token_file": files[0], "ca_file": files[1] or None})
    session.done(f"remembered {name} in {path}", after=f"privyseal config use-context {name}")


@verb("use-context", examples=("config use-context prod", "config use-context local"))
@click.argument("name")
def use_context(session: Session, name: str) -> None:
    """Speak to this server from now on; `local` is the installation here. --home and PRIVYSEAL_URL still win."""
    path = contexts_file()
    known = read_contexts(path)
    if name != _LOCAL and name not in known.known:
        raise NotFound(f"there is no context {name!r}", mend=("privyseal config list-contexts",))
    _write(path, replace(known, current="" if name == _LOCAL else name))
    show_item(session, {"current": name})
    session.done(f"commands that know the API speak to {name} from now on", after="privyseal whoami")


@verb("list-contexts", examples=("config list-contexts",))
def list_contexts(session: Session) -> None:
    """List the servers that are known, and which is in use."""
    known = read_contexts(contexts_file())
    items = [
        {"name": name, "url": remote.url, "token_file": remote.token_file, "in_use": name == known.current}
        for name, remote in sorted(known.known.items())
    ]
    show_list(session, items, ("name", "url", "token_file", "in_use"))


def _write(path: Path, contexts: Contexts) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidValue(f"{path.parent} cannot be made: {error.strerror}") from error
    write_atomically(path, render_contexts(contexts).encode(), mode=0o600)
