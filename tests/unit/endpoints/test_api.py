# SPDX-License-Identifier: Apache-2.0
"""The REST API from outside: answers, problems, pages, tags, repeated requests, approvals and limits."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from privyseal.model.access import Role
from privyseal.model.entity import EntityKind
from tests.api import ApiHouse, fixture_api
from tests.installation import ISSUING_CA, PROFILE, fixture_installation, fixture_installations

__all__ = ["fixture_api", "fixture_installation", "fixture_installations"]


def request_pem() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "whatever")])
    made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


def device(api: ApiHouse, name: str = "LAPTOP-1") -> None:
    attributes = {"name": name, "dns_name": f"{name.lower()}.example.com", "sid": "S-1-5-21-1-2-3-1104"}
    work = api.installation.app.entities.create(EntityKind.DEVICE, attributes, actor="test")
    api.installation.run(work)


def issue(api: ApiHouse, token: str, **more: Any) -> Any:
    body = {"profile": PROFILE, "device": "LAPTOP-1", "csr": request_pem()}
    return api.call("POST", "/certificates", token=token, body=body, **more)


def test_a_certificate_is_issued_listed_fetched_and_revoked(api: ApiHouse) -> None:
    device(api)
    token = api.token("ada", Role.OPERATOR)
    made = issue(api, token)
    assert made.status == 201, made.body
    serial = made.data["serial"]
    assert made.headers["location"] == f"/api/v1/certificates/{serial}"
    view = x509.load_pem_x509_certificate(made.data["certificate"].encode())
    view.verify_directly_issued_by(x509.load_pem_x509_certificate(made.data["chain"][0].encode()))
    listed = api.call("GET", "/certificates?where=kind:end-entity&count=true", token=token).data
    assert ([row["serial"] for row in listed["items"]], listed["count"]) == ([serial], 1)
    revoke = api.call("POST", f"/certificates/{serial}:revoke", token=token, body={"reason": "superseded"})
    assert (revoke.status, revoke.data["status"], revoke.data["reason"]) == (200, "revoked", "superseded")
    assert api.call("GET", f"/certificates/{serial}", token=token).data["status"] == "revoked"
    again = api.call("POST", f"/certificates/{serial}:revoke", token=token, body={})
    assert again.status == 409
    rows = api.installation.app.audit.page(before=0, limit=10)
    assert any(row.actor == "token:ada-1" and row.event == "certificate.issued" for row in rows)


def test_a_certificate_beyond_ones_labels_is_answered_as_one_that_there_is_not(api: ApiHouse) -> None:
    device(api)
    serial = issue(api, api.token("ada", Role.OPERATOR)).data["serial"]
    nothing = f"{int(serial, 16) + 1:x}"
    token = api.token("red", Role.OPERATOR, labels=("red",))
    for method, more, body in (("GET", "", None), ("POST", ":revoke", {}), ("POST", ":release", None)):
        answers = [
            api.call(method, f"/certificates/{number}{more}", token=token, body=body) for number in (serial, nothing)
        ]
        told = [
            {name: value for name, value in answer.data.items() if name not in ("detail", "correlation_id")}
            for answer in answers
        ]
        assert told[0] == told[1] and answers[0].status == 404, (method, more)
        assert answers[0].data["detail"].replace(serial, "") == answers[1].data["detail"].replace(nothing, "")


def test_a_hold_is_released(api: ApiHouse) -> None:
    device(api)
    token = api.token("ada", Role.OPERATOR)
    serial = issue(api, token).data["serial"]
    held = api.call("POST", f"/certificates/{serial}:revoke", token=token, body={"reason": "certificate-hold"})
    assert held.data["reason"] == "certificate-hold"
    released = api.call("POST", f"/certificates/{serial}:release", token=token)
    assert (released.status, released.data["status"], released.data["reason"]) == (200, "valid", None)
    assert api.call("POST", f"/certificates/{serial}:release", token=token).status == 409


def test_many_are_revoked_by_a_search_and_only_so_many(api: ApiHouse) -> None:
    device(api)
    token = api.token("ada", Role.OPERATOR)
    for _ in range(3):
        assert issue(api, token).status == 201
    wish = {"where": f"profile:{PROFILE}", "reason": "superseded", "most": 2}
    assert api.call("POST", "/certificates:revoke", token=token, body=wish).code == 8324
    shown = api.call("POST", "/certificates:revoke?dry_run=true", token=token, body=wish)
    assert (shown.status, shown.data["counts"]["selected"]) == (200, 3)
    done = api.call("POST", "/certificates:revoke", token=token, body={**wish, "most": 3})
    assert (done.status, done.data["revoked"]) == (200, 3)
    assert api.call("GET", "/certificates?where=status:revoked&count=true", token=token).data["count"] == 3


def test_a_profile_is_made_and_changed_by_the_api(api: ApiHouse) -> None:
    token = api.token("ada", Role.PROFILE_ADMIN)
    found = api.call("GET", f"/profiles/{PROFILE}", token=token)
    body = {**found.data["body"], "name": "second"}
    made = api.call("POST", "/profiles", token=token, body={"body": body})
    assert (made.status, made.data) == (201, {"name": "second", "revision": 1})
    assert api.call("POST", "/profiles", token=token, body={"body": body}).code == 9008
    tag = api.call("GET", "/profiles/second", token=token).headers["etag"]
    new = {"body": {**body, "validity": "30d"}}
    done = api.call("PUT", "/profiles/second", token=token, body=new, headers={"if-match": tag})
    assert (done.status, done.data["revision"]) == (200, 2)
    late = api.call("PUT", "/profiles/second", token=token, body=new, headers={"if-match": tag})
    assert (late.status, late.code) == (412, 8343)
    wrong = api.call("POST", "/profiles", token=token, body={"body": {**body, "name": "x", "nonsense": 1}})
    assert wrong.status in (400, 422)


def test_a_ca_is_made_paused_labelled_and_hidden_from_other_labels(api: ApiHouse) -> None:
    token = api.token("carl", Role.CA_ADMIN)
    wish = {"name": "second", "parent": "root", "key": "ec:p256", "labels": ["prod"]}
    shown = api.call("POST", "/authorities?dry_run=true", token=token, body=wish)
    assert shown.status == 200 and "second" in shown.data["summary"]
    made = api.call("POST", "/authorities", token=token, body=wish)
    assert (made.status, made.data["name"]) == (201, "second"), made.body
    paused = api.call("POST", "/authorities/second:pause", token=token, body={})
    assert (paused.status, paused.data["state"]) == (200, "paused")
    prod = api.token("kim", Role.CA_ADMIN, labels=("prod",))
    test = api.token("lee", Role.CA_ADMIN, labels=("test",))
    assert [row["name"] for row in api.call("GET", "/authorities", token=prod).data["items"]] == ["second"]
    assert api.call("GET", "/authorities", token=test).data["items"] == []
    assert api.call("POST", "/authorities/second:resume", token=test, body={}).status == 404
    assert api.call("POST", "/authorities/second:resume", token=prod, body={}).data["state"] == "active"
    assert api.call("POST", f"/authorities/{ISSUING_CA}:pause", token=prod, body={}).status == 404
    assert api.call("DELETE", "/authorities/second", token=token).status == 409


def test_a_problem_says_what_why_and_how_to_mend(api: ApiHouse) -> None:
    token = api.token("ada", Role.VIEWER)
    answer = api.call("GET", "/authorities/nothing", token=token)
    data = answer.data
    assert (answer.status, data["status"], data["code"], data["type"]) == (404, 404, 9007, "/problems/9007")
    assert "nothing" in data["detail"] and data["cause"] and data["remedies"] and data["correlation_id"]
    assert answer.headers["cache-control"] == "no-store"
    page = api.call("GET", "//problems/9007")
    assert page.status == 200 and page.body.startswith(b"# 9007")
    assert api.call("GET", "//problems/0000").status == 404


def test_remedies_name_the_command(api: ApiHouse) -> None:
    answer = api.call("GET", "/whoami")
    assert (answer.status, answer.code) == (401, 8301)
    assert answer.headers["www-authenticate"].startswith("Bearer")
    commands = [remedy["command"] for remedy in answer.data["remedies"]]
    assert "privyseal token create NAME --role viewer" in commands


@pytest.mark.parametrize(
    ("header", "code"),
    [({"authorization": "Basic YWRhOnB3"}, 8301), ({"authorization": "Bearer nonsense"}, 8302),
     ({"authorization": "Bearer"}, 8301), ({"authorization": "Bearer \u00ff\u00fe"}, 8302)],
)  # fmt: skip
def test_who_cannot_prove_who_they_are_learns_nothing(api: ApiHouse, header: dict[str, str], code: int) -> None:
    for path in ("/whoami", "/certificates/00ff", "/tokens/nothing"):
        answer = api.call("GET", path, headers=header)
        assert (answer.status, answer.code) == (401, code)


def test_every_fault_of_the_content_is_told_with_its_pointer(api: ApiHouse) -> None:
    token = api.token("ada", Role.OWNER)
    body = {"name": "X Y", "roles": ["viewer", "king", 7], "labels": "prod", "extra/1": 1}
    answer = api.call("POST", "/tokens", token=token, body=body)
    assert (answer.status, answer.code) == (400, 8340)
    pointers = {fault["pointer"] for fault in answer.data["errors"]}
    assert pointers == {"/name", "/roles/1", "/roles/2", "/labels", "/extra~11"}


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (b"{", {}, 400, 8340),
        (b'{"a":1,"a":2}', {}, 400, 8340),
        (b"[" * 100_000, {}, 400, 8340),
        (b'{"person":NaN}', {}, 400, 8340),
        (b"\xff\xfe", {}, 400, 8340),
        (b"[]", {}, 400, 8340),
        (b"null", {}, 400, 8340),
        (b'{"person":"\\ud800","role":"viewer"}', {}, 400, 8340),
        (b"person=ada", {"content-type": "application/x-www-form-urlencoded"}, 415, 8341),
        (b"{}", {"content-type": ""}, 415, 8341),
        (b" " * 300_000, {}, 413, 8205),
        (b" " * 1_100_000, {}, 413, 8205),
    ],
)
def test_content_that_is_none_is_refused(
    api: ApiHouse, content: bytes, headers: dict[str, str], status: int, code: int
) -> None:
    token = api.token("ada", Role.OWNER)
    answer = api.call("POST", "/roles", token=token, body=content, headers=headers)
    assert (answer.status, answer.code) == (status, code)


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=1001", "limit=x", "limit=1&limit=2", "nonsense=1", "cursor=!!", "cursor=bjE", "where=status:odd",
     "count=maybe", "fields=nothing", "where=%00", "where=%ff", "cursor=eDE", "where=" + "a" * 2001],
)  # fmt: skip
def test_a_query_that_is_not_known_is_refused_or_harmless(api: ApiHouse, query: str) -> None:
    answer = api.call("GET", f"/certificates?{query}", token=api.token("ada", Role.VIEWER))
    assert answer.status == 400


def test_methods_and_paths_that_are_not_in_the_table_are_not_served(api: ApiHouse) -> None:
    token = api.token("ada", Role.OWNER)
    answer = api.call("PUT", "/tokens", token=token)
    assert (answer.status, answer.code, answer.headers["allow"]) == (405, 8342, "GET, POST")
    for path in (
        "/nothing",
        "/",
        "/tokens/",
        "/tokens/a/b",
        "/device",
        "/authorities/%2e%2e/versions",
    ):
        assert api.call("GET", path, token=token).status == 404, path
    for path in ("//api/x/api/v1/whoami", "//api//api/v1/whoami", "//%61pi/v1/whoami", "//api/v1/../v1/whoami"):
        assert api.call("GET", path, token=token).status == 404, f"{path} is another path for a proxy in front"


def test_pages_follow_each_other_without_gap_or_repetition(api: ApiHouse) -> None:
    token = api.token("ada", Role.OPERATOR)
    for number in range(7):
        device(api, f"D-{number}")
    seen, cursor = [], ""
    for _ in range(5):
        page = api.call("GET", f"/devices?limit=3&fields=name{cursor}", token=token).data
        seen += [row["name"] for row in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == [f"D-{number}" for number in range(7)]


def test_a_change_needs_the_state_that_it_is_for(api: ApiHouse) -> None:
    device(api)
    token = api.token("ada", Role.OPERATOR)
    tag = api.call("GET", "/devices/LAPTOP-1", token=token).headers["etag"]
    change = {"attributes": {"model": "T14"}, "enabled": False}
    assert api.call("PATCH", "/devices/LAPTOP-1", token=token, body=change).code == 8344
    done = api.call("PATCH", "/devices/LAPTOP-1", token=token, body=change, headers={"if-match": tag})
    assert (done.status, done.data["enabled"], done.data["attributes"]["model"]) == (200, False, "T14")
    late = api.call("PATCH", "/devices/LAPTOP-1", token=token, body={"enabled": True}, headers={"if-match": tag})
    assert (late.status, late.code) == (412, 8343)
    any_state = api.call("PATCH", "/devices/LAPTOP-1", token=token, body={"enabled": True}, headers={"if-match": "*"})
    assert any_state.data["enabled"] is True and any_state.headers["etag"] not in (tag, done.headers["etag"])


def test_the_same_request_with_the_same_key_has_its_effect_once(api: ApiHouse) -> None:
    device(api)
    token = api.token("ada", Role.OPERATOR)
    body = {"profile": PROFILE, "device": "LAPTOP-1", "csr": request_pem()}
    key = {"idempotency-key": "k-1"}
    first = api.call("POST", "/certificates", token=token, body=body, headers=key)
    again = api.call("POST", "/certificates", token=token, body=body, headers=key)
    assert (again.status, again.body, again.headers["idempotent-replayed"]) == (201, first.body, "true")
    listed = api.call("GET", "/certificates?where=kind:end-entity&count=true", token=token).data
    assert listed["count"] == 1
    other = api.call("POST", "/certificates", token=token, body={**body, "device": "X"}, headers=key)
    assert (other.status, other.code) == (409, 8345)
    somebody = api.token("bob", Role.OPERATOR)
    assert api.call("POST", "/certificates", token=somebody, body=body, headers=key).status == 201
    api.installation.clock.moved = timedelta(days=1, seconds=1)
    assert api.call("POST", "/certificates", token=token, body=body, headers=key).data != first.data


def test_a_refused_request_may_be_sent_again_with_its_key(api: ApiHouse) -> None:
    token = api.token("ada", Role.OPERATOR)
    body = {"profile": PROFILE, "device": "LAPTOP-1", "csr": request_pem()}
    key = {"idempotency-key": "k-1"}
    assert api.call("POST", "/certificates", token=token, body=body, headers=key).status == 404
    device(api)
    assert api.call("POST", "/certificates", token=token, body=body, headers=key).status == 201


def test_a_secret_is_not_kept_for_a_repeated_request(api: ApiHouse) -> None:
    token = api.token("ada", Role.OWNER)
    key = {"idempotency-key": "k-1"}
    first = api.call("POST", "/tokens", token=token, body={"name": "t-1", "roles": ["viewer"]}, headers=key)
    secret = first.data["secret"]
    assert api.call("GET", "/whoami", token=secret).data["name"] == "token:t-1"
    again = api.call("POST", "/tokens", token=token, body={"name": "t-1", "roles": ["viewer"]}, headers=key)
    assert (again.status, again.code) == (409, 8345) and secret.encode() not in again.body
    for path in api.installation.home.glob("privyseal.db*"):
        assert secret.encode() not in path.read_bytes()


def test_a_dry_run_shows_the_preview_and_changes_nothing(api: ApiHouse) -> None:
    token = api.token("ada", Role.OWNER)
    answer = api.call("POST", "/roles?dry_run=true", token=token, body={"person": "eve", "role": "owner"})
    assert (answer.status, answer.data["summary"]) == (200, "grant eve the role owner for everything")
    assert api.books.access.grants_of("eve") == ()


def test_what_takes_two_people_waits_until_the_other_one_approves(api: ApiHouse) -> None:
    ada, bob = api.token("ada", Role.OWNER), api.token("bob", Role.APPROVER)
    second, eve = api.token("ada", Role.OWNER), api.token("eve", Role.VIEWER)
    api.act("four-eyes.set", mode="on", reason="")
    asked = api.call("POST", "/roles", token=ada, body={"person": "kim", "role": "operator"})
    assert (asked.status, asked.data["state"]) == (202, "waiting")
    place = asked.headers["location"].removeprefix("/api/v1")
    assert api.call("GET", place, token=eve).status == 404
    assert api.call("GET", "/approvals", token=eve).data["items"] == []
    assert [row["id"] for row in api.call("GET", "/approvals?state=waiting", token=bob).data["items"]] == [1]
    for token in (ada, second):
        assert (api.call("POST", f"{place}:approve", token=token)).code == 8321
    assert api.call("POST", f"{place}:approve", token=eve).status == 403
    done = api.call("POST", f"{place}:approve", token=bob)
    assert (done.status, done.data["state"], done.data["decider"]) == (200, "done", "token:bob-2")
    assert [grant.role for grant in api.books.access.grants_of("kim")] == [Role.OPERATOR]
    assert api.call("POST", f"{place}:deny", token=bob, body={"reason": "too late"}).code == 8322


def test_a_token_that_waits_is_worth_nothing_until_it_is_approved(api: ApiHouse) -> None:
    ada, bob = api.token("ada", Role.OWNER), api.token("bob", Role.APPROVER)
    api.act("four-eyes.set", mode="on", reason="")
    made = api.call("POST", "/tokens", token=ada, body={"name": "t-1", "roles": ["operator"]})
    assert made.status == 202 and made.data["token"] is None
    secret, number = made.data["secret"], made.data["approval"]["id"]
    assert api.call("GET", "/whoami", token=secret).code == 8302
    api.installation.clock.moved = timedelta(hours=20)
    approved = api.call("POST", f"/approvals/{number}:approve", token=bob)
    assert secret.encode() not in approved.body
    assert api.call("GET", "/whoami", token=secret).data["person"] == "ada"


def test_labels_hide_cas_and_what_comes_from_them(api: ApiHouse) -> None:
    device(api)
    made = issue(api, api.token("ada", Role.OPERATOR)).data["serial"]
    token = api.token("kim", Role.OPERATOR, labels=("elsewhere",))
    assert api.call("GET", "/authorities", token=token).data["items"] == []
    assert api.call("GET", "/certificates", token=token).data["items"] == []
    assert issue(api, token).status == 404
    for method, path, body in (
        ("GET", f"/authorities/{ISSUING_CA}", None),
        ("GET", f"/authorities/{ISSUING_CA}/versions", None),
        ("GET", f"/certificates/{made}", None),
        ("POST", f"/certificates/{made}:revoke", {}),
        ("GET", f"/profiles/{PROFILE}", None),
        ("POST", "/challenges", {"profile": PROFILE, "device": "LAPTOP-1"}),
    ):
        assert api.call(method, path, token=token, body=body).status == 404, path
    for method, path, change in (
        ("POST", "/devices", {"name": "NEW"}),
        ("PATCH", "/devices/LAPTOP-1", {"enabled": False}),
    ):
        assert api.call(method, path, token=token, body=change, headers={"if-match": "*"}).status == 403, path


def test_a_challenge_made_by_the_api_is_good_once(api: ApiHouse) -> None:
    device(api)
    token = api.token("ada", Role.OPERATOR)
    made = api.call("POST", "/challenges", token=token, body={"profile": PROFILE, "device": "LAPTOP-1"})
    assert made.status == 201 and len(made.data["secret"]) == 32
    assert api.call("POST", "/challenges", token=token, body={"profile": PROFILE}).code == 8340
    long = {"profile": PROFILE, "device": "LAPTOP-1", "life": "90d"}
    assert api.call("POST", "/challenges", token=token, body=long).status == 400


def test_failed_sign_ins_slow_down_their_own_source_only(api: ApiHouse) -> None:
    good = api.token("ada", Role.VIEWER)
    codes = [api.call("GET", "/whoami", token="pvs_x", peer="192.0.2.66").code for _ in range(9)]
    assert codes[0] == 8302 and codes[-1] == 8307
    slowed = api.call("GET", "/whoami", token="pvs_x", peer="192.0.2.66")
    assert slowed.status == 429 and int(slowed.headers["retry-after"]) >= 1
    assert slowed.data["retry_after"] == int(slowed.headers["retry-after"])
    assert api.call("GET", "/whoami", token="pvs_x", peer="192.0.2.67").code == 8302
    assert api.call("GET", "/whoami", token=good, peer="192.0.2.66").status == 200


def test_whoever_administers_here_sees_the_audit_trail_but_no_secret(api: ApiHouse) -> None:
    token = api.token("ada", Role.AUDITOR)
    page = api.call("GET", "/audit-records?event=token.&limit=5", token=token)
    assert page.data["items"][0]["event"] == "token.created"
    assert b"pvs_" not in page.body


def test_the_description_is_that_of_the_table(api: ApiHouse) -> None:
    said = api.call("GET", "/openapi.json").data
    told = {operation["operationId"] for path in said["paths"].values() for operation in path.values()}
    assert told == {operation.id for operation in api.endpoint.operations}
    assert json.dumps(said).count('"example"') > len(told)
