# SPDX-License-Identifier: Apache-2.0
"""The first owner by a code: good once, for half an hour, while nobody owns, and never a way in for strangers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from privyseal.errors import OwnerKnown
from privyseal.model.access import Role
from privyseal.model.first_owner import CODE_LIFE, code_digest, new_code
from privyseal.store.first_owner import FirstOwnerBook
from tests.api import ApiAnswer, ApiHouse, fixture_api
from tests.installation import fixture_installation, fixture_installations

__all__ = ["fixture_api", "fixture_installation", "fixture_installations"]


def offer(api: ApiHouse, chance: bytes = b"\x07" * 20) -> str:
    app, code = api.installation.app, new_code(chance)
    until = app.clock.now() + CODE_LIFE
    book = FirstOwnerBook(app.database, app.committer)
    api.installation.run(book.offer(code_digest(code), expires_at=until, actor="cli:root"))
    return code


def take(api: ApiHouse, code: str, *, query: str = "", peer: str = "192.0.2.7", **more: Any) -> ApiAnswer:
    return api.call("POST", f"/first-owner{query}", body={"code": code, "person": "ada", **more}, peer=peer)


def test_the_code_makes_an_owner_with_a_token_once(api: ApiHouse) -> None:
    code = offer(api)
    assert take(api, code, query="?dry_run=true").data["summary"].startswith("make ada the first owner")
    made = take(api, code.upper().replace("-", " "))
    assert made.status == 201, made.body
    who = api.call("GET", "/whoami", token=made.data["secret"])
    assert (who.data["person"], who.data["grants"][0]["role"]) == ("ada", "owner")
    again = take(api, code, token="other")
    assert (again.status, again.code) == (403, 8308)
    events = [row.event for row in api.installation.app.audit.page(before=0, limit=10)]
    assert events[:4] == ["token.created", "role.granted", "first-owner.taken", "first-owner.offered"]
    assert not [row for row in api.installation.app.audit.page(before=0, limit=10) if code in row.detail]


def test_a_code_ends_after_half_an_hour_and_by_the_next_one(api: ApiHouse) -> None:
    first = offer(api)
    second = offer(api, b"\x08" * 20)
    assert take(api, first).code == 8308
    api.installation.clock.moved = timedelta(minutes=31)
    assert take(api, second).code == 8308
    assert not api.books.access.holders()


def test_with_an_owner_there_is_no_code_and_an_old_one_is_worth_nothing(api: ApiHouse) -> None:
    code = offer(api)
    api.token("bob", Role.OWNER)
    assert take(api, code).code == 8308
    with pytest.raises(OwnerKnown, match="bob"):
        offer(api)


def test_an_owner_of_some_labels_only_is_not_yet_an_owner(api: ApiHouse) -> None:
    api.token("bob", Role.OWNER, labels=("prod",))
    assert take(api, offer(api)).status == 201


def test_a_token_name_that_is_taken_leaves_the_code_good(api: ApiHouse) -> None:
    api.token("bob", Role.VIEWER)
    code = offer(api)
    assert take(api, code, token="bob-1").status == 409
    assert not [person for person, grant in api.books.access.holders() if grant.role is Role.OWNER]
    assert take(api, code).status == 201


def test_who_guesses_waits_longer_each_time_and_nobody_else_does(api: ApiHouse) -> None:
    code = offer(api)
    answers = [take(api, new_code(bytes([number]) * 20)).status for number in range(20, 30)]
    assert answers[0] == 403 and answers[-1] == 429
    assert take(api, code, peer="192.0.2.8").status == 201


def test_a_strangers_request_leaves_nothing_in_the_store(api: ApiHouse) -> None:
    app = api.installation.app
    for code in ("", "x", new_code(b"\x01" * 20), "é" * 32):
        headers = {"idempotency-key": "again"}
        body = {"code": code, "person": "ada"}
        assert api.call("POST", "/first-owner", body=body, headers=headers).code in (8308, 8340)
    assert app.database.read("SELECT 1 FROM idempotency") == []
