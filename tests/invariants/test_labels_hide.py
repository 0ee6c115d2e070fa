# SPDX-License-Identifier: Apache-2.0
"""Whoever holds every role for one label reads and changes nothing that belongs to another: each operation is asked."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from cryptography import x509

from privyseal.administration.desk import Pending
from privyseal.endpoints.api.operation import Kind, Operation
from privyseal.model.access import Role
from tests.api import ROOT, ApiHouse
from tests.device import Device
from tests.installation import ISSUING_CA, PROFILE, Installation

ANSWERED = {
    "health": "open to everybody",
    "openapi": "open to everybody",
    "whoami": "tells of the caller only",
    "get_four_eyes": "a setting of the installation; everybody's requests follow it",
    "list_devices": "end entities have no labels; reading them takes any grant, changing them one for everything",
    "get_device": "the same",
    "list_users": "the same",
}
"""What is answered with success, and why. Other lists are answered too, but nothing of the others is in them."""


@dataclass(slots=True)
class House:
    """An installation whose objects are all labelled blue, and a token for everything that is red."""

    api: ApiHouse
    token: str
    names: dict[str, str]

    def ask(self, operation: Operation) -> tuple[int, bytes]:
        """The operation, with the objects that are blue."""
        path = operation.path
        path = re.sub(r"\{serial\}", self.names["serial"], path)
        path = re.sub(r"\{person\}", "bea", path)
        path = re.sub(r"\{role\}", "viewer", path)
        noun = path.split("/")[1]
        path = re.sub(r"\{(name|id)\}", self.names.get(noun, "nothing"), path)
        headers = {"if-match": "*"} if operation.if_match or operation.may_match else {}
        body = self.names.get(f"{operation.id} body", operation.body_example)
        answer = self.api.call(operation.method, path, token=self.token, body=body, headers=headers)
        return answer.status, answer.body


@pytest.fixture(name="house", scope="module")
def fixture_house(shared: Installation) -> House:
    api = ApiHouse(shared)
    device = Device(shared)
    leaf = device.enroll()
    shared.profile("asked", approval="manual")
    waiting = Device(shared, profile="asked")
    waiting.send(waiting.request())
    shared.found("red-ca")
    api.act("ca.set", name="red-ca", labels=["red"])
    shared.profile("red-profile", issuer="red-ca")
    red_leaf = Device(shared, profile="red-profile").enroll()
    api.act("ca.set", name=ISSUING_CA, labels=["blue"])
    api.act("ca.set", name="root", labels=["blue"])
    api.token("bea", Role.VIEWER, labels=("blue",))
    hook = {"name": "hook", "url": "https://hooks.example.com/", "events": ["*"]}
    owner = api.token("olga", Role.OWNER)
    made = api.call("POST", "/webhooks", token=owner, body=hook)
    assert made.status == 201, made.body
    red = api.token("rita", *Role, labels=("red",))
    api.act("four-eyes.set", mode="on", reason="test")
    asked = shared.run(api.books.desk.submit(ROOT, "ca.pause", parameters={"name": ISSUING_CA}))
    names = {
        "owner": owner,
        "red serial": f"{x509.load_der_x509_certificate(red_leaf).serial_number:x}",
        "serial": f"{x509.load_der_x509_certificate(leaf).serial_number:x}",
        "authorities": ISSUING_CA,
        "profiles": PROFILE,
        "devices": device.entity.name,
        "tokens": "bea-1",
        "webhooks": "hook",
        "enrollments": str(shared.rows("SELECT id FROM enrollments WHERE state = 'waiting'")[0][0]),
        "approvals": str(asked.approval.id) if isinstance(asked, Pending) else "1",
    }
    return House(api, red, names)


def test_no_operation_reads_or_changes_what_has_another_label(house: House) -> None:
    hidden = (house.names["serial"], *(f'"name":"{name}"' for name in (ISSUING_CA, "root", PROFILE, "asked")))
    asked = 0
    for operation in house.api.endpoint.operations:
        status, body = house.ask(operation)
        if operation.id in ANSWERED:
            assert status == 200, (operation.id, status)
            continue
        asked += 1
        if status < 300:
            assert operation.kind is Kind.PAGE, (operation.id, status, body)
            assert not [text for text in hidden if text.encode() in body], (operation.id, body)
        else:
            assert status in (403, 404, 422), (operation.id, status, body)
    assert asked > 40


def test_what_has_the_own_label_is_there(house: House) -> None:
    """Or the test above would hold because nothing works."""

    def items(path: str) -> list[dict[str, object]]:
        answer = house.api.call("GET", path, token=house.token)
        assert answer.status == 200, answer.body
        return list(answer.data["items"])

    assert [row["name"] for row in items("/authorities")] == ["red-ca"]
    assert [row["name"] for row in items("/profiles")] == ["red-profile"]
    assert house.names["red serial"] in {str(row["serial"]).lower() for row in items("/certificates")}
    assert house.api.call("POST", "/authorities/red-ca:pause?dry_run=true", token=house.token, body={}).status == 200


def test_a_hidden_ca_and_one_that_is_not_there_give_the_same_answer(house: House) -> None:
    for verb in ("pause", "resume", "renew", "activate", "rollback", "revoke", "set"):
        body = {"reason": "superseded"} if verb == "revoke" else {}
        hidden, absent = (
            house.api.call("POST", f"/authorities/{name}:{verb}", token=house.token, body=body)
            for name in (ISSUING_CA, "no-such-ca")
        )
        assert (hidden.status, hidden.code) == (absent.status, absent.code) == (404, 9007), verb


def test_nobody_makes_a_ca_below_one_that_is_hidden(house: House) -> None:
    wish = {"name": "below", "parent": "root", "key": "ec:p256", "labels": ["red"]}
    answer = house.api.call("POST", "/authorities", token=house.token, body=wish)
    assert (answer.status, answer.code) == (404, 9007), answer.body


def test_a_hidden_profile_is_not_taken_over_by_naming_another_ca(house: House) -> None:
    owner = house.names["owner"]
    for name in (PROFILE, "red-profile"):
        body = house.api.call("GET", f"/profiles/{name}", token=owner).data["body"]
        body = {**body, "name": PROFILE, "issuer": "red-ca"}
        answer = house.api.call(
            "PUT", f"/profiles/{PROFILE}", token=house.token, body={"body": body}, headers={"if-match": "*"}
        )
        assert answer.status == 404, answer.body
        answer = house.api.call("POST", "/profiles", token=house.token, body={"body": body})
        assert answer.status in (404, 409), answer.body


def test_nobody_grants_more_than_they_reach(house: House) -> None:
    for labels in ([], ["blue"], ["red", "blue"]):
        wish = {"person": "rita", "role": "owner", "labels": labels}
        answer = house.api.call("POST", "/roles", token=house.token, body=wish)
        assert answer.status in (403, 404), (labels, answer.body)
        wish = {"name": "more", "owner": "rita", "roles": ["owner"], "labels": labels, "life": "1d"}
        answer = house.api.call("POST", "/tokens", token=house.token, body=wish)
        assert answer.status in (403, 404, 422), (labels, answer.body)
