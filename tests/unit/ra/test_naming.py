# SPDX-License-Identifier: Apache-2.0
"""Names from the directory: the account replaces what is stored, and whatever is wrong with it is refused."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import MappingProxyType

import pytest

from privyseal.directory.accounts import Account, AccountKind
from privyseal.errors import AccountLacksAttribute, AccountNotFound, EntityNotBound
from privyseal.model.directory import DirectoryBinding
from privyseal.model.entity import EndEntity, EntityKind
from privyseal.model.profile import CertificateProfile
from privyseal.model.profile_text import profile_from_data
from privyseal.ra.naming import named_by_directory
from privyseal.x509.sid import Sid

SID = Sid.parse("S-1-5-21-1-2-3-1104")
ADA = Account(
    kind=AccountKind.USER,
    sid=SID,
    principal_name="ada@contoso.com",
    dns_name="",
    mail="",
    distinguished_name="CN=Ada,CN=Users,DC=contoso,DC=com",
    enabled=True,
    sam_account_name="ada",
    groups=(),
    service_principal_names=(),
)


class OneAccount:
    """A directory that always answers with the same account."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.asked: list[DirectoryBinding] = []

    async def find(self, binding: DirectoryBinding) -> Account:
        """The account."""
        self.asked.append(binding)
        return self.account


def user(binding: DirectoryBinding | None, **attributes: str) -> EndEntity:
    return EndEntity(1, EntityKind.USER, "ada", MappingProxyType({"name": "ada"} | attributes), True, binding)


def profile(names_from: str = "directory", san: str = "upn:{{user.principal_name}}") -> CertificateProfile:
    fields = {"name": "logon", "issuer": "issuing", "for": "user", "subject": "CN={{user.name}}", "san": [san]}
    return profile_from_data({**fields, "names_from": names_from, "sid_extension": True})


def named(profile: CertificateProfile, entity: EndEntity, account: Account = ADA) -> EndEntity:
    return asyncio.run(named_by_directory(profile, entity, OneAccount(account)))


BOUND = DirectoryBinding("contoso", SID)


def test_the_account_replaces_what_is_stored_and_the_rest_stays() -> None:
    stored = user(BOUND, principal_name="old@contoso.com", sid="S-1-5-21-9-9-9-9", department="Engines")
    entity = named(profile(), stored)
    assert entity.value("user.principal_name") == "ada@contoso.com"
    assert entity.value("user.sid") == SID.text
    assert entity.value("user.distinguished_name") == ADA.distinguished_name
    assert entity.value("user.department") == "Engines"


def test_what_the_account_does_not_have_is_not_taken_from_the_store() -> None:
    assert "mail" not in named(profile(), user(BOUND, mail="old@contoso.com")).attributes


def test_a_profile_with_names_from_the_entity_asks_nobody() -> None:
    directory, entity = OneAccount(ADA), user(BOUND)
    assert asyncio.run(named_by_directory(profile("entity"), entity, directory)) is entity
    assert not directory.asked


def test_without_a_binding_it_is_refused_with_the_command_that_binds() -> None:
    with pytest.raises(EntityNotBound) as refusal:
        named(profile(), user(None))
    assert "privyseal user set ada --directory" in refusal.value.mend[0]


def test_an_attribute_that_the_profile_needs_and_the_account_lacks_is_named() -> None:
    with pytest.raises(AccountLacksAttribute, match=r"user\.mail.*no mail"):
        named(profile(san="email:{{user.mail}}"), user(BOUND, mail="old@contoso.com"))


def test_an_answer_about_another_account_or_kind_is_refused() -> None:
    for wrong in (replace(ADA, sid=Sid.parse("S-1-5-21-1-2-3-1105")), replace(ADA, kind=AccountKind.COMPUTER)):
        with pytest.raises(AccountNotFound):
            named(profile(), user(BOUND), wrong)
