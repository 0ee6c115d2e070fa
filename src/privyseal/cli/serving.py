# SPDX-License-Identifier: Apache-2.0
"""``privyseal serve``: the server of one installation, until it is told to stop."""

from __future__ import annotations

import click

from privyseal.cli.session import Session
from privyseal.cli.verb import verb
from privyseal.config import parse_listen
from privyseal.serve import open_socket, serve


@verb(
    "serve",
    examples=(
        "serve --passphrase-file /etc/privyseal/passphrase",
        "serve --listen 127.0.0.1:8081",
    ),
)
@click.option("--listen", metavar="HOST:PORT", help="Instead of the configured address, this time.")
def command(session: Session, listen: str | None) -> None:
    """Answer SCEP, OCSP, CRL and CA certificate requests over HTTP, and do what falls due by itself.

    Plain HTTP is right here: SCEP protects its own messages, and certificates must be checkable before
    there is any trust. Put a TLS proxy in front where clients want it. Stop with Ctrl-C or SIGTERM.
    """
    host, port = session.settings().address if listen is None else parse_listen(listen)
    listener = open_socket(host, port)
    with session.application(keys=True) as application:
        url = application.settings.public_url
        serve(application, listener, on_ready=lambda address: session.done(f"serving on {address} for {url}"))
