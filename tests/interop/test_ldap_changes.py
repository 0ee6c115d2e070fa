# SPDX-License-Identifier: Apache-2.0
"""Changes on a real domain controller, read back by ldbsearch: once, twice, undone, refused, and cut off half way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from privyseal.adapters.ldap import LdapDirectory, connect
from privyseal.adapters.ldap_binds import KerberosKeytab, SimpleBind
from privyseal.adapters.ldap_line import Limits
from privyseal.directory.changes import (
    ALREADY,
    DONE,
    AddEntry,
    AddValue,
    Change,
    DeleteEntry,
    RemoveValue,
    ReplaceValue,
    undo,
)
from privyseal.errors import (
    ContainerMissing,
    DirectoryRefused,
    DirectoryTimeout,
    DirectoryUnreachable,
    InsufficientAccess,
    PlanStale,
    SchemaViolation,
)
from tests.outside.samba import ADMIN, BASE, CONFIGURATION, PKS, DomainController

NTAUTH = f"CN=NTAuthCertificates,{PKS}"
ROOT = f"CN=Throwaway Root,CN=Certification Authorities,{PKS}"
AIA = f"CN=Throwaway Issuing,CN=AIA,{PKS}"
NOTHING = b"\0"  # the placeholder for an attribute that the class demands
FIRST, SECOND = b"\x30\x03\x02\x01\x01", b"\x30\x03\x02\x01\x02"  # to the directory any octets are a certificate
ATTRIBUTE = "cACertificate"
CREATE_AUTHORITY = "(OA;;CC;3fdfee50-47f4-11d1-a9c3-0000f80367c1;;{sid})"
WRITE_AUTHORITY = "(OA;CIIO;RPWP;bf967932-0de6-11d0-a285-00aa003049e2;3fdfee50-47f4-11d1-a9c3-0000f80367c1;{sid})"
WRITE_NTAUTH = "(OA;;RPWP;bf967932-0de6-11d0-a285-00aa003049e2;;{sid})"


def authority(dn: str, value: bytes = FIRST) -> AddEntry:
    """A certificationAuthority object, as certutil makes it."""
    return AddEntry(
        dn,
        (
            ("objectClass", (b"top", b"certificationAuthority")),
            (ATTRIBUTE, (value,)),
            ("authorityRevocationList", (NOTHING,)),
            ("certificateRevocationList", (NOTHING,)),
        ),
    )


@pytest.fixture
def admin(controller: DomainController) -> Iterator[LdapDirectory]:
    """Bound as the domain's administrator."""
    with connect(controller.ldaps, SimpleBind(ADMIN, controller.password_file, controller.ca_file)) as directory:
        yield directory


@pytest.mark.parametrize("dn", [NTAUTH, ROOT, AIA])
def test_an_object_is_made_once_filled_and_taken_back(
    controller: DomainController, admin: LdapDirectory, dn: str
) -> None:
    assert admin.read(dn, [ATTRIBUTE]) is None
    steps: list[Change] = [authority(dn), AddValue(dn, ATTRIBUTE, SECOND)]
    for step in steps:
        assert [admin.apply(step), admin.apply(step)] == [DONE, ALREADY]
    assert set(controller.values(dn, ATTRIBUTE)) == {FIRST, SECOND}
    entry = admin.read(dn, [ATTRIBUTE])
    assert entry and set(entry.attributes["cacertificate"]) == {FIRST, SECOND}
    for step in reversed(steps):
        assert [admin.apply(undo(step)), admin.apply(undo(step))] == [DONE, ALREADY]
    assert admin.read(dn, [ATTRIBUTE]) is None


def test_the_last_value_leaves_a_placeholder_and_the_next_one_takes_its_place(
    controller: DomainController, admin: LdapDirectory
) -> None:
    admin.apply(authority(NTAUTH))
    removal = RemoveValue(NTAUTH, ATTRIBUTE, FIRST, NOTHING)
    with pytest.raises(SchemaViolation):
        admin.apply(replace(removal, leaves=None))
    assert [admin.apply(removal), admin.apply(removal)] == [DONE, ALREADY]
    assert controller.values(NTAUTH, ATTRIBUTE) == [NOTHING]
    assert admin.apply(undo(removal)) == DONE
    assert controller.values(NTAUTH, ATTRIBUTE) == [FIRST]
    admin.apply(AddValue(NTAUTH, ATTRIBUTE, SECOND))
    assert admin.apply(removal) == DONE
    assert controller.values(NTAUTH, ATTRIBUTE) == [SECOND], "no placeholder while another value is there"


def test_a_crl_is_exchanged_and_a_newer_one_is_never_overwritten(
    controller: DomainController, admin: LdapDirectory
) -> None:
    box = f"CN=pki,CN=CDP,{PKS}"
    point = f"CN=Throwaway Issuing,{box}"
    admin.apply(AddEntry(box, (("objectClass", (b"top", b"container")),)))
    admin.apply(AddEntry(point, (("objectClass", (b"top", b"cRLDistributionPoint")),)))
    attribute = "certificateRevocationList"
    for previous, value in ((None, FIRST), (FIRST, SECOND)):
        change = ReplaceValue(point, attribute, value, previous)
        assert [admin.apply(change), admin.apply(change)] == [DONE, ALREADY]
        assert controller.values(point, attribute) == [value]
    with pytest.raises(PlanStale):
        admin.apply(ReplaceValue(point, attribute, b"\x30\x03\x02\x01\x03", FIRST))
    assert admin.apply(undo(ReplaceValue(point, attribute, SECOND, FIRST))) == DONE
    assert controller.values(point, attribute) == [FIRST]


def test_a_placeholder_is_exchanged_for_the_first_crl(controller: DomainController, admin: LdapDirectory) -> None:
    admin.apply(authority(ROOT))
    assert admin.apply(ReplaceValue(ROOT, "certificateRevocationList", SECOND)) == DONE
    assert controller.values(ROOT, "certificateRevocationList") == [SECOND]


def test_what_others_did_meanwhile_is_neither_overwritten_nor_deleted(
    controller: DomainController, admin: LdapDirectory
) -> None:
    admin.apply(authority(ROOT))
    admin.apply(AddValue(ROOT, ATTRIBUTE, SECOND))
    with pytest.raises(PlanStale):
        admin.apply(undo(authority(ROOT)))
    with pytest.raises(PlanStale):
        admin.apply(authority(ROOT, value=b"\x30\x03\x02\x01\x03"))
    admin.apply(AddEntry(f"CN=below,CN=CDP,{PKS}", (("objectClass", (b"top", b"container")),)))
    admin.apply(AddEntry(f"CN=child,CN=below,CN=CDP,{PKS}", (("objectClass", (b"top", b"container")),)))
    with pytest.raises(PlanStale):
        admin.apply(DeleteEntry(f"CN=below,CN=CDP,{PKS}", ()))
    assert set(controller.values(ROOT, ATTRIBUTE)) == {FIRST, SECOND}


def test_a_missing_object_or_container_is_said(admin: LdapDirectory) -> None:
    for change in (AddValue(NTAUTH, ATTRIBUTE, FIRST), ReplaceValue(ROOT, ATTRIBUTE, FIRST)):
        with pytest.raises(ContainerMissing):
            admin.apply(change)
    with pytest.raises(ContainerMissing):
        admin.apply(authority(f"CN=x,CN=Not There,{PKS}"))
    with pytest.raises(ContainerMissing):
        admin.rights(NTAUTH)
    with pytest.raises(ContainerMissing):
        list(admin.search(f"CN=Not There,{PKS}", "(objectClass=*)", attributes=()))


def test_what_the_schema_does_not_allow_is_refused(admin: LdapDirectory) -> None:
    incomplete = AddEntry(ROOT, (("objectClass", (b"top", b"certificationAuthority")), (ATTRIBUTE, (FIRST,))))
    with pytest.raises(SchemaViolation, match="objectclass"):
        admin.apply(incomplete)
    with pytest.raises(SchemaViolation):
        admin.apply(AddValue(f"CN=AIA,{PKS}", "noSuchAttribute", FIRST))


def test_a_name_or_filter_that_is_none_is_refused(admin: LdapDirectory) -> None:
    for dn in ("no distinguished name", "CN=nul\0byte", "CN=half \ud800"):
        with pytest.raises(DirectoryRefused):
            admin.read(dn, ["cn"])
    with pytest.raises(DirectoryRefused):
        list(admin.search(BASE, "(no filter", attributes=("cn",)))


def test_a_plain_user_reads_everything_and_writes_nothing(controller: DomainController, admin: LdapDirectory) -> None:
    admin.apply(authority(NTAUTH))
    controller.add_user("plain")
    with connect(controller.ldap, KerberosKeytab(controller.keytab("plain"))) as plain:
        assert plain.read(NTAUTH, [ATTRIBUTE])
        assert plain.rights(NTAUTH) == (frozenset(), frozenset())
        assert plain.apply(authority(NTAUTH)) == ALREADY, "nothing to write is nothing to refuse"
        changes: list[Change] = [authority(ROOT), AddValue(NTAUTH, ATTRIBUTE, SECOND)]
        changes += [RemoveValue(NTAUTH, ATTRIBUTE, FIRST, NOTHING), undo(authority(NTAUTH))]
        for change in changes:
            with pytest.raises(InsufficientAccess, match="plain@"):
                plain.apply(change)
    assert controller.values(NTAUTH, ATTRIBUTE) == [FIRST]


def test_delegated_rights_are_enough_to_publish_and_for_nothing_else(
    controller: DomainController, admin: LdapDirectory
) -> None:
    admin.apply(authority(NTAUTH))
    sid = controller.sid(controller.add_user("publisher"))
    stores = (f"CN=AIA,{PKS}", f"CN=Certification Authorities,{PKS}")
    for dn in stores:
        controller.allow(dn, (CREATE_AUTHORITY + WRITE_AUTHORITY).format(sid=sid))
    controller.allow(NTAUTH, WRITE_NTAUTH.format(sid=sid))
    with connect(controller.ldap, KerberosKeytab(controller.keytab("publisher"))) as publisher:
        assert publisher.rights(NTAUTH)[0] == frozenset({"cacertificate"})
        for dn in stores:
            assert publisher.rights(dn) == (frozenset(), frozenset({"certificationauthority"}))
        for dn in (ROOT, AIA):
            assert publisher.apply(authority(dn)) == DONE
            assert publisher.apply(AddValue(dn, ATTRIBUTE, SECOND)) == DONE
            assert publisher.apply(authority(dn)) == ALREADY
        assert publisher.apply(AddValue(NTAUTH, ATTRIBUTE, SECOND)) == DONE
        assert publisher.apply(RemoveValue(NTAUTH, ATTRIBUTE, SECOND, NOTHING)) == DONE
        forbidden: list[Change] = [
            undo(authority(NTAUTH)),
            AddValue(NTAUTH, "description", b"mine"),
            AddEntry(f"CN=pki,CN=CDP,{PKS}", (("objectClass", (b"top", b"container")),)),
            AddEntry(f"CN=x,CN=AIA,{PKS}", (("objectClass", (b"top", b"container")),)),
            AddValue(f"CN=Administrator,CN=Users,{BASE}", "altSecurityIdentities", b"X509:<I>x<S>y"),
        ]
        for change in forbidden:
            with pytest.raises(InsufficientAccess):
                publisher.apply(change)


def test_a_connection_that_breaks_between_two_changes_loses_neither(
    controller: DomainController, admin: LdapDirectory
) -> None:
    assert admin.apply(authority(ROOT)) == DONE
    controller.stop()
    with pytest.raises(DirectoryUnreachable, match="the connection broke"):
        admin.apply(authority(AIA))
    with pytest.raises(DirectoryUnreachable):
        admin.read(CONFIGURATION, ["cn"])
    controller.start()
    with connect(controller.ldaps, SimpleBind(ADMIN, controller.password_file, controller.ca_file)) as again:
        assert [again.apply(authority(dn)) for dn in (ROOT, AIA)] == [ALREADY, DONE]


def test_a_controller_that_stops_answering_is_left_and_can_be_asked_again(
    controller: DomainController,
) -> None:
    limits = Limits(connect_seconds=1, operation_seconds=0.5)
    bind = SimpleBind(ADMIN, controller.password_file, controller.ca_file)
    directory = connect(controller.ldaps, bind, limits=limits)
    with controller.frozen():
        with pytest.raises(DirectoryTimeout, match=r"within 0\.5 s"):
            directory.apply(authority(ROOT))
        directory.close()
    with connect(controller.ldaps, bind) as again:
        assert again.apply(authority(ROOT)) in (DONE, ALREADY)
