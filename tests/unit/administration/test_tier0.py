# SPDX-License-Identifier: Apache-2.0
"""The Tier-0 guard in words, and the acts that reach a CA in NTAuth: they wait for a second person."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from privyseal.administration.desk import Desk, Done, Pending, Previewed
from privyseal.administration.publication import PublishToDirectory, publication_parameters
from privyseal.administration.sign_in import local_actor
from privyseal.administration.tier0 import lets_people_choose_the_name, log_on_purposes
from privyseal.bootstrap.administration import Administration
from privyseal.bootstrap.publishing import readers_of
from privyseal.directory.changes import AddValue, RootDse
from privyseal.directory.containers import Target
from privyseal.directory.desired import EnrollmentService
from privyseal.directory.plan import Plan
from privyseal.directory.receipts import Receipt
from privyseal.errors import ApprovalStale, InvalidValue, PlanStale
from privyseal.model.access import Actor, Grant, Role
from privyseal.model.profile_text import profile_from_data, profile_to_data
from privyseal.repository.service import Planned, Wanted
from tests.installation import ISSUING_CA, PROFILE, Installation, fixture_installation, fixture_installations

__all__ = ["fixture_installation", "fixture_installations"]

NTAUTH = "CN=NTAuthCertificates,CN=Public Key Services,CN=Services,CN=Configuration,DC=contoso,DC=com"
ROOT = local_actor("cli:root")
BOB = Actor("token:bob", (Grant(Role.APPROVER),), "bob")


def in_ntauth(installation: Installation) -> None:
    certificate = installation.app.authorities.get(ISSUING_CA).certificate
    receipt = Receipt(
        forest="contoso.com",
        controller="dc1",
        change=AddValue(NTAUTH, "cACertificate", certificate),
        result="done",
        usn=1,
        at=installation.clock.now(),
    )
    installation.run(installation.app.receipts.add(receipt, actor="test"))


def test_the_guard_names_people_tokens_profiles_and_users_of_the_system(installation: Installation) -> None:
    books = Administration(installation.app)
    installation.profile("logon", ext_key_usage=["smartcard-logon"])
    installation.profile("web", ext_key_usage=["server-auth"])
    for person, role in (("ada", "owner"), ("carl", "ca-admin"), ("olga", "operator"), ("vic", "viewer")):
        parameters: dict[str, Any] = {"person": person, "role": role, "labels": []}
        installation.run(books.desk.submit(ROOT, "role.grant", parameters=parameters))
    token = {"name": "ci-1", "owner": "olga", "roles": ["operator"], "labels": [], "digest": "00" * 32}
    installation.run(books.desk.submit(ROOT, "token.create", parameters=token))
    said = books.guard.of(ISSUING_CA)
    text = "\n".join(said)
    assert said[0].startswith("root can read the keys")
    assert "ada (owner) can give every role" in text
    assert "carl (ca-admin) can make a CA below it" in text
    assert "profile logon certifies for smartcard-logon what is stored about a device" in text
    assert "olga (operator) can change stored names and have" in text and "also by token ci-1" in text
    assert "vic (" not in text and "profile web" not in text


def test_readers_of_a_directory_follow_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    assert readers_of(tmp_path)[0] == "root" and "every user" not in readers_of(tmp_path)
    tmp_path.chmod(0o755)
    assert "every user" in readers_of(tmp_path)
    assert readers_of(tmp_path / "nothing") == ("root",)


@pytest.mark.parametrize(
    ("fields", "loose"),
    [
        ({}, True),
        ({"ext_key_usage": ["server-auth"]}, False),
        ({"ext_key_usage": ["server-auth", "smartcard-logon"]}, True),
        ({"names_from": "directory"}, False),
        ({"names_from": "directory", "san": ["dns:{{device.dns_name}}"]}, False),
        ({"names_from": "directory", "san": ["dns:{{device.name}}.contoso.com"]}, True),
        ({"names_from": "directory", "san": ["dns:{{device.model}}"]}, True),
        ({"names_from": "directory", "san": ["upn:administrator@contoso.com"]}, True),
        ({"names_from": "directory", "san": ["uri:tag:microsoft.com,2022-09-14:sid:S-1-5-21-1-2-3-500"]}, True),
        ({"ext_key_usage": ["1.3.6.1.4.1.311.10.12.1"]}, True),
    ],
)
def test_a_profile_lets_people_choose_the_name_unless_the_directory_says_it(
    fields: dict[str, Any], loose: bool
) -> None:
    data = {"name": "p", "issuer": "i", "subject": "CN={{device.name}}", "for": "device", **fields}
    profile = profile_from_data(data)
    assert lets_people_choose_the_name(profile) is loose
    assert bool(log_on_purposes(profile)) is (fields.get("ext_key_usage") != ["server-auth"])


def test_a_loose_profile_under_a_ca_in_ntauth_takes_two_people_and_a_strict_one_does_not(
    installation: Installation,
) -> None:
    books, run = Administration(installation.app), installation.run
    data = {**profile_to_data(installation.app.profiles.get(PROFILE)), "name": "more"}
    assert isinstance(run(books.desk.submit(ROOT, "profile.save", parameters={"profile": data})), Done)
    in_ntauth(installation)
    again = {"profile": data, "replace": True}
    shown = run(books.desk.submit(ROOT, "profile.save", parameters=again, dry_run=True))
    assert isinstance(shown, Previewed) and shown.preview.tier0 and "any account" in " ".join(shown.preview.effects)
    waiting = run(books.desk.submit(ROOT, "profile.save", parameters=again))
    assert isinstance(waiting, Pending)
    assert installation.app.profiles.get("more").revision == 1
    run(books.desk.approve(BOB, waiting.approval.id))
    assert installation.app.profiles.get("more").revision == 2
    strict = {"profile": {**data, "ext_key_usage": ["server-auth"]}, "replace": True}
    assert isinstance(run(books.desk.submit(ROOT, "profile.save", parameters=strict)), Done)


def test_an_approver_sees_what_a_profile_certifies_and_nobody_else_changes_it_meanwhile(
    installation: Installation,
) -> None:
    books, run = Administration(installation.app), installation.run
    data = {**profile_to_data(installation.app.profiles.get(PROFILE)), "ext_key_usage": ["smartcard-logon"]}
    in_ntauth(installation)
    again = {"profile": data, "replace": True}
    waiting = run(books.desk.submit(ROOT, "profile.save", parameters=again))
    assert isinstance(waiting, Pending)
    said = "\n".join(waiting.approval.preview.effects)
    assert "smartcard-logon" in said and "alternative names dns:{{device.dns_name}}" in said
    revision = installation.profile(PROFILE, validity="30d").revision
    with pytest.raises(ApprovalStale, match=f"profile {PROFILE} has revision {revision} now"):
        run(books.desk.approve(BOB, waiting.approval.id))
    assert installation.app.profiles.get(PROFILE).revision == revision


class Directory:
    """A directory whose plan can change between request and approval."""

    def __init__(self) -> None:
        self.fingerprint = "ab" * 32
        self.applied: list[tuple[str, str]] = []

    async def plan(self, directory: str, wanted: Sequence[Wanted]) -> Planned:
        root = RootDse(
            dns_host_name="dc1", default_nc="", configuration_nc="", root_domain_nc="", forest="contoso.com",
            server_name="", highest_usn=None, current_time=None,
        )  # fmt: skip
        change = AddValue(NTAUTH, "cACertificate", wanted[0].certificate)
        return Planned(root=root, plan=Plan(changes=(change,), left=(), reads=(), fingerprint=self.fingerprint))

    async def apply(self, directory: str, wanted: Sequence[Wanted], *, agreed: str, actor: str) -> Mapping[str, Any]:
        self.applied.append((directory, actor))
        return {"changes": 1}


def test_publishing_to_ntauth_shows_who_could_become_anybody_and_waits(installation: Installation) -> None:
    books, run, directory = Administration(installation.app), installation.run, Directory()
    act = PublishToDirectory(directory, books.guard.of_certificate)
    desk = Desk(
        [act],
        approvals=books.approvals,
        four_eyes=books.access,
        clock=installation.clock,
        about=lambda *_: (),
        standing=lambda *_: ROOT,
    )
    certificate = installation.app.authorities.get(ISSUING_CA).certificate
    wanted = [Wanted(target=Target.NTAUTH_CA, certificate=certificate)]
    given = publication_parameters("contoso", wanted, fingerprint=directory.fingerprint)
    shown = run(desk.submit(ROOT, "directory.publish", parameters=given, dry_run=True))
    assert isinstance(shown, Previewed) and shown.preview.tier0 and not shown.second_person
    assert any(text.startswith("root can read the keys of issuing") for text in shown.preview.effects)
    in_ntauth(installation)
    waiting = run(desk.submit(ROOT, "directory.publish", parameters=given))
    assert isinstance(waiting, Pending) and directory.applied == []
    directory.fingerprint = "cd" * 32
    with pytest.raises(PlanStale):
        run(desk.approve(BOB, waiting.approval.id))
    directory.fingerprint = "ab" * 32
    installation.profile("smuggled-in", san=["dns:{{device.name}}.contoso.com"])
    with pytest.raises(ApprovalStale, match="could become anybody now"):
        run(desk.approve(BOB, waiting.approval.id))
    with pytest.raises(ApprovalStale):
        run(act.perform(waiting.approval.parameters, actor="test"))
    assert directory.applied == []
    waiting = run(desk.submit(ROOT, "directory.publish", parameters=given))
    assert isinstance(waiting, Pending)
    run(desk.approve(BOB, waiting.approval.id))
    assert directory.applied == [("contoso", "cli:root approved-by token:bob")]
    elsewhere = publication_parameters("contoso", [Wanted(target=Target.ROOT_CA, certificate=b"")], fingerprint="")
    preview = run(act.preview(elsewhere))
    assert not preview.tier0


@pytest.mark.parametrize(
    "items",
    [None, [], "x", [1], [{}], [{"target": "NTAuthCA", "certificate": "!"}], [{"target": "x", "certificate": ""}],
     [{"target": "EnrollmentServices", "certificate": ""}], [{"target": "NTAuthCA", "certificate": "", "more": 1}]],
)  # fmt: skip
def test_parameters_of_a_publication_that_are_wrong_are_refused(installation: Installation, items: Any) -> None:
    act = PublishToDirectory(Directory(), lambda certificate: ())
    with pytest.raises(InvalidValue):
        installation.run(act.preview({"directory": "contoso", "items": items}))


def test_an_enrollment_service_is_not_published_by_an_act() -> None:
    service = EnrollmentService(dns_host_name="pki.contoso.com", confirmed=True)
    wanted = [Wanted(target=Target.ENROLLMENT_SERVICES, certificate=b"", service=service)]
    with pytest.raises(InvalidValue):
        publication_parameters("contoso", wanted, fingerprint="")


def test_a_certificate_of_others_is_said_to_be_that(installation: Installation) -> None:
    said = Administration(installation.app).guard.of_certificate(base64.b64decode("MAA="))
    assert said == ("it is a CA of others: who decides about names there is not known here",)
