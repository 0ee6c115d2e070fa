# SPDX-License-Identifier: Apache-2.0
"""Sentences, scripts, delegation and undo files: exact text, and nothing in a name becomes a command."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from datetime import UTC, datetime

import pytest

from privyseal.directory.changes import AddEntry, AddValue, Change, DeleteEntry, RemoveValue, ReplaceValue
from privyseal.directory.containers import PLACEHOLDER, Target
from privyseal.directory.delegate import DelegationFormat, aces, write_delegation
from privyseal.directory.describe import after_writing, before_writing, certificate_label, describe
from privyseal.directory.desired import desired_values
from privyseal.directory.script import (
    Publication,
    certutil_script,
    cmd_quoted,
    ldif_script,
    powershell_script,
    removal_of,
    shell_quoted,
)
from privyseal.directory.undo_file import UndoFile, read_undo_file, write_undo_file
from privyseal.errors import InvalidValue
from privyseal.x509.sid import Sid
from tests.unit.directory.certificates import AIA, CONFIGURATION, ISSUING, NOW, NTAUTH, ROOT, certificate

SID = Sid("S-1-5-21-1-2-3-1110")
MADE = AddEntry(
    f"CN=Contoso Issuing,{AIA}",
    desired_values(ISSUING, Target.SUB_CA, configuration_nc=CONFIGURATION, now=NOW)[0].fresh,
)
CHANGES: tuple[Change, ...] = (
    MADE,
    AddValue(NTAUTH, "cACertificate", ISSUING, PLACEHOLDER),
    RemoveValue(NTAUTH, "cACertificate", ISSUING, PLACEHOLDER),
    ReplaceValue("CN=c", "deltaRevocationList", b"new", b"old"),
    DeleteEntry("CN=c", (("objectClass", (b"top",)), ("cACertificate", (ISSUING, PLACEHOLDER)))),
)


def test_each_change_is_one_sentence_with_the_exact_dn() -> None:
    label = certificate_label(ISSUING)
    assert label.startswith("Contoso Issuing (SHA-256 ")
    assert [describe(change) for change in CHANGES[:3]] == [
        f"create CN=Contoso Issuing,{AIA}, which holds {label}",
        f"add {label} to cACertificate of {NTAUTH} in place of the placeholder",
        f"remove {label} from cACertificate of {NTAUTH}, which keeps a placeholder",
    ]
    assert "set deltaRevocationList of CN=c to a CRL of 3 octets" in describe(CHANGES[3])
    assert describe(CHANGES[4]) == f"delete CN=c, which holds {label}"
    assert "5 octets that are no certificate" in certificate_label(b"hello")


def test_who_needs_ntauth_is_said_before_and_what_members_do_after() -> None:
    assert "Tier 0" in before_writing([Target.NTAUTH_CA])[0]
    assert before_writing([Target.ROOT_CA]) == ()
    assert "tries to enroll" in before_writing([Target.ENROLLMENT_SERVICES])[0]
    after = " ".join(after_writing([Target.ROOT_CA, Target.NTAUTH_CA]))
    assert all(f"certutil -enterprise -viewstore {store}" in after for store in ("Root", "CA", "NTAuth"))
    assert "8 hours" in after
    assert "gpupdate /force" in after


def test_certutil_lines_publish_show_and_remove() -> None:
    text = certutil_script(
        [Publication(Target.ROOT_CA, ROOT, "root.cer"), Publication(Target.NTAUTH_CA, ISSUING, "issuing.cer")],
        configuration_nc=CONFIGURATION,
    )
    lines = text.split("\r\n")
    assert 'certutil -f -dspublish "root.cer" RootCA' in lines
    assert 'certutil -f -dspublish "issuing.cer" NTAuthCA' in lines
    assert sum(line.startswith("rem certutil -delstore") for line in lines) == 3
    assert f'"ldap:///{NTAUTH}?cACertificate?base?objectClass=certificationAuthority"' in text
    with pytest.raises(InvalidValue, match="powershell"):
        certutil_script([Publication(Target.ENROLLMENT_SERVICES, ROOT, "x")], configuration_nc=CONFIGURATION)


EVIL = "a\r\ndel /q C:\\ & whoami %PATH% ^ | > '\u2019; rm -rf $(x) `y`"


def test_a_hostile_ca_name_stays_a_remark() -> None:
    evil = certificate(EVIL)
    text = certutil_script([Publication(Target.SUB_CA, evil, "a.cer")], configuration_nc=CONFIGURATION)
    for line in text.split("\r\n"):
        assert line == "" or line.split()[0] in {"@echo", "rem", "certutil", "if", "gpupdate"}
        assert "%" not in line
    desired = desired_values(evil, Target.SUB_CA, configuration_nc=CONFIGURATION, now=NOW)
    changes = [AddEntry(item.dn, item.fresh) for item in desired]
    assert not any(line.startswith(("del", "whoami")) for line in powershell_script(changes).splitlines())
    assert all(line[:1] in {"#", " ", ""} or ":" in line for line in ldif_script(changes).splitlines())


@pytest.mark.parametrize("text", ['a"b', "%PATH%", "a\nb", "ü"])
def test_what_a_command_file_cannot_carry_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        cmd_quoted(text)


def test_a_shell_argument_is_quoted() -> None:
    assert shell_quoted("it's $(x)") == "'it'\\''s $(x)'"
    with pytest.raises(InvalidValue):
        shell_quoted("a\nb")


def unfolded(text: str) -> list[str]:
    return text.replace("\n ", "").splitlines()


def test_ldif_holds_the_same_operations() -> None:
    text = ldif_script(CHANGES)
    assert max(len(line) for line in text.splitlines()) <= 76
    lines = unfolded(text)
    dns = [b64decode(line.removeprefix("dn:: ")).decode() for line in lines if line.startswith("dn:: ")]
    assert dns == [change.dn for change in CHANGES]
    kinds = [line.removeprefix("changetype: ") for line in lines if line.startswith("changetype: ")]
    assert kinds == ["add", "modify", "modify", "modify", "delete"]
    value = b64encode(ISSUING).decode()
    add = lines.index("add: cACertificate")
    assert lines[add + 1 : add + 6] == [
        f"cACertificate:: {value}", "-", "delete: cACertificate", "cACertificate:: AA==", "-"
    ]  # fmt: skip
    assert "replace: deltaRevocationList" in lines


def test_powershell_appends_before_it_removes() -> None:
    text = powershell_script(CHANGES)
    assert text.isascii()
    assert "\r\n" in text
    assert text.index("Add-Value $object 'cACertificate'") < text.index("Remove-Value $object 'cACertificate'")
    assert "$parent.Create('certificationAuthority', 'CN=Contoso Issuing')" in text
    assert "PutEx(3" in text
    assert "PutEx(2" not in text
    quoted = powershell_script([AddValue("CN=it's \u2019,DC=x", "cACertificate", ISSUING)])
    assert "Get-Object 'CN=it''s \u2019\u2019,DC=x'" in quoted
    assert quoted.startswith("\ufeff")


def test_the_removal_is_the_inverse_in_reverse_order() -> None:
    assert removal_of(CHANGES[:2]) == (
        RemoveValue(NTAUTH, "cACertificate", ISSUING, PLACEHOLDER),
        DeleteEntry(*_made()),
    )


def _made() -> tuple[str, tuple[tuple[str, tuple[bytes, ...]], ...]]:
    return MADE.dn, MADE.attributes


def test_the_rights_are_those_that_were_tried() -> None:
    found = aces([Target.SUB_CA, Target.NTAUTH_CA], SID, configuration_nc=CONFIGURATION)
    assert [(ace.dn, ace.sddl) for ace in found] == [
        (AIA, f"(OA;;CC;3fdfee50-47f4-11d1-a9c3-0000f80367c1;;{SID.text})"),
        (
            AIA,
            "(OA;CIIO;RPWP;bf967932-0de6-11d0-a285-00aa003049e2;3fdfee50-47f4-11d1-a9c3-0000f80367c1;" + SID.text + ")",
        ),
        (NTAUTH, f"(OA;;RPWP;bf967932-0de6-11d0-a285-00aa003049e2;;{SID.text})"),
    ]
    assert len(aces([Target.ROOT_CA], SID, configuration_nc=CONFIGURATION)) == 4
    with pytest.raises(InvalidValue, match="not delegated"):
        aces([Target.ENROLLMENT_SERVICES], SID, configuration_nc=CONFIGURATION)


def test_delegation_is_written_for_both_tools() -> None:
    wanted = [Target.SUB_CA, Target.NTAUTH_CA]
    samba = write_delegation(wanted, SID, configuration_nc=CONFIGURATION, form=DelegationFormat.SAMBA)
    assert samba.count("samba-tool dsacl set --objectdn='") == 3
    assert "Tier 0" in samba
    windows = write_delegation(wanted, SID, configuration_nc=CONFIGURATION, form=DelegationFormat.DSACLS)
    assert f'dsacls "{AIA}" /G "{SID.text}:CC;certificationAuthority"\r\n' in windows
    assert f'dsacls "{AIA}" /I:S /G "{SID.text}:RPWP;cACertificate;certificationAuthority"\r\n' in windows


def test_delegation_for_deliveries_is_one_attribute_of_users_and_of_computers() -> None:
    staff = "OU=Staff,DC=ad,DC=example,DC=test"
    texts = [
        write_delegation((), SID, configuration_nc=CONFIGURATION, form=form, accounts_below=[staff])
        for form in (DelegationFormat.SAMBA, DelegationFormat.DSACLS)
    ]
    right = "(OA;CIIO;RPWP;bf967a7f-0de6-11d0-a285-00aa003049e2;bf967aba-0de6-11d0-a285-00aa003049e2;"
    assert f"--objectdn='{staff}' --sddl='{right}{SID.text})'" in texts[0]
    assert texts[0].count("samba-tool dsacl set") == 2
    for name in ("user", "computer"):
        assert f'dsacls "{staff}" /I:S /G "{SID.text}:RPWP;userCertificate;{name}"\r\n' in texts[1]
    assert all("AdminSDHolder" in text for text in texts)


DONE = UndoFile(forest="ad.example.test", controller="dc1", at=datetime(2026, 11, 22, tzinfo=UTC), changes=CHANGES)


def test_an_undo_file_is_read_back_as_it_was_written() -> None:
    assert read_undo_file(write_undo_file(DONE)) == DONE


@pytest.mark.parametrize("kind", ["add-value", "remove-value", "replace-value"])
@pytest.mark.parametrize("attribute", ["member", "altSecurityIdentities", "userAccountControl"])
def test_an_undo_file_reaches_only_what_publications_write(kind: str, attribute: str) -> None:
    change = {"change": kind, "dn": DONE.changes[0].dn, "attribute": attribute, "value": "AAAA"}
    with pytest.raises(InvalidValue, match="nothing that a publication writes"):
        read_undo_file(broken(changes=[change]))
    entry = {"change": "add-entry", "dn": "CN=x", "attributes": [["objectClass", ["dG9w"]], [attribute, ["AAAA"]]]}
    with pytest.raises(InvalidValue, match="nothing that a publication writes"):
        read_undo_file(broken(changes=[entry]))


def broken(**changed: object) -> str:
    return json.dumps(json.loads(write_undo_file(DONE)) | changed)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[" * 100_000,
        "null",
        broken(format="2"),
        broken(at="yesterday"),
        broken(at="2026-11-22T00:00:00"),
        broken(forest=""),
        broken(controller=7),
        broken(changes={}),
        broken(changes=[None] * 1001),
        broken(changes=[{}]),
        broken(changes=[{"change": []}]),
        broken(changes=[{"change": "add-value", "dn": "CN=a", "attribute": "b", "value": "?"}]),
        broken(changes=[{"change": "add-value", "dn": "CN=a", "attribute": "b", "value": 1}]),
        broken(changes=[{"change": "add-value", "dn": "CN=a\n", "attribute": "b", "value": ""}]),
        broken(changes=[{"change": "add-entry", "dn": "CN=a", "attributes": "x"}]),
        broken(changes=[{"change": "add-entry", "dn": "CN=a", "attributes": [["x"]]}]),
        broken(changes=[{"change": "add-entry", "dn": "CN=a", "attributes": [["x", ["?"]]]}]),
    ],
)
def test_a_file_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        read_undo_file(text)
