# SPDX-License-Identifier: Apache-2.0
"""How long a delivery that failed waits."""

from __future__ import annotations

from datetime import timedelta

import pytest

from privyseal.model.delivery import retry_after


def test_the_waiting_time_doubles_up_to_six_hours() -> None:
    waits = [retry_after(attempts, 255) for attempts in range(1, 12)]
    assert waits[:4] == [timedelta(minutes=minutes) for minutes in (1, 2, 4, 8)]
    assert waits[-1] == timedelta(hours=6)
    assert retry_after(10**9, 255) == timedelta(hours=6)


@pytest.mark.parametrize("attempts", [0, 1, 5, 40])
def test_the_jitter_spreads_over_half_of_it(attempts: int) -> None:
    shortest, longest = retry_after(attempts, 0), retry_after(attempts, 255)
    assert longest / 2 <= shortest < longest
