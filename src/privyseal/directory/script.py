# SPDX-License-Identifier: Apache-2.0
"""A plan as text that an Enterprise Admin runs: certutil lines, PowerShell without modules, or LDIF.

A value from a certificate or directory is data in every one of them, never a part of a command.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from hashlib import sha1
from typing import Final

from privyseal.directory.changes import AddEntry, AddValue, Change, DeleteEntry, RemoveValue, ReplaceValue, undo
from privyseal.directory.containers import BASE_CRL, CA_CERTIFICATE, DELTA_CRL, PLACEHOLDER, Target, object_dns
from privyseal.directory.crl import crl_dns, point_name
from privyseal.directory.describe import certificate_label, describe
from privyseal.directory.desired import ca_name
from privyseal.directory.naming import sanitized_name, split_dn
from privyseal.errors import InvalidValue
from privyseal.x509.certificate import read_certificate

NEWLINE: Final = "\r\n"
_LDIF_WIDTH: Final = 76


class ScriptFormat(Enum):
    """What the script is written for."""

    CERTUTIL = "certutil"
    POWERSHELL = "powershell"
    LDIF = "ldif"


@dataclass(frozen=True, slots=True)
class Publication:
    """A certificate for a target, and the file in which certutil will find it."""

    target: Target
    certificate: bytes
    file: str


def cmd_quoted(text: str) -> str:
    """One argument for cmd.exe. Raises InvalidValue for what a command file cannot carry as it is."""
    # The code page of a command file is not known, so it is ASCII only.
    if not text.isascii() or not text.isprintable() or '"' in text or "%" in text:
        raise InvalidValue(f"{text[:200]!r} cannot be written in a command file; use `--format powershell` or `ldif`")
    return f'"{text}"'


def shell_quoted(text: str) -> str:
    """One argument for a POSIX shell. Raises InvalidValue for control characters."""
    if not text.isprintable():
        raise InvalidValue(f"{text[:200]!r} holds a control character")
    return "'" + text.replace("'", "'\\''") + "'"


def _powershell_quoted(text: str) -> str:
    if not text.isprintable():
        raise InvalidValue(f"{text[:200]!r} holds a control character")
    # PowerShell takes the typographic quotes U+2018 to U+201B for the plain one.
    return (
        "'"
        + "".join(character * 2 if character in "'\u2018\u2019\u201a\u201b" else character for character in text)
        + "'"
    )


def _remark(text: str) -> str:
    """``text`` on one line, in characters that every shell and code page reads alike."""
    return "".join(character if character.isascii() and character.isprintable() else "?" for character in text)


def certutil_script(publications: Sequence[Publication], *, configuration_nc: str) -> str:
    """``certutil -dspublish`` lines for cmd.exe, and as remarks the lines that remove and show the same."""
    lines = ["@echo off", "rem Publish CA certificates to Active Directory. Run as Enterprise Admin."]
    for item in publications:
        if item.target is Target.ENROLLMENT_SERVICES:
            raise InvalidValue("certutil does not publish to Enrollment Services; use `--format powershell` or `ldif`")
        lines.append(f"rem {_cmd_remark(certificate_label(item.certificate))} as {item.target.value}")
        lines.append(f"certutil -f -dspublish {cmd_quoted(item.file)} {item.target.value}")
        lines.append("if errorlevel 1 exit /b 1")
    lines.append("rem --- to see and to remove them again ---")
    for item in publications:
        thumbprint = sha1(item.certificate, usedforsecurity=False).hexdigest()
        name = ca_name(read_certificate(item.certificate))
        for dn in object_dns(item.target, name, configuration_nc=configuration_nc):
            url = f"ldap:///{dn}?cACertificate?base?objectClass=certificationAuthority"
            lines.append(f"rem certutil -viewstore {cmd_quoted(url)}")
            lines.append(f"rem certutil -delstore {cmd_quoted(url)} {thumbprint}")
    lines.append("gpupdate /force")
    return NEWLINE.join(lines) + NEWLINE


@dataclass(frozen=True, slots=True)
class CrlFiles:
    """The CRL files of one key of a CA, the base first."""

    ca_name: str
    key_index: int
    files: tuple[str, ...]


def certutil_crl_script(points: Sequence[CrlFiles], *, host: str, configuration_nc: str) -> str:
    """``certutil -dspublish`` lines for CRLs; certutil itself tells a delta from a base."""
    lines = ["@echo off", "rem Publish CRLs to Active Directory. Run as Enterprise Admin."]
    for point in points:
        place = f"{cmd_quoted(sanitized_name(host))} {cmd_quoted(point_name(point.ca_name, point.key_index))}"
        for file in point.files:
            lines.append(f"certutil -f -dspublish {cmd_quoted(file)} {place}")
            lines.append("if errorlevel 1 exit /b 1")
    lines.append("rem --- to see them again ---")
    for point in points:
        _, dn = crl_dns(point.ca_name, host, configuration_nc=configuration_nc, key_index=point.key_index)
        for attribute in (BASE_CRL, DELTA_CRL)[: len(point.files)]:
            url = f"ldap:///{dn}?{attribute}?base?objectClass=cRLDistributionPoint"
            lines.append(f"rem certutil -store {cmd_quoted(url)}")
    return NEWLINE.join(lines) + NEWLINE


def _cmd_remark(text: str) -> str:
    # Even in a remark cmd.exe expands variables, and a caret at the end takes the next line in.
    return "".join(character if character not in '%!^&|<>"' else "?" for character in _remark(text))


def ldif_script(changes: Sequence[Change]) -> str:
    """LDIF (RFC 2849) for ``ldifde -i -f`` or ldapmodify; all values in base64."""
    records = ["version: 1\n"]
    for change in changes:
        lines = [f"# {_remark(describe(change))}"[:_LDIF_WIDTH], _ldif("dn", change.dn.encode("utf-8"))]
        match change:
            case AddEntry(_, attributes):
                lines.append("changetype: add")
                lines += [_ldif(name, value) for name, values in attributes for value in values]
            case DeleteEntry():
                lines.append("changetype: delete")
            case AddValue(_, attribute, value, displaces):
                lines += _modify(attribute, [("add", value), ("delete", displaces)])
            case RemoveValue(_, attribute, value, leaves):
                lines += _modify(attribute, [("add", leaves), ("delete", value)])
            case ReplaceValue(_, attribute, value, _):
                lines += _modify(attribute, [("replace", value)])
        records.append("\n".join(lines) + "\n")
    return "\n".join(records)


def _modify(attribute: str, operations: Iterable[tuple[str, bytes | None]]) -> list[str]:
    lines = ["changetype: modify"]
    for operation, value in operations:
        if value is not None:
            lines += [f"{operation}: {attribute}", _ldif(attribute, value), "-"]
    return lines


def _ldif(name: str, value: bytes) -> str:
    text = f"{name}:: {b64encode(value).decode('ascii')}"
    head, rest = text[:_LDIF_WIDTH], text[_LDIF_WIDTH:]
    step = _LDIF_WIDTH - 1
    return "\n ".join([head, *(rest[at : at + step] for at in range(0, len(rest), step))])


_POWERSHELL_HEAD: Final = """\
# Run as Enterprise Admin. Needs no module: ADSI is part of Windows.
$ErrorActionPreference = 'Stop'
function Get-Object([string]$dn) { [ADSI]('LDAP://' + $dn.Replace('/', '\\/')) }
function Get-Bytes([string]$text) { ,[Convert]::FromBase64String($text) }
function Test-Value($object, [string]$name, [byte[]]$value) {
  $wanted = [Convert]::ToBase64String($value)
  foreach ($held in $object.Properties[$name]) {
    if ([Convert]::ToBase64String([byte[]]$held) -eq $wanted) { return $true }
  }
  return $false
}
# 3 = append, 4 = delete (ADS_PROPERTY_OPERATION_ENUM): one value, never the others.
function Add-Value($object, [string]$name, [byte[]]$value) {
  if (-not (Test-Value $object $name $value)) { $object.PutEx(3, $name, @(,$value)) }
}
function Remove-Value($object, [string]$name, [byte[]]$value) {
  if (Test-Value $object $name $value) { $object.PutEx(4, $name, @(,$value)) }
}
"""


def powershell_script(changes: Sequence[Change]) -> str:
    """The changes for Windows PowerShell 5.1, by ADSI."""
    blocks = [_POWERSHELL_HEAD]
    for change in changes:
        blocks.append(f"\n# {_remark(describe(change))}\n" + "\n".join(_powershell(change)) + "\n")
    text = "".join(blocks).replace("\n", NEWLINE)
    # Without this mark PowerShell 5.1 takes a file for the machine's code page.
    return text if text.isascii() else "\ufeff" + text


def _powershell(change: Change) -> list[str]:
    dn = _powershell_quoted(change.dn)
    match change:
        case AddEntry(_, attributes):
            return _powershell_add(change.dn, attributes)
        case DeleteEntry():
            return [f"$object = Get-Object {dn}", "$object.DeleteObject(0)"]
        case AddValue(_, attribute, value, displaces):
            return _powershell_modify(dn, attribute, [("Add", value), ("Remove", displaces)])
        case RemoveValue(_, attribute, value, leaves):
            return _powershell_modify(dn, attribute, [("Add", leaves), ("Remove", value)])
        case ReplaceValue(_, attribute, value, _):
            encoded = b64encode(value).decode("ascii")
            put = f"$object.Put({_powershell_quoted(attribute)}, (Get-Bytes '{encoded}'))"
            return [f"$object = Get-Object {dn}", put, "$object.SetInfo()"]


def _powershell_modify(dn: str, attribute: str, steps: Sequence[tuple[str, bytes | None]]) -> list[str]:
    name = _powershell_quoted(attribute)
    lines = [f"$object = Get-Object {dn}"]
    for verb, value in steps:
        if value is not None:
            # ADSI keeps one pending operation for each attribute, so each is sent before the next.
            encoded = b64encode(value).decode("ascii")
            lines += [
                f"{verb}-Value $object {name} (Get-Bytes '{encoded}')",
                "$object.SetInfo(); $object.RefreshCache()",
            ]
    return lines


def _powershell_add(dn: str, attributes: Sequence[tuple[str, tuple[bytes, ...]]]) -> list[str]:
    rdn, parent = split_dn(dn)
    held = dict(attributes)
    kind = held["objectClass"][-1].decode("ascii")
    lines = [
        f"$parent = Get-Object {_powershell_quoted(parent)}",
        f"$object = $parent.Create({_powershell_quoted(kind)}, {_powershell_quoted(rdn)})",
    ]
    for name, values in attributes:
        if name in ("objectClass", "cn"):
            continue
        for value in values:
            lines.append(f"$object.Put({_powershell_quoted(name)}, {_powershell_value(name, value)})")
    return [*lines, "$object.SetInfo()"]


def _powershell_value(name: str, value: bytes) -> str:
    if name.lower().endswith(("list", CA_CERTIFICATE.lower())) or value == PLACEHOLDER:
        return f"(Get-Bytes '{b64encode(value).decode('ascii')}')"
    return _powershell_quoted(value.decode("utf-8"))


def removal_of(changes: Sequence[Change]) -> tuple[Change, ...]:
    """The changes that take back these, in the order in which they must be made."""
    return tuple(undo(change) for change in reversed(changes))
