# SPDX-License-Identifier: Apache-2.0
"""A running service for each kind of issuing CA key, and domain controllers; made where needed, ended with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.interop.service import Service
from tests.outside.samba import DomainController, domain_controller
from tests.outside.tools import require_python_ldap

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


@pytest.fixture
def controller(monkeypatch: pytest.MonkeyPatch) -> Iterator[DomainController]:
    """A domain controller for this test alone; Kerberos in this process asks it."""
    require_python_ldap()
    with domain_controller() as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.fixture(scope="module")
def shared_controller() -> Iterator[DomainController]:
    """A domain controller for tests of a module that only read, or write where no other looks."""
    require_python_ldap()
    with domain_controller() as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.environment.items():
            patch.setenv(name, value)
        yield running
