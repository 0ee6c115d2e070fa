# SPDX-License-Identifier: Apache-2.0
"""Which keys a profile may ask for: none that are tiny, none that take for ever, at least one kind."""

from __future__ import annotations

from typing import Any

import pytest

from privyseal.errors import ProfileInvalid
from privyseal.model.profile_text import profile_from_data


def profile(**key: Any) -> object:
    """A profile with these key rules."""
    return profile_from_data({"name": "wifi", "issuer": "sub", "subject": "CN={{device.name}}", "key": key})


@pytest.mark.parametrize(
    "key",
    [
        {"rsa_minimum": 512},
        {"rsa_minimum": 1024, "rsa_maximum": 1024},
        {"rsa_minimum": 100_000, "rsa_maximum": 100_000},
        {"rsa_minimum": 4096, "rsa_maximum": 2048},
        {"curves": ["P-999"]},
        {"rsa_maximum": 0, "curves": [], "ed25519": False},
    ],
)
def test_key_rules_that_are_weak_or_empty_are_refused(key: dict[str, Any]) -> None:
    with pytest.raises(ProfileInvalid):
        profile(**key)


@pytest.mark.parametrize(
    "key", [{}, {"rsa_maximum": 0}, {"rsa_minimum": 3072, "rsa_maximum": 8192}, {"curves": ["P-384"]}]
)
def test_sensible_key_rules_are_taken(key: dict[str, Any]) -> None:
    assert profile(**key)
