# SPDX-License-Identifier: Apache-2.0
"""Shapes: whatever JSON comes, it is a shape or one typed error; what was written is read back; examples fit."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privyseal.errors import BodyInvalid
from privyseal.model.api import access_shapes, authority_shapes, shapes
from privyseal.model.api.codec import decode, encode

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
ALL = [
    kind
    for module in (access_shapes, authority_shapes, shapes)
    for kind in vars(module).values()
    if dataclasses.is_dataclass(kind) and isinstance(kind, type) and kind.__module__ == module.__name__
]


@given(data=JSON, kind=st.sampled_from(ALL), lenient=st.booleans())
def test_any_json_is_a_shape_or_one_error(data: Any, kind: type, lenient: bool) -> None:
    try:
        made = decode(kind, data, lenient=lenient)
    except BodyInvalid as error:
        assert 1 <= len(error.faults) <= 20
        return
    assert isinstance(made, kind)


@given(st.data())
def test_fields_of_a_shape_with_any_value_are_a_shape_or_one_error(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(ALL))
    names = [item.name for item in dataclasses.fields(kind)]
    given_ = data.draw(st.dictionaries(st.sampled_from(names), JSON, max_size=len(names))) if names else {}
    try:
        made = decode(kind, given_)
    except BodyInvalid:
        return
    assert decode(kind, encode(made)) == made


def test_times_are_read_in_any_zone_and_written_in_utc() -> None:
    wish = decode(shapes.RevokeWish, {"invalid_since": "2026-01-31T13:00:00.5+01:00"})
    assert wish.invalid_since == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert encode(wish)["invalid_since"] == "2026-01-31T12:00:00Z"
    for wrong in ("2026-01-31", "now", 1, "2026-13-01T00:00:00Z", "2026-01-31T12:00:00"):
        with pytest.raises(BodyInvalid):
            decode(shapes.RevokeWish, {"invalid_since": wrong})


def test_a_client_passes_over_what_it_does_not_know_and_a_server_does_not() -> None:
    data = {"person": "ada", "role": "emperor", "labels": [], "since": "tomorrow"}
    assert decode(access_shapes.GrantShape, data, lenient=True).role == "emperor"
    with pytest.raises(BodyInvalid) as caught:
        decode(access_shapes.GrantShape, data)
    assert [pointer for pointer, _ in caught.value.faults] == ["/since", "/role"]
