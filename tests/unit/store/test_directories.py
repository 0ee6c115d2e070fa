# SPDX-License-Identifier: Apache-2.0
"""Directories, receipts and bindings in the store, with the audit events that go with them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from privyseal.directory.changes import AddEntry, AddValue, Change, DeleteEntry, RemoveValue, ReplaceValue
from privyseal.directory.receipts import Receipt
from privyseal.directory.status import ExternalCa
from privyseal.errors import DirectoryInUse, NameTaken, NotFound
from privyseal.model.directory import BindKind, DirectoryBinding, DirectoryConfig
from privyseal.model.entity import EntityKind
from privyseal.x509.sid import Sid
from tests.installation import Installation, fixture_installation, fixture_installations

__all__ = ["fixture_installation", "fixture_installations"]

CONFIG = DirectoryConfig(
    name="contoso",
    uris=("ldaps://dc1.contoso.com",),
    bind=BindKind.PASSWORD,
    account="svc@contoso.com",
    secret_file="/etc/privyseal/svc.pass",
    ca_file="/etc/ssl/contoso.pem",
    hosts=("dc2.contoso.com",),
)
DN = "CN=NTAuthCertificates,CN=Public Key Services,CN=Services,CN=Configuration,DC=contoso,DC=com"
CHANGES: list[Change] = [
    AddEntry(DN, (("objectClass", (b"top", b"certificationAuthority")), ("cACertificate", (b"\x30\x00",)))),
    AddValue(DN, "cACertificate", b"\x30\x01", b"\x00"),
    RemoveValue(DN, "cACertificate", b"\x30\x01", None),
    ReplaceValue(DN, "certificateRevocationList", b"\x30\x02", b"\x00"),
    DeleteEntry(DN, (("cACertificate", (b"\x30\x00",)),)),
]


def receipt(change: Change, forest: str = "contoso.com") -> Receipt:
    now = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)
    return Receipt(forest=forest, controller="dc1.contoso.com", change=change, result="done", usn=4711, at=now)


def test_a_directory_comes_back_as_it_was_and_can_be_replaced(installation: Installation) -> None:
    book = installation.app.directories
    installation.run(book.add(CONFIG, replace_existing=False, actor="test"))
    assert book.get("contoso") == CONFIG
    with pytest.raises(NameTaken):
        installation.run(book.add(CONFIG, replace_existing=False, actor="test"))
    installation.run(book.add(CONFIG, replace_existing=True, actor="test"))
    assert book.all() == (CONFIG,)
    assert installation.events()[-2:] == ["directory.added", "directory.added"]


def test_a_directory_is_forgotten_unless_somebody_is_bound_to_it(installation: Installation) -> None:
    app = installation.app
    with pytest.raises(NotFound):
        installation.run(app.directories.remove("contoso", actor="test"))
    installation.run(app.directories.add(CONFIG, replace_existing=False, actor="test"))
    binding = DirectoryBinding("contoso", Sid.parse("S-1-5-21-1-2-3-1104"))
    installation.run(app.entities.create(EntityKind.USER, {"name": "ada"}, actor="test", binding=binding))
    with pytest.raises(DirectoryInUse, match="ada"):
        installation.run(app.directories.remove("contoso", actor="test"))


def test_every_kind_of_change_comes_back_from_its_receipt_in_order(installation: Installation) -> None:
    book = installation.app.receipts
    for change in CHANGES:
        installation.run(book.add(receipt(change), actor="test"))
    installation.run(book.add(receipt(CHANGES[0], "fabrikam.com"), actor="test"))
    assert book.receipts("contoso.com") == tuple(receipt(change) for change in CHANGES)
    assert installation.events()[-6:] == ["directory.changed"] * 6


def test_an_account_is_bound_once_and_the_binding_survives_other_changes(installation: Installation) -> None:
    book = installation.app.entities
    binding = DirectoryBinding("contoso", Sid.parse("S-1-5-21-1-2-3-1104"))
    ada = installation.run(book.create(EntityKind.USER, {"name": "ada"}, actor="test", binding=binding))
    assert book.named(EntityKind.USER, "ada").binding == binding
    with pytest.raises(NameTaken, match="already bound to user 'ada'"):
        installation.run(book.create(EntityKind.USER, {"name": "eve"}, actor="test", binding=binding))
    installation.run(book.change(ada, {"mail": "ada@contoso.com"}, enabled=None, actor="test", binding=binding))
    installation.run(book.change(ada, {}, enabled=False, actor="test"))
    assert book.named(EntityKind.USER, "ada").binding == binding
    eve = installation.run(book.create(EntityKind.USER, {"name": "eve"}, actor="test"))
    with pytest.raises(NameTaken):
        installation.run(book.change(eve, {}, enabled=None, actor="test", binding=binding))


def test_cas_of_others_are_remembered_once(installation: Installation) -> None:
    book, end = installation.app.directories, datetime(2027, 1, 1, tzinfo=UTC)
    found = (ExternalCa("Old CA", b"\x30\x01", end, (DN,)), ExternalCa("Older CA", b"\x30\x02", end - timedelta(1), ()))
    assert installation.run(book.import_externals(found, directory="contoso", actor="test")) == 2
    assert installation.run(book.import_externals(found, directory="contoso", actor="test")) == 0
    assert [item.name for item in book.externals()] == ["Older CA", "Old CA"]
