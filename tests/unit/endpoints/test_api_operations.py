# SPDX-License-Identifier: Apache-2.0
"""Work that outlives its request: begun by the API, carried on by the worker, also by one of another process."""

from __future__ import annotations

from typing import Any

from privyseal.model.access import Role
from tests.api import ApiHouse, fixture_api
from tests.installation import PROFILE, fixture_installation, fixture_installations
from tests.unit.endpoints.test_api import device, issue

__all__ = ["fixture_api", "fixture_installation", "fixture_installations"]

WISH: dict[str, Any] = {"where": f"profile:{PROFILE}", "reason": "superseded", "later": True}


def carry_on(api: ApiHouse) -> int:
    app = api.installation.app
    return api.installation.run(app.bulk.carry_on(now=app.clock.now()))


def test_a_revocation_of_many_is_answered_at_once_and_carried_out_by_the_worker(api: ApiHouse) -> None:
    device(api)
    token = api.token("ada", Role.OPERATOR)
    serials = [issue(api, token).data["serial"] for _ in range(3)]
    begun = api.call("POST", "/certificates:revoke", token=token, body=WISH)
    assert begun.status == 202, begun.body
    assert (begun.data["state"], begun.data["done"], begun.data["total"], begun.data["result"]) == (
        "waiting",
        0,
        3,
        None,
    )
    place = begun.headers["location"].removeprefix("/api/v1")
    assert api.call("GET", f"/certificates/{serials[0]}", token=token).data["status"] == "valid"

    again = api.call("POST", "/certificates:revoke", token=token, body=WISH)
    assert again.data["id"] == begun.data["id"], "the same selection goes on instead"
    assert carry_on(api) == 3
    found = api.call("GET", place, token=token).data
    assert (found["state"], found["done"], found["result"]["revoked"]) == ("done", 3, 3)
    assert {api.call("GET", f"/certificates/{serial}", token=token).data["status"] for serial in serials} == {"revoked"}
    assert [item["id"] for item in api.call("GET", "/operations", token=token).data["items"]] == [found["id"]]
    assert carry_on(api) == 0


def test_an_approved_one_is_an_operation_too(api: ApiHouse) -> None:
    device(api)
    token, bob = api.token("ada", Role.OPERATOR), api.token("bob", Role.APPROVER)
    for _ in range(51):
        assert issue(api, token).status == 201
    api.act("four-eyes.set", mode="on", reason="test")
    waits = api.call("POST", "/certificates:revoke", token=token, body={**WISH, "most": 60})
    assert (waits.status, waits.data["act"]) == (202, "certificate.revoke-many")
    done = api.call("POST", f"/approvals/{waits.data['id']}:approve", token=bob)
    assert done.data["result"]["operation"].startswith("op_"), done.body
    assert carry_on(api) == 51


def test_there_is_no_operation_of_that_name(api: ApiHouse) -> None:
    token = api.token("ada", Role.VIEWER)
    for name in ("op_1", "op_", "7", "op_x", "op_9999999999999999999"):
        assert api.call("GET", f"/operations/{name}", token=token).status == 404
    labelled = api.token("eve", Role.VIEWER, labels=("prod",))
    assert api.call("GET", "/operations", token=labelled).status == 403


def test_a_key_is_not_said_to_be_bad_since_before_there_were_any(api: ApiHouse) -> None:
    device(api)
    token = api.token("ada", Role.OPERATOR)
    serial = issue(api, token).data["serial"]
    wish = {"reason": "key-compromise", "invalid_since": "0235-07-19T02:49:03Z"}
    refused = api.call("POST", f"/certificates/{serial}:revoke", token=token, body=wish)
    assert (refused.status, "1970" in refused.data["detail"]) == (400, True)
    wish["invalid_since"] = "1999-07-19T02:49:03Z"
    done = api.call("POST", f"/certificates/{serial}:revoke", token=token, body=wish)
    assert done.data["invalid_since"] == "1999-07-19T02:49:03Z"
