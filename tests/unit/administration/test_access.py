# SPDX-License-Identifier: Apache-2.0
"""Roles and tokens: who may get them, what a token is good for, and that no secret is kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from privyseal.administration.desk import Answer, Done, Pending
from privyseal.administration.sign_in import local_actor
from privyseal.bootstrap.administration import Administration
from privyseal.directory.changes import AddValue, Change, RemoveValue
from privyseal.directory.receipts import Receipt
from privyseal.errors import (
    ApprovalStale,
    GrantTooWide,
    InvalidValue,
    LastOwner,
    NameTaken,
    NotFound,
    PrivysealError,
    TokenExpired,
    TokenRefused,
)
from privyseal.model.access import Actor, Grant, Permission, Role, narrowed
from privyseal.model.approval import FourEyes
from privyseal.model.token import new_secret, token_digest
from tests.installation import ISSUING_CA, Installation, fixture_installation, fixture_installations

__all__ = ["fixture_installation", "fixture_installations"]

ROOT = local_actor("cli:root")
NTAUTH = "CN=NTAuthCertificates,CN=Public Key Services,CN=Services,CN=Configuration,DC=contoso,DC=com"
AB, BC = frozenset("ab"), frozenset("bc")


class House:
    """An installation, acted on as the user who owns it."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.books = Administration(installation.app)
        self.secrets = 0

    def act(self, name: str, actor: Actor = ROOT, /, **parameters: Any) -> Answer:
        return self.installation.run(self.books.desk.submit(actor, name, parameters=parameters))

    def token(self, name: str, owner: str, *roles: str, **more: Any) -> str:
        """Makes a token; its secret."""
        self.secrets += 1
        secret = new_secret(self.secrets.to_bytes(32, "big"))
        given: Mapping[str, Any] = {"name": name, "owner": owner, "roles": list(roles), **more}
        assert isinstance(self.act("token.create", digest=token_digest(secret).hex(), **given), Done)
        return secret

    def receipt(self, change: Change, result: str = "done") -> None:
        now = self.installation.clock.now()
        receipt = Receipt(
            forest="contoso.com", controller="dc1.contoso.com", change=change, result=result, usn=1, at=now
        )
        self.installation.run(self.installation.app.receipts.add(receipt, actor="test"))


@pytest.fixture(name="house")
def fixture_house(installation: Installation) -> House:
    return House(installation)


def test_a_token_does_what_its_roles_and_those_of_its_owner_allow(house: House) -> None:
    house.act("role.grant", person="Ada", role="owner", labels=[])
    secret = house.token("ada-1", "ada", "operator")
    actor, token = house.books.sign_in.authenticate(secret)
    assert (actor.name, actor.person) == ("token:ada-1", "ada")
    assert actor.may(Permission.CERTIFICATE_ISSUE) and not actor.may(Permission.ACCESS_WRITE)
    assert token.expires_at - token.created_at <= timedelta(days=90)


def test_a_token_loses_what_its_owner_loses_at_the_same_moment(house: House) -> None:
    house.act("role.grant", person="ada", role="operator", labels=["prod", "test"])
    secret = house.token("ada-1", "ada", "operator", labels=["prod"])
    assert house.books.sign_in.authenticate(secret)[0].grants == (Grant(Role.OPERATOR, frozenset({"prod"})),)
    house.act("role.grant", person="ada", role="operator", labels=["test"])
    assert house.books.sign_in.authenticate(secret)[0].grants == ()
    house.act("role.revoke", person="ada", role="operator")
    assert house.books.sign_in.authenticate(secret)[0].grants == ()


def test_a_token_for_more_than_its_owner_holds_is_refused(house: House) -> None:
    with pytest.raises(GrantTooWide):
        house.token("ada-1", "ada", "viewer")
    house.act("role.grant", person="ada", role="operator", labels=["prod"])
    for roles, labels in ((("owner",), ["prod"]), (("operator",), []), (("operator",), ["prod", "test"])):
        with pytest.raises(GrantTooWide):
            house.token("ada-1", "ada", *roles, labels=labels)


def test_expired_revoked_unknown_and_mistyped_tokens_are_refused(house: House) -> None:
    house.act("role.grant", person="ada", role="viewer", labels=[])
    secret = house.token("ada-1", "ada", "viewer", life="1h")
    swapped = secret[:10] + ("b" if secret[10] == "a" else "a") + secret[11:]
    for wrong in (swapped, secret[:-1], "", "Bearer", new_secret(b"\x07" * 32), "pvs_" + "é" * 49):
        with pytest.raises(TokenRefused):
            house.books.sign_in.authenticate(wrong)
    house.act("token.revoke", name="ada-1")
    with pytest.raises(TokenRefused, match="was revoked at"):
        house.books.sign_in.authenticate(secret)
    later = house.token("ada-2", "ada", "viewer", life="1h")
    house.installation.clock.moved = timedelta(hours=1, seconds=1)
    with pytest.raises(TokenExpired):
        house.books.sign_in.authenticate(later)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Ada One"}, {"owner": "a" * 65}, {"owner": "аda"}, {"roles": []}, {"roles": ["root"]},
        {"roles": "viewer"}, {"labels": ["Prod"]}, {"labels": [1]}, {"life": "2y"}, {"life": "0d"}, {"digest": "00"},
        {"more": 1},
    ],
)  # fmt: skip
def test_parameters_that_are_wrong_are_refused(house: House, wrong: dict[str, Any]) -> None:
    house.act("role.grant", person="ada", role="viewer", labels=[])
    right = {"name": "ada-1", "owner": "ada", "roles": ["viewer"], "labels": [], "digest": "00" * 32}
    with pytest.raises(InvalidValue):
        house.act("token.create", **(right | wrong))


def test_a_name_means_one_token_for_ever(house: House) -> None:
    house.act("role.grant", person="ada", role="viewer", labels=[])
    house.token("ada-1", "ada", "viewer")
    house.act("token.revoke", name="ada-1")
    with pytest.raises(NameTaken):
        house.token("ada-1", "ada", "viewer")


def test_the_last_owner_stays(house: House) -> None:
    house.act("role.grant", person="ada", role="owner", labels=[])
    with pytest.raises(LastOwner):
        house.act("role.revoke", person="ada", role="owner")
    with pytest.raises(LastOwner):
        house.act("role.grant", person="ada", role="owner", labels=["prod"])
    house.act("role.grant", person="bob", role="owner", labels=[])
    house.act("role.revoke", person="ada", role="owner")
    assert house.books.access.holders() == (("bob", Grant(Role.OWNER)),)
    with pytest.raises(NotFound):
        house.act("role.revoke", person="ada", role="viewer")


def test_no_secret_is_in_the_store(house: House) -> None:
    house.act("role.grant", person="ada", role="viewer", labels=[])
    secret = house.token("ada-1", "ada", "viewer")
    for path in house.installation.home.glob("privyseal.db*"):
        assert secret.encode() not in path.read_bytes()


def test_use_is_noted_to_the_hour_and_not_for_each_request(house: House) -> None:
    house.act("role.grant", person="ada", role="viewer", labels=[])
    secret = house.token("ada-1", "ada", "viewer")
    for _ in range(3):
        token = house.books.sign_in.authenticate(secret)[1]
        house.installation.run(house.books.tokens.note_use(token, now=house.installation.clock.now()))
    first = house.books.tokens.token("ada-1").last_used_at
    assert first is not None
    house.installation.clock.moved = timedelta(hours=2)
    token = house.books.sign_in.authenticate(secret)[1]
    house.installation.run(house.books.tokens.note_use(token, now=house.installation.clock.now()))
    assert house.books.tokens.token("ada-1").last_used_at != first


def test_four_eyes_begin_when_a_ca_of_ours_enters_ntauth_and_end_when_it_leaves(house: House) -> None:
    certificate = house.installation.app.authorities.get(ISSUING_CA).certificate
    house.receipt(AddValue(NTAUTH, "cACertificate", b"\x30\x00"))
    house.receipt(AddValue(NTAUTH.replace("NTAuthCertificates", "issuing,CN=AIA"), "cACertificate", certificate))
    assert not house.books.desk.needs_two()
    house.receipt(AddValue(NTAUTH, "cACertificate", certificate), "already")
    assert house.books.access.in_ntauth() == {ISSUING_CA}
    assert isinstance(house.act("role.grant", person="eve", role="owner", labels=[]), Pending)
    assert isinstance(house.act("four-eyes.set", mode="off", reason="alone"), Pending)
    house.receipt(RemoveValue(NTAUTH, "cACertificate", certificate), "unknown")
    assert house.books.desk.needs_two()
    house.receipt(RemoveValue(NTAUTH, "cACertificate", certificate), "done")
    assert not house.books.desk.needs_two()


def test_with_four_eyes_a_token_in_anothers_name_takes_two_people(house: House) -> None:
    house.act("role.grant", person="bob", role="approver", labels=[])
    house.act("four-eyes.set", mode="on", reason="")
    parameters = {"name": "bob-2", "owner": "bob", "roles": ["approver"], "labels": [], "digest": "00" * 32}
    assert isinstance(house.act("token.create", **parameters), Pending)
    assert not house.books.tokens.has_token("bob-2")


@pytest.mark.parametrize("taken", ["role", "token"])
def test_a_request_falls_with_the_role_or_the_token_that_it_was_asked_with(house: House, taken: str) -> None:
    house.act("role.grant", person="eve", role="owner", labels=[])
    secret = house.token("eve-1", "eve", "owner")
    bob = Actor("token:bob", (Grant(Role.APPROVER),), "bob")
    house.act("four-eyes.set", mode="on", reason="")
    eve, _ = house.books.sign_in.authenticate(secret)
    waiting = house.act("role.grant", eve, person="mallory", role="owner", labels=[])
    assert isinstance(waiting, Pending)
    if taken == "role":
        house.act("role.grant", person="eve", role="viewer", labels=[])
        house.installation.run(house.books.access.grant("ada", Grant(Role.OWNER), actor="test"))
        house.act("role.revoke", person="eve", role="owner")
    else:
        house.act("token.revoke", name="eve-1")
    with pytest.raises(ApprovalStale, match="may not ask"):
        house.installation.run(house.books.desk.approve(bob, waiting.approval.id))
    assert house.books.access.grants_of("mallory") == ()


def test_leaving_ntauth_of_one_forest_is_not_leaving_it_in_another(house: House) -> None:
    certificate = house.installation.app.authorities.get(ISSUING_CA).certificate
    elsewhere = NTAUTH.replace("contoso", "fabrikam")
    house.receipt(AddValue(NTAUTH, "cACertificate", certificate))
    house.receipt(AddValue(elsewhere, "cACertificate", certificate))
    house.receipt(RemoveValue(elsewhere, "cACertificate", certificate))
    assert house.books.access.in_ntauth() == {ISSUING_CA} and house.books.desk.needs_two()


def test_after_a_recovery_the_setting_is_what_it_was(house: House) -> None:
    house.act("four-eyes.set", mode="on", reason="")
    for _ in range(2):
        until = house.installation.clock.now() + timedelta(hours=1)
        work = house.books.access.set_four_eyes(FourEyes.OFF, until=until, actor="cli:root", reason="alone")
        house.installation.run(work)
    assert not house.books.desk.needs_two()
    house.installation.clock.moved = timedelta(hours=1, seconds=1)
    assert house.books.desk.four_eyes() == (FourEyes.ON, None) and house.books.desk.needs_two()


def test_a_recovery_under_a_clock_that_ran_ahead_does_not_last_until_then(house: House) -> None:
    house.act("four-eyes.set", mode="on", reason="")
    until = house.installation.clock.now() + timedelta(days=400)
    work = house.books.access.set_four_eyes(FourEyes.OFF, until=until, actor="cli:root", reason="alone")
    house.installation.run(work)
    assert house.books.desk.needs_two()


def test_a_setting_for_a_time_ends_by_itself(house: House) -> None:
    house.act("four-eyes.set", mode="on", reason="")
    until = house.installation.clock.now() + timedelta(hours=1)
    work = house.books.access.set_four_eyes(FourEyes.OFF, until=until, actor="cli:root", reason="alone")
    house.receipt(AddValue(NTAUTH, "cACertificate", house.installation.app.authorities.get(ISSUING_CA).certificate))
    house.installation.run(work)
    assert not house.books.desk.needs_two()
    assert house.installation.events()[-1] == "access.recovered"
    house.installation.clock.moved = timedelta(hours=1, seconds=1)
    assert house.books.desk.needs_two()


def test_an_unknown_act_is_an_error_of_ours(house: House) -> None:
    with pytest.raises(PrivysealError, match="there is no act"):
        house.act("ca.explode")


@pytest.mark.parametrize(
    ("wanted", "held", "left"),
    [
        (Grant(Role.VIEWER), Grant(Role.OWNER), [Grant(Role.VIEWER)]),
        (Grant(Role.OWNER), Grant(Role.VIEWER), []),
        (Grant(Role.VIEWER), Grant(Role.OPERATOR, AB), [Grant(Role.VIEWER, AB)]),
        (Grant(Role.VIEWER, BC), Grant(Role.VIEWER, AB), [Grant(Role.VIEWER, frozenset("b"))]),
        (Grant(Role.VIEWER, frozenset("c")), Grant(Role.VIEWER, AB), []),
    ],
)  # fmt: skip
def test_a_grant_is_narrowed_to_what_is_held(wanted: Grant, held: Grant, left: list[Grant]) -> None:
    assert narrowed((wanted,), (held,)) == tuple(left)


def test_a_ca_of_ours_that_others_put_into_ntauth_switches_four_eyes_on_for_good(house: House) -> None:
    certificate, books = house.installation.app.authorities.get(ISSUING_CA).certificate, house.books

    def seen(*found: bytes) -> frozenset[str]:
        return house.installation.run(books.access.note_in_ntauth(found, directory="contoso", actor="service:watch"))

    assert not seen(b"\x30\x00", b"no certificate") and not books.desk.needs_two()
    assert seen(b"\x30\x00", certificate) == {ISSUING_CA}
    assert books.desk.needs_two()
    assert not seen(certificate), "it is told once"
    house.receipt(RemoveValue(NTAUTH, "cACertificate", certificate), "done")
    assert books.desk.needs_two(), "who put it there may do it again"
    events = [row.event for row in house.installation.app.audit.page(before=0, limit=20)]
    assert events.count("ca.seen-in-ntauth") == 1


def test_what_a_receipt_tells_of_is_not_told_again_as_seen(house: House) -> None:
    certificate = house.installation.app.authorities.get(ISSUING_CA).certificate
    house.receipt(AddValue(NTAUTH, "cACertificate", certificate))
    work = house.books.access.note_in_ntauth([certificate], directory="contoso", actor="service:watch")
    assert not house.installation.run(work)
    house.receipt(RemoveValue(NTAUTH, "cACertificate", certificate), "done")
    assert not house.books.desk.needs_two()
