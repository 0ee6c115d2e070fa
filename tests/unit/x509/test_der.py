# SPDX-License-Identifier: Apache-2.0
"""DER integers and times: the shortest form, and back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privyseal.x509 import der
from privyseal.x509.certificate import read_time


@given(st.integers(-(2**200), 2**200))
def test_an_integer_reads_back_from_its_shortest_form(value: int) -> None:
    assert der.read_only(der.integer(value), der.INTEGER, "value").as_int() == value


@pytest.mark.parametrize(
    ("value", "octets"), [(0, "020100"), (127, "02017f"), (128, "02020080"), (-128, "020180"), (-129, "0202ff7f")]
)
def test_integers_at_the_edges_of_an_octet(value: int, octets: str) -> None:
    assert der.integer(value).hex() == octets


@pytest.mark.parametrize(
    ("moment", "tag"),
    [
        (datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC), der.UTC_TIME),
        (datetime(2050, 1, 1, tzinfo=UTC), der.GENERALIZED_TIME),
    ],
)
def test_times_change_form_in_2050(moment: datetime, tag: int) -> None:
    encoded = der.time(moment)
    assert encoded[0] == tag
    assert read_time(der.read(encoded)) == moment
