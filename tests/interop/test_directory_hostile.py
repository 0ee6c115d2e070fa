# SPDX-License-Identifier: Apache-2.0
"""Hostile values written into a real directory, wherever it takes them: escaped or refused, never a wrong name."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from privyseal.adapters.ldap import connect
from privyseal.adapters.ldap_binds import SimpleBind
from privyseal.errors import AccountLacksAttribute, AccountNotFound, InvalidValue
from privyseal.repository.accounts import look_up_account
from tests.command_line import CommandLine
from tests.interop.directory_bed import as_administrator, computer, installation
from tests.outside.krb5 import kinit
from tests.outside.samba import ADMIN, BASE, DNS_DOMAIN, PASSWORD, DomainController, account_ldif, domain_controller
from tests.outside.tools import require_python_ldap, require_tool, run

HOSTILE = {
    "plus": "a+b",
    "comma": "a,CN=Administrator",
    "semicolon": "a;b",
    "equals": "a=b",
    "quote": 'a"b',
    "backslash": "a\\b",
    "less": "a<b",
    "greater": "a>b",
    "hash": "#a",
    "nul": "a\0b",
    "leading-space": " a",
    "trailing-space": "a ",
    "filter": "a)(objectClass=*",
    "line-feed": "a\nb",
    "right-to-left": "a\u202eb",
    "long": "a" * 65536,
}
TOO_LONG = ("long",)  # all else Samba takes, so it must be met in certificates
SUBJECT = "CN={{user.principal_name}},OU={{user.mail}},O=Example"


@pytest.fixture(scope="module")
def controller() -> Iterator[DomainController]:
    """One controller for the module; each test has an account of its own."""
    require_python_ldap()
    with domain_controller() as running, mock.patch.dict(os.environ, running.environment):
        yield running


@pytest.fixture(scope="module")
def privyseal(tmp_path_factory: pytest.TempPathFactory, controller: DomainController) -> CommandLine:
    """An installation whose profile puts every name of an account into subject and SAN."""
    command = installation(tmp_path_factory.mktemp("hostile"), controller)
    sans = ("--san", "upn:{{user.principal_name}}", "--san", "email:{{user.mail}}")
    command.works(
        *("profile", "create", "names", "--for", "user", "--names-from", "directory", "--sid-extension"),
        *("--subject", SUBJECT, *sans),
    )
    return command


def written(controller: DomainController, dn: str, field: str, *, value: str) -> bool:
    """The controller took the value from a tool that is not ours."""
    encoded = base64.b64encode(value.encode()).decode()
    ldif = f"dn: {dn}\nchangetype: modify\nreplace: {field}\n{field}:: {encoded}\n"
    login = ["-x", "-D", ADMIN, "-w", PASSWORD, "-H", controller.ldaps]
    environment = {**controller.environment, "LDAPTLS_CACERT": str(controller.ca_file)}
    return run([require_tool("ldapmodify"), *login], given=ldif.encode(), environment=environment).code == 0


@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.parametrize("field", ["userPrincipalName", "mail"])
def test_a_value_is_in_the_certificate_as_it_is_in_the_directory_or_there_is_none(
    privyseal: CommandLine, controller: DomainController, tmp_path: Path, field: str, case: str
) -> None:
    name = f"h-{field[0]}-{case}"
    dn = controller.add_user(name, extra=[f"mail: {name}@{DNS_DOMAIN}"])
    privyseal.works("user", "create", name, "--principal", name)
    value = f"{HOSTILE[case]}@{DNS_DOMAIN}"
    taken = written(controller, dn, field, value=value)
    answer = privyseal("certificate", "issue", "--profile", "names", "--user", name, "--out", str(tmp_path / "1"))
    assert taken == (case not in TOO_LONG)
    expected = value if taken else f"{name}@{DNS_DOMAIN}"
    if answer.code != 0:
        assert taken, f"a good name was refused:\n{answer.err}"
        assert "error[7020]" in answer.err or "error[6009]" in answer.err, answer.err
        assert not list((tmp_path / "1").glob("*.pem"))
        return
    found = x509.load_pem_x509_certificates((tmp_path / "1" / f"{name}.pem").read_bytes())[0]
    attribute = NameOID.COMMON_NAME if field == "userPrincipalName" else NameOID.ORGANIZATIONAL_UNIT_NAME
    assert [one.value for one in found.subject.get_attributes_for_oid(attribute)] == [expected]
    assert len(found.subject.rdns) == 3 and len(list(found.subject)) == 3, "no part of a value became a part of a name"
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert len(list(names)) == 2
    if field == "mail":
        assert names.get_values_for_type(x509.RFC822Name) == [expected]
    else:
        (upn,) = names.get_values_for_type(x509.OtherName)
        assert upn.value.endswith(expected.encode())
        assert len(upn.value) - len(expected.encode()) in (2, 3, 4), "tag and length, and nothing else"


@pytest.mark.parametrize("case", HOSTILE)
def test_a_dns_name_that_names_no_host_is_refused(controller: DomainController, case: str) -> None:
    dn = computer(controller, f"d-{case}"[:15], f"dNSHostName: d-{case}.{DNS_DOMAIN}")
    taken = written(controller, dn, "dNSHostName", value=HOSTILE[case])
    with connect(controller.ldaps, SimpleBind(ADMIN, controller.password_file, controller.ca_file)) as port:
        assert taken == (case not in TOO_LONG)
        if not taken:
            assert look_up_account(port, dn).dns_name == f"d-{case}.{DNS_DOMAIN}".lower()
            return
        with pytest.raises(AccountLacksAttribute):
            look_up_account(port, dn)


@pytest.mark.parametrize("case", [case for case in HOSTILE if case not in ("long", "nul", "line-feed")])
def test_a_hostile_name_of_an_object_stays_one_name(controller: DomainController, case: str) -> None:
    """The DN of the account itself, which the directory escapes its way and we read."""
    sam = f"n-{case}"[:18]
    common = HOSTILE[case].replace("a", f"a-{sam}-", 1)  # the directory does not tell names by their spaces
    escaped = "".join(f"\\{byte:02X}" for byte in common.encode())
    dn = f"CN={escaped},CN=Users,{BASE}"
    lines = [*account_ldif("", sam), ""]
    lines[0] = f"dn:: {base64.b64encode(dn.encode()).decode()}"
    database = controller.directory / "private" / "sam.ldb"
    run([require_tool("ldbadd"), "-H", database], given="\n".join(lines).encode()).must_work()
    with connect(controller.ldaps, SimpleBind(ADMIN, controller.password_file, controller.ca_file)) as port:
        try:
            account = look_up_account(port, sam)
        except AccountLacksAttribute:
            return
        assert account.sam_account_name == sam
        again = look_up_account(port, account.sid.text)
        assert again == account


def test_what_somebody_types_never_becomes_a_part_of_a_filter(controller: DomainController) -> None:
    controller.add_user("typed")
    with connect(controller.ldaps, SimpleBind(ADMIN, controller.password_file, controller.ca_file)) as port:
        for asked in ("*", "typ*", "typed)(objectClass=*", "x)(|(cn=*", "typed\\2a", "ADTEST\\*", "*@*", "CN=*,DC=x"):
            with pytest.raises((AccountNotFound, InvalidValue)):
                look_up_account(port, asked)


def test_ones_own_tickets_publish_and_verify_beside_the_stored_account(
    controller: DomainController, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    privyseal = installation(tmp_path, controller)
    controller.add_user("svc-plain")
    plain = controller.keytab("svc-plain")
    words = ("directory", "publish", "--ca", "issuing", "SubCA", "--yes")
    privyseal.works("directory", "add", "samba", "--replace", "--uri", controller.ldap, "--keytab", str(plain))
    answer = privyseal(*words)
    assert "error[7008]" in answer.err, answer.err
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path / 'none'}")
    assert "error[7007]" in privyseal(*words, "--ccache").err
    cache = tmp_path / "cache"
    keytab = controller.keytab("Administrator")
    kinit("Administrator", cache=cache, keytab=keytab, environment=controller.environment).must_work()
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{cache}")
    assert len(privyseal.json(*words, "--ccache")["changes"]) == 1
    assert privyseal.works("directory", "verify", "--ccache", "SubCA", "--ca", "issuing").code == 0
    privyseal.works("directory", "add", "samba", "--replace", *as_administrator(controller))
    assert privyseal.works("directory", "verify", "--ccache").code == 0, "also where a password over TLS is stored"
    privyseal.works("directory", "remove", "--ca", "issuing", "SubCA", "--ccache", "--yes")
