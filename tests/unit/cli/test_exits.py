# SPDX-License-Identifier: Apache-2.0
"""Exit codes: stable numbers, one table, every error in it by itself or by its category."""

from __future__ import annotations

import pytest

from privyseal import errors
from privyseal.cli.exits import EXITS, Exit, exit_code
from privyseal.cli.explain import all_codes


def test_the_numbers_are_those_that_scripts_know() -> None:
    assert [int(code) for code in Exit] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 130]


@pytest.mark.parametrize("kind", all_codes().values())
def test_every_error_has_an_exit_code_that_is_not_success(kind: type[errors.PrivysealError]) -> None:
    assert Exit.FAILED <= exit_code(kind("what")) <= Exit.PENDING


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.UnexpectedFault, 1),
        (errors.InvalidValue, 2),
        (errors.NotFound, 3),
        (errors.PassphraseMissing, 4),
        (errors.ChallengeUsed, 4),
        (errors.EkuNotNested, 5),
        (errors.EntityDisabled, 5),
        (errors.NameTaken, 6),
        (errors.AlreadyRevoked, 6),
        (errors.StoreUnavailable, 7),
        (errors.ServerUnreachable, 7),
        (errors.AuditBroken, 1),
    ],
)
def test_the_most_specific_class_counts(kind: type[errors.PrivysealError], code: int) -> None:
    assert exit_code(kind("what")) == code


def test_every_category_has_a_default() -> None:
    assert {errors.InputError, errors.PolicyError, errors.AccessError, errors.StateError, errors.SetupError} <= set(
        EXITS
    )
