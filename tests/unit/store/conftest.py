# SPDX-License-Identifier: Apache-2.0
"""The fixtures of tests.stores, by name; installations of some modules are made on both engines."""

from __future__ import annotations

import pytest

from tests.stores import fixture_database, fixture_place, fixture_store_engine, on_both_engines

__all__ = ["fixture_database", "fixture_place", "fixture_store_engine"]

ON_BOTH_ENGINES = {"test_directories"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test of these modules runs on SQLite and on PostgreSQL."""
    if metafunc.module.__name__.rpartition(".")[2] in ON_BOTH_ENGINES:
        on_both_engines(metafunc)
