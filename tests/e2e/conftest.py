# SPDX-License-Identifier: Apache-2.0
"""The fixtures of tests.installation and tests.stores, by name."""

from __future__ import annotations

import pytest

from tests.installation import fixture_installation, fixture_installations, fixture_shared
from tests.stores import fixture_store_engine, on_both_engines

__all__ = ["fixture_installation", "fixture_installations", "fixture_shared", "fixture_store_engine"]

# What the store has to hold; the rest, such as the command line, sees no difference between the engines.
ON_BOTH_ENGINES = {
    "test_ca_life",
    "test_ca_life_guards",
    "test_compromised_key",
    "test_crl_forms",
    "test_enrollment",
    "test_foreign_crls",
    "test_killed",
    "test_own_certificates_revoked",
    "test_retention",
    "test_rollover",
    "test_scep_states",
    "test_status",
    "test_store_faults",
    "test_waiting",
    "test_webhooks",
    "test_workers",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test of these modules runs on SQLite and on PostgreSQL."""
    if metafunc.module.__name__.rpartition(".")[2] in ON_BOTH_ENGINES:
        on_both_engines(metafunc)
