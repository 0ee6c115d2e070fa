# SPDX-License-Identifier: Apache-2.0
"""Acts change what is stored, so tests of them run on both engines."""

from __future__ import annotations

import pytest

from tests.stores import fixture_store_engine, on_both_engines

__all__ = ["fixture_store_engine"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """On SQLite and on PostgreSQL; modules that see to it themselves are left to it."""
    if not hasattr(metafunc.module, "pytest_generate_tests"):
        on_both_engines(metafunc)
