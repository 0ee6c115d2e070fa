# SPDX-License-Identifier: Apache-2.0
"""One house for all tests of a module: a running service whose certificates open the doors."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.doors.house import House


@pytest.fixture(name="house", scope="module")
def fixture_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A running service; ended with the module."""
    made = House(tmp_path_factory.mktemp("house"))
    made.start()
    yield made
    made.stop()
