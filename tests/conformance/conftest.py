# SPDX-License-Identifier: Apache-2.0
"""The fixtures of tests.installation, by name."""

from __future__ import annotations

from tests.installation import fixture_installation, fixture_installations, fixture_shared

__all__ = ["fixture_installation", "fixture_installations", "fixture_shared"]
