# SPDX-License-Identifier: Apache-2.0
"""``privyseal serve``: the server of one installation, until it is told to stop."""

from __future__ import annotations

import contextlib
import socket

import click

from privyseal.adapters.service_manager import notify
from privyseal.bootstrap import build
from privyseal.cli.session import Session
from privyseal.cli.verb import verb
from privyseal.config import MOST_WORKERS, Settings, parse_listen, service_manager
from privyseal.serve import open_socket, serve, serve_with_workers
from privyseal.serve.api import check_api_listener
from privyseal.serve.beside import Beside


@verb(
    "serve",
    examples=(
        "serve --passphrase-file /etc/privyseal/passphrase",
        "serve --listen 127.0.0.1:8081",
        "serve --workers 4",
    ),
)
@click.option("--listen", metavar="HOST:PORT", help="Instead of the configured address, this time.")
@click.option(
    "--workers", type=click.IntRange(1, MOST_WORKERS), metavar="N", help="Processes, instead of what is configured."
)
def command(session: Session, listen: str | None, workers: int | None) -> None:
    """Answer SCEP, OCSP, CRL and CA certificate requests over HTTP, and do what falls due by itself.

    Plain HTTP is right here: SCEP protects its own messages, and certificates must be checkable before
    there is any trust. Put a TLS proxy in front where clients want it. Stop with Ctrl-C or SIGTERM.

    With several workers each core can sign. One of them at a time does what falls due by itself; one that dies
    is started again.
    """
    settings = session.settings()
    host, port = settings.address if listen is None else parse_listen(listen)
    check_api_listener(settings)
    with contextlib.ExitStack() as opened:

        def listening(place: str) -> socket.socket | None:
            return opened.enter_context(open_socket(*parse_listen(place))) if place else None

        listener = opened.enter_context(open_socket(host, port))
        beside = Beside(api=listening(settings.api_listen), metrics=listening(settings.metrics_listen))
        _serve(session, settings, listener, beside=beside, workers=workers or settings.workers)


def _serve(session: Session, settings: Settings, listener: socket.socket, *, beside: Beside, workers: int) -> None:
    manager = service_manager()

    def say(address: str) -> None:
        session.done(f"serving on {address} for {settings.public_url}")
        if beside.api is not None:
            session.say(f"  api   {'https' if settings.api_certificate else 'http'}://{settings.api_listen}/api/v1")
        if beside.metrics is not None:
            session.say(f"  metrics   http://{settings.metrics_listen}/metrics")
        notify(manager, "READY=1", f"STATUS=serving on {address}")

    passphrase = session.passphrase()
    # Opened here first, so that a wrong passphrase or a store that is not there is told once, and as ever.
    application = build(settings, passphrase=passphrase)
    if workers > 1:
        application.close()
        serve_with_workers(
            workers,
            listener,
            lambda: build(settings, passphrase=passphrase),
            on_ready=say,
            log_format=settings.log_format,
            beside=beside,
        )
    else:
        try:
            serve(application, listener, on_ready=say, beside=beside)
        finally:
            application.close()
