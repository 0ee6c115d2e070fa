# SPDX-License-Identifier: Apache-2.0
"""Every operation for every role, from the table itself: who lacks the permission is refused, who has it is not."""

from __future__ import annotations

import re

import pytest

from privyseal.endpoints.api.operation import Operation
from privyseal.model.access import PERMISSIONS, Role
from privyseal.model.api.codec import decode
from tests.api import ApiHouse
from tests.installation import Installation, fixture_shared
from tests.stores import fixture_store_engine

__all__ = ["fixture_shared", "fixture_store_engine"]

OPEN = {"health", "openapi", "first_owner"}
FOR_ALL_SIGNED_IN = {"whoami", "list_approvals", "get_approval", "cancel"}


class Everybody:
    """A token for each role, one for nobody's roles."""

    def __init__(self, installation: Installation) -> None:
        self.api = ApiHouse(installation)
        self.tokens = {role: self.api.token(f"p-{role.value}", role) for role in Role}

    def ask(self, operation: Operation, token: str) -> tuple[int, int]:
        """Status and code of a request that is well formed as far as the table tells."""
        path = re.sub(r"\{id\}", "1", operation.path)
        path = re.sub(r"\{serial\}", "00ff", re.sub(r"\{[a-z]+\}", "nothing", path))
        headers = {"if-match": '"1"'} if operation.if_match else {}
        answer = self.api.call(operation.method, path, token=token, body=operation.body_example, headers=headers)
        return answer.status, answer.code


@pytest.fixture(name="everybody", scope="module")
def fixture_everybody(shared: Installation) -> Everybody:
    return Everybody(shared)


def test_only_the_list_is_open(everybody: Everybody) -> None:
    operations = everybody.api.endpoint.operations
    assert {operation.id for operation in operations if operation.open_because} == OPEN
    signed_in = {operation.id for operation in operations if not operation.open_because and not operation.permission}
    assert signed_in == FOR_ALL_SIGNED_IN
    for operation in operations:
        status, code = everybody.ask(operation, "")
        if operation.id in OPEN:
            assert status == (403 if operation.changes else 200), operation.id
        else:
            assert (status, code) == (401, 8301), operation.id


def test_every_role_gets_what_its_permissions_say_and_nothing_else(everybody: Everybody) -> None:
    refused = allowed = 0
    for operation in everybody.api.endpoint.operations:
        for role, token in everybody.tokens.items():
            status, code = everybody.ask(operation, token)
            if operation.permission is None or operation.permission in PERMISSIONS[role]:
                assert code != 8304 and status != 500, (operation.id, role, status, code)
                allowed += 1
            else:
                assert (status, code) == (403, 8304), (operation.id, role, status, code)
                refused += 1
    assert refused > 50 and allowed > 50


def test_whoever_may_only_read_changes_nothing(everybody: Everybody) -> None:
    changing = [operation for operation in everybody.api.endpoint.operations if operation.changes]
    for role in (Role.VIEWER, Role.AUDITOR):
        for operation in changing:
            if operation.id != "cancel":
                assert everybody.ask(operation, everybody.tokens[role])[0] == 403, (operation.id, role)


def test_every_example_is_what_its_shape_says(everybody: Everybody) -> None:
    for operation in everybody.api.endpoint.operations:
        if operation.answer is not None:
            decode(operation.answer, operation.example)
        if operation.body is not None:
            decode(operation.body, operation.body_example)
