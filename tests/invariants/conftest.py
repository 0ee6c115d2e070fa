# SPDX-License-Identifier: Apache-2.0
"""The fixtures of tests.installation, tests.stores and tests.api, by name."""

from __future__ import annotations

import pytest

from tests.api import fixture_api
from tests.installation import fixture_installation, fixture_installations, fixture_shared
from tests.stores import fixture_store_engine, on_both_engines

__all__ = ["fixture_api", "fixture_installation", "fixture_installations", "fixture_shared", "fixture_store_engine"]

ON_BOTH_ENGINES = {"test_clock_jumps", "test_look_ups_are_bounded"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test of these modules runs on SQLite and on PostgreSQL."""
    if metafunc.module.__name__.rpartition(".")[2] in ON_BOTH_ENGINES:
        on_both_engines(metafunc)
