# SPDX-License-Identifier: Apache-2.0
"""The fixtures of tests.stores, by name."""

from __future__ import annotations

from tests.stores import fixture_database, fixture_place

__all__ = ["fixture_database", "fixture_place"]
