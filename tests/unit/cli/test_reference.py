# SPDX-License-Identifier: Apache-2.0
"""The reference pages say what the code does: they are written from it, and nobody may forget to."""

from __future__ import annotations

import sys

from tests.outside.tools import ROOT, run


def test_the_reference_pages_are_current() -> None:
    seen = run([sys.executable, "-P", ROOT / "tools" / "reference", "--check"])
    assert seen.code == 0, seen.text
