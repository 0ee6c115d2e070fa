# SPDX-License-Identifier: Apache-2.0
"""Every write of the table says what would happen and does nothing when asked so, or is listed with its reason."""

from __future__ import annotations

import re
from typing import Any

import pytest

from privyseal.model.access import Role
from privyseal.model.entity import EntityKind
from tests.api import ApiHouse, fixture_api
from tests.installation import ISSUING_CA, PROFILE, fixture_installation, fixture_installations
from tests.unit.endpoints.test_api import device, issue, request_pem

__all__ = ["fixture_api", "fixture_installation", "fixture_installations"]

WITHOUT = {
    "deny": "it ends a request that changed nothing yet; the request itself is the preview",
    "cancel": "the same, by who asked",
    "create_webhook": "nobody is told of anything by the making, and delete takes it back",
}


def last_audit(api: ApiHouse) -> int:
    rows = api.installation.app.audit.page(before=0, limit=1)
    return rows[0].seq if rows else 0


def test_every_write_heeds_dry_run_or_is_listed(api: ApiHouse) -> None:
    writes = [operation for operation in api.endpoint.operations if operation.changes]
    assert {operation.id for operation in writes if not operation.heeds_dry_run} == set(WITHOUT)
    for operation in writes:
        assert (operation.id in WITHOUT) != any(field.name == "dry_run" for field in operation.all_query)


def test_a_dry_run_of_anything_leaves_no_trace(api: ApiHouse) -> None:
    device(api)
    token = api.token("ada", Role.OWNER)
    serial = issue(api, token).data["serial"]
    before, seen = last_audit(api), 0
    for operation in api.endpoint.operations:
        if not operation.changes or not operation.heeds_dry_run:
            continue
        path = operation.path.replace("{id}", "1").replace("{serial}", serial)
        path = path.replace("/authorities/{name}", f"/authorities/{ISSUING_CA}")
        path = re.sub(r"\{[a-z]+\}", "LAPTOP-1", path)
        headers = {"if-match": "*"} if operation.if_match or operation.may_match else {}
        body = operation.body_example
        answer = api.call(operation.method, f"{path}?dry_run=true", token=token, body=body, headers=headers)
        assert answer.status < 500, (operation.id, answer.body)
        assert answer.status != 201 and answer.status != 202, operation.id
        seen += answer.status == 200 and "summary" in answer.data
    assert last_audit(api) == before
    assert seen > 10


@pytest.mark.parametrize("path", ["/certificates", "/challenges"])
def test_what_issuing_and_challenges_would_refuse_is_refused_beforehand(api: ApiHouse, path: str) -> None:
    device(api)
    token, before = api.token("ada", Role.OWNER), 0
    wish: dict[str, Any] = {"profile": PROFILE, "device": "LAPTOP-1"}
    if path == "/certificates":
        wish["csr"] = request_pem()
    before = last_audit(api)
    shown = api.call("POST", f"{path}?dry_run=true", token=token, body=wish)
    assert (shown.status, shown.data["needs_approval"]) == (200, False)
    assert "LAPTOP-1" in shown.data["summary"] and last_audit(api) == before
    entity = api.installation.app.entities.named(EntityKind.DEVICE, "LAPTOP-1")
    api.installation.run(api.installation.app.entities.change(entity, {}, enabled=False, actor="test"))
    refused = api.call("POST", f"{path}?dry_run=true", token=token, body=wish)
    assert (refused.status, refused.code) == (
        api.call("POST", path, token=token, body=wish).status,
        api.call("POST", path, token=token, body=wish).code,
    )
    assert refused.status in (403, 409, 422)


def test_an_approval_is_looked_at_again_before_it_is_given(api: ApiHouse) -> None:
    bob = api.token("bob", Role.APPROVER)
    ada = api.token("ada", Role.OWNER)
    api.act("four-eyes.set", mode="on", reason="test")
    wish = {"person": "eve", "role": "viewer", "labels": []}
    waits = api.call("POST", "/roles", token=ada, body=wish)
    number = waits.data["id"]
    own = api.call("POST", f"/approvals/{number}:approve?dry_run=true", token=ada)
    assert own.code == 8321
    shown = api.call("POST", f"/approvals/{number}:approve?dry_run=true", token=bob)
    assert (shown.status, shown.data["summary"]) == (200, waits.data["summary"])
    assert api.call("GET", f"/approvals/{number}", token=bob).data["state"] == "waiting"
    assert api.call("POST", f"/approvals/{number}:approve", token=bob).data["state"] == "done"
