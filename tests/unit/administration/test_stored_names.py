# SPDX-License-Identifier: Apache-2.0
"""Whoever writes a stored name that a CA in NTAuth certifies for log-on decides who somebody is: two people do."""

from __future__ import annotations

from typing import Any

import pytest

from privyseal.model.access import Role
from privyseal.model.entity import EntityKind
from tests.api import ApiHouse
from tests.installation import Installation, fixture_installation, fixture_installations
from tests.unit.administration.test_tier0 import BOB, in_ntauth

__all__ = ["fixture_installation", "fixture_installations"]

ADMINISTRATOR = "S-1-5-21-1004336348-1177238915-682003330-500"
NEW = {"name": "PC-1", "attributes": {"sid": ADMINISTRATOR}}


@pytest.fixture(name="api")
def fixture_api(installation: Installation) -> ApiHouse:
    installation.profile("logon", ext_key_usage=["client-auth"], san=["dns:{{device.dns_name}}"], sid_extension=True)
    return ApiHouse(installation)


def patch(api: ApiHouse, token: str, **body: Any) -> Any:
    return api.call("PATCH", "/devices/PC-1", token=token, body=body, headers={"if-match": "*"})


def test_an_operator_alone_does_not_store_the_sid_of_an_administrator(api: ApiHouse) -> None:
    operator = api.token("olga", Role.OPERATOR)
    in_ntauth(api.installation)
    shown = api.call("POST", "/devices?dry_run=true", token=operator, body=NEW)
    assert shown.status == 200 and shown.data["tier0"] and shown.data["needs_approval"]
    assert ADMINISTRATOR in shown.data["summary"] and "profile logon certifies sid" in shown.data["effects"][0]
    waiting = api.call("POST", "/devices", token=operator, body=NEW)
    assert waiting.status == 202
    assert api.call("GET", "/devices/PC-1", token=operator).status == 404
    api.installation.run(api.books.desk.approve(BOB, waiting.data["id"]))
    assert api.call("GET", "/devices/PC-1", token=operator).data["attributes"]["sid"] == ADMINISTRATOR


def test_changing_such_a_name_waits_and_the_rest_does_not(api: ApiHouse) -> None:
    operator, approver = api.token("olga", Role.OPERATOR), api.token("bea", Role.APPROVER)
    in_ntauth(api.installation)
    assert api.call("POST", "/devices", token=operator, body={"name": "PC-1"}).status == 201
    assert patch(api, operator, attributes={"model": "X1"}, enabled=False).status == 200
    waiting = patch(api, operator, attributes={"dns_name": "dc1.contoso.com"})
    assert waiting.status == 202 and "dns_name dc1.contoso.com" in waiting.data["summary"]
    assert patch(api, operator, attributes={"model": "X2"}).status == 200
    answer = api.call("POST", f"/approvals/{waiting.data['id']}:approve", token=approver)
    assert (answer.status, answer.code) == (409, 8323), "it was changed after it was asked for"
    stored = api.installation.app.entities.named(EntityKind.DEVICE, "PC-1")
    assert "dns_name" not in stored.attributes and not stored.enabled
    waiting = patch(api, operator, attributes={"dns_name": "dc1.contoso.com"})
    api.installation.run(api.books.desk.approve(BOB, waiting.data["id"]))
    assert patch(api, operator, attributes={"dns_name": ""}).status == 200, "taking a name away endangers nobody"


def test_without_a_ca_in_ntauth_one_person_does_it(api: ApiHouse) -> None:
    assert api.call("POST", "/devices", token=api.token("olga", Role.OPERATOR), body=NEW).status == 201
