# SPDX-License-Identifier: Apache-2.0
"""Starts the product's own ``serve`` on an installation: python bench/server.py HOME [SIZE OF A CONSTANT ANSWER]."""

from __future__ import annotations

import sys
from pathlib import Path

from privyseal import serve as product
from privyseal.bootstrap import Application, build
from privyseal.bootstrap.http import build_http
from privyseal.config import load_settings, parse_listen, read_passphrase
from privyseal.endpoints.app import Access, Route
from privyseal.endpoints.app import Application as HttpApplication
from privyseal.endpoints.http import Request, Response
from privyseal.serve.beside import Beside


def with_constant(size: int) -> None:
    """Add a route that answers always the same octets: what HTTP alone costs, with nothing behind it."""
    answer = Response(200, "application/ocsp-response", bytes(size))

    async def constant(request: Request, incident: str) -> Response:
        return answer

    def build_with_constant(application: Application) -> HttpApplication:
        http = build_http(application)
        methods = frozenset({"GET", "POST"})
        http.routes["constant"] = Route("constant", methods, 16 * 1024, Access.PUBLIC, "a benchmark", constant)
        return http

    vars(product)["build_http"] = build_with_constant


def main() -> None:
    """Serve until ended."""
    home = Path(sys.argv[1])
    if len(sys.argv) > 2:
        with_constant(int(sys.argv[2]))
    settings = load_settings(home)
    application = build(settings, passphrase=read_passphrase(home / "passphrase"))
    api = product.open_socket(*parse_listen(settings.api_listen)) if settings.api_listen else None
    listener = product.open_socket(*settings.address)
    product.serve(application, listener, on_ready=lambda address: None, beside=Beside(api=api))


if __name__ == "__main__":
    main()
