# SPDX-License-Identifier: Apache-2.0
"""A running service for each kind of issuing CA key; made once in a worker, ended with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.interop.service import Service

ServiceFactory = Callable[[str], Service]


@pytest.fixture(scope="session")
def service_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceFactory]:
    """``service_of("rsa:2048")``: the running service whose CAs have such keys."""
    running: dict[str, Service] = {}

    def get(issuer_key: str) -> Service:
        if issuer_key not in running:
            service = Service(tmp_path_factory.mktemp("service"), issuer_key=issuer_key)
            service.start()
            running[issuer_key] = service
        return running[issuer_key]

    yield get
    for service in running.values():
        service.stop()
