# SPDX-License-Identifier: Apache-2.0
"""The fixtures of tests.installation and tests.stores, by name."""

from __future__ import annotations

from tests.installation import fixture_installation, fixture_installations, fixture_shared
from tests.stores import fixture_store_engine

__all__ = ["fixture_installation", "fixture_installations", "fixture_shared", "fixture_store_engine"]
