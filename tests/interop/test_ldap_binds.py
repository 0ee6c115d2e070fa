# SPDX-License-Identifier: Apache-2.0
"""Log-ins at a real domain controller: those that work, and every way in which one fails, with its own code."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from privyseal.adapters import ldap as adapter
from privyseal.adapters.ldap import LdapDirectory, connect, find_controllers, ldap_library
from privyseal.adapters.ldap_binds import Bind, KerberosCache, KerberosKeytab, SimpleBind
from privyseal.adapters.ldap_errors import Conversation, explained
from privyseal.adapters.ldap_line import Limits
from privyseal.errors import (
    BindRefused,
    ClockSkew,
    DirectoryTimeout,
    DirectoryUnreachable,
    ExtraMissing,
    InvalidValue,
    KdcUnreachable,
    KerberosCredentialsMissing,
    NotADomainController,
    PrivysealError,
    ServerNotInKerberosDatabase,
    StrongAuthRequired,
    TlsNotTrusted,
    UnsafePermissions,
)
from tests.outside.krb5 import kinit, write_krb5_conf
from tests.outside.samba import ADMIN, BASE, PASSWORD, REALM, DomainController, free_address, write_tls
from tests.outside.tools import require_python_ldap, require_tool, run

QUICK = Limits(connect_seconds=1.0, operation_seconds=1.0)
# Each: userAccountControl, further LDIF, the password that is tried, the data code that the controller answers with.
NO_LOGON = {
    "wrong-password": (512, "", "not-it", "52e"),
    "disabled": (514, "", PASSWORD, "533"),
    "expired-account": (512, "accountExpires: 125911584000000000", PASSWORD, "701"),
    "must-change": (512, "pwdLastSet: 0", PASSWORD, "773"),
    "not-at-this-hour": (512, f"logonHours:: {'A' * 28}", PASSWORD, "530"),
}


@pytest.fixture(scope="module")
def keytab(shared_controller: DomainController) -> Path:
    """The key of the account ``svc``."""
    shared_controller.add_user("svc")
    return shared_controller.keytab("svc")


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server on both ports that accepts and never says a word."""
    address = free_address()
    with socket.create_server((address, 389)) as plain, socket.create_server((address, 636)):
        yield plain


def password(controller: DomainController, user: str = ADMIN) -> SimpleBind:
    return SimpleBind(user, controller.password_file, controller.ca_file)


def failure(kind: type[PrivysealError], address: str, bind: Bind, limits: Limits | None = None) -> PrivysealError:
    """What connecting raises; never with the password in it, and nothing of the environment stays changed."""
    before = dict(os.environ)
    with pytest.raises(kind) as caught:
        connect(address, bind, limits=limits).close()
    assert type(caught.value) is kind
    assert PASSWORD not in f"{caught.value.what}{caught.value.why}{caught.value.mend}"
    assert dict(os.environ) == before
    return caught.value


def test_a_password_goes_through_tls(shared_controller: DomainController) -> None:
    with connect(shared_controller.ldaps, password(shared_controller)) as directory:
        seen = directory.root_dse()
        assert (seen.dns_host_name, seen.default_nc, seen.forest) == ("dc1.ad.example.test", BASE, "ad.example.test")
        assert seen.highest_usn and seen.current_time
        assert find_controllers(directory) == ("dc1.ad.example.test",)


def test_a_keytab_is_enough_for_a_sealed_connection(shared_controller: DomainController, keytab: Path) -> None:
    before = dict(os.environ)
    with connect(shared_controller.ldap, KerberosKeytab(keytab)) as directory:
        assert directory.conversation.who == f"svc@{REALM}"
        assert directory._connection.get_option(ldap_library().OPT_X_SASL_SSF) >= 128
        assert directory.read(BASE, ["objectSid"])
    assert dict(os.environ) == before


def test_of_a_keytab_with_several_accounts_the_named_one_logs_in(
    shared_controller: DomainController, keytab: Path, tmp_path: Path
) -> None:
    both = tmp_path / "both.keytab"
    other = shared_controller.keytab("Administrator")
    both.touch(mode=0o600)
    both.write_bytes(keytab.read_bytes() + other.read_bytes()[2:])
    for wanted, name in (("", "svc"), ("administrator", "Administrator"), (f"Administrator@{REALM}", "Administrator")):
        with connect(shared_controller.ldap, KerberosKeytab(both, wanted)) as directory:
            assert directory.conversation.who == f"{name}@{REALM}"
    failure(KerberosCredentialsMissing, shared_controller.ldap, KerberosKeytab(both, "nobody"))


def test_a_ticket_cache_is_enough(shared_controller: DomainController, keytab: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    kinit("svc", cache=cache, keytab=keytab, environment=shared_controller.environment).must_work()
    for name in (str(cache), f"FILE:{cache}"):
        connect(shared_controller.ldap, KerberosCache(name)).close()


def test_two_log_ins_by_kerberos_share_no_tickets(shared_controller: DomainController, keytab: Path) -> None:
    with (
        connect(shared_controller.ldap, KerberosKeytab(keytab)) as first,
        connect(shared_controller.ldap, KerberosKeytab(shared_controller.keytab("Administrator"))) as second,
    ):
        assert first.rights(BASE) == (frozenset(), frozenset())
        assert "description" in second.rights(BASE)[0]


@pytest.mark.parametrize("case", NO_LOGON)
def test_a_refused_password_says_what_the_controller_said(shared_controller: DomainController, case: str) -> None:
    control, extra, tried, data = NO_LOGON[case]
    shared_controller.add_user(case, control=control, extra=[extra] if extra else [])
    file = shared_controller.directory / f"{case}.password"
    file.touch(mode=0o600)
    file.write_text(tried)
    bind = SimpleBind(f"{case}@ad.example.test", file, shared_controller.ca_file)
    error = failure(BindRefused, shared_controller.ldaps, bind)
    assert f"data {data}" in error.why
    assert case in error.what


def test_a_password_never_goes_in_clear_and_nobody_logs_in_anonymously(
    shared_controller: DomainController, tmp_path: Path
) -> None:
    failure(StrongAuthRequired, shared_controller.ldap, password(shared_controller))
    empty = tmp_path / "empty"
    empty.touch(mode=0o600)
    failure(BindRefused, shared_controller.ldaps, SimpleBind(ADMIN, empty, shared_controller.ca_file))
    failure(BindRefused, shared_controller.ldaps, password(shared_controller, user=""))
    failure(BindRefused, shared_controller.ldaps, SimpleBind(ADMIN, tmp_path / "none", shared_controller.ca_file))
    empty.chmod(0o644)
    failure(UnsafePermissions, shared_controller.ldaps, SimpleBind(ADMIN, empty, shared_controller.ca_file))


def test_what_the_controller_says_to_a_password_in_clear_has_its_code(shared_controller: DomainController) -> None:
    ldap = ldap_library()
    connection = ldap.initialize(shared_controller.ldap)
    with pytest.raises(ldap.STRONG_AUTH_REQUIRED) as caught:
        connection.simple_bind_s(ADMIN, PASSWORD)
    conversation = Conversation(shared_controller.ldap, "password", ADMIN)
    assert type(explained(caught.value, conversation, "logging in")) is StrongAuthRequired
    connection.simple_bind_s("", "")
    with pytest.raises(ldap.OPERATIONS_ERROR) as caught:
        connection.search_s(BASE, ldap.SCOPE_BASE)
    assert type(explained(caught.value, conversation, "reading")) is BindRefused


def test_kerberos_is_not_used_inside_tls(shared_controller: DomainController, keytab: Path) -> None:
    failure(InvalidValue, shared_controller.ldaps, KerberosKeytab(keytab))


def test_a_controller_whose_certificate_another_ca_signed_is_not_trusted(
    shared_controller: DomainController, tmp_path: Path
) -> None:
    write_tls(tmp_path, names=["other"], address="127.0.0.1")
    wrong = SimpleBind(ADMIN, shared_controller.password_file, tmp_path / "ca.pem")
    assert "unable to get local issuer" in failure(TlsNotTrusted, shared_controller.ldaps, wrong).what
    nothing = SimpleBind(ADMIN, shared_controller.password_file, tmp_path / "none.pem")
    assert "none.pem" in failure(TlsNotTrusted, shared_controller.ldaps, nothing).what
    by_system = SimpleBind(ADMIN, shared_controller.password_file)
    failure(TlsNotTrusted, shared_controller.ldaps, by_system)


def test_a_certificate_for_another_name_is_not_trusted(
    shared_controller: DomainController, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = socket.create_connection
    monkeypatch.setattr(  # the name is taken to the controller, as a wrong DNS entry would
        "socket.create_connection", lambda target, **rest: known((shared_controller.address, target[1]), **rest)
    )
    error = failure(TlsNotTrusted, "ldaps://alias.ad.example.test", password(shared_controller))
    assert "Hostname mismatch" in error.what


def test_a_name_that_does_not_resolve_and_a_port_that_is_closed_are_told_apart(
    shared_controller: DomainController, keytab: Path
) -> None:
    error = failure(DirectoryUnreachable, "ldap://dc9.ad.example.test", KerberosKeytab(keytab))
    assert "does not resolve" in error.what
    error = failure(DirectoryUnreachable, f"ldap://{free_address()}", KerberosKeytab(keytab))
    assert "refused" in error.what


@pytest.mark.parametrize("scheme", ["ldap", "ldaps"])
def test_a_controller_that_hangs_is_left_in_time(
    shared_controller: DomainController, silent: socket.socket, keytab: Path, tmp_path: Path, scheme: str
) -> None:
    address = silent.getsockname()[0]
    shared_controller.change(
        f"dn: CN=DC1,OU=Domain Controllers,{BASE}\nchangetype: modify\n"
        f"add: servicePrincipalName\nservicePrincipalName: ldap/{address}\n"
    ) if scheme == "ldap" else None
    bind = KerberosKeytab(keytab) if scheme == "ldap" else password(shared_controller)
    began, used = time.monotonic(), time.process_time()
    failure(DirectoryTimeout, f"{scheme}://{address}", bind, QUICK)
    assert time.monotonic() - began < 3
    assert time.process_time() - used < 0.5, "it waits without working"


def test_a_port_that_speaks_no_tls_is_no_question_of_trust(shared_controller: DomainController) -> None:
    failure(DirectoryUnreachable, f"ldaps://{shared_controller.host}:389", password(shared_controller), QUICK)


def test_a_name_that_kerberos_does_not_know(shared_controller: DomainController, keytab: Path) -> None:
    error = failure(ServerNotInKerberosDatabase, f"ldap://{shared_controller.address}", KerberosKeytab(keytab))
    assert f"svc@{REALM}" in error.what


def test_missing_and_broken_credentials(shared_controller: DomainController, keytab: Path, tmp_path: Path) -> None:
    address = shared_controller.ldap
    failure(KerberosCredentialsMissing, address, KerberosCache(str(tmp_path / "none")))
    failure(KerberosCredentialsMissing, address, KerberosKeytab(tmp_path / "none"))
    torn = tmp_path / "torn"
    torn.touch(mode=0o600)
    for content in (b"", b"\x05\x02", b"something else", keytab.read_bytes()[:40]):
        torn.write_bytes(content)
        failure(KerberosCredentialsMissing, address, KerberosKeytab(torn))
    keytab.chmod(0o644)
    failure(UnsafePermissions, address, KerberosKeytab(keytab))
    keytab.chmod(0o600)


def test_a_keytab_from_before_a_change_of_the_password(shared_controller: DomainController) -> None:
    shared_controller.add_user("stale")
    old = shared_controller.keytab("stale")
    shared_controller.samba_tool("user", "setpassword", "stale", "--newpassword=An0ther-Passw0rd!")
    error = failure(BindRefused, shared_controller.ldap, KerberosKeytab(old))
    assert "keytab" in error.why


def test_accounts_that_kerberos_refuses(shared_controller: DomainController) -> None:
    dn = shared_controller.add_user("leaving")
    key = shared_controller.keytab("leaving")
    shared_controller.samba_tool("user", "disable", "leaving")
    assert "disabled" in failure(BindRefused, shared_controller.ldap, KerberosKeytab(key)).why
    shared_controller.change(f"dn: {dn}\nchangetype: delete\n")
    assert "no such account" in failure(BindRefused, shared_controller.ldap, KerberosKeytab(key)).why


def test_a_realm_whose_kdc_is_away(
    shared_controller: DomainController, keytab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = write_krb5_conf(tmp_path / "krb5.conf", realm=REALM, kdc=free_address())
    monkeypatch.setenv("KRB5_CONFIG", str(away))
    failure(KdcUnreachable, shared_controller.ldap, KerberosKeytab(keytab))


def test_a_kdc_that_hangs_is_left_in_time(
    shared_controller: DomainController, keytab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = free_address()
    with socket.create_server((address, 88)):
        away = write_krb5_conf(tmp_path / "krb5.conf", realm=REALM, kdc=address)
        monkeypatch.setenv("KRB5_CONFIG", str(away))
        began = time.monotonic()
        failure(KdcUnreachable, shared_controller.ldap, KerberosKeytab(keytab), QUICK)
        assert time.monotonic() - began < 3


def test_a_controller_whose_clock_is_wrong(
    controller: DomainController, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_tool("faketime")
    controller.stop()
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    controller.start(environment={"LD_PRELOAD": str(library), "FAKETIME": "-1h"})
    controller.add_user("svc")
    strict = write_krb5_conf(tmp_path / "krb5.conf", realm=REALM, kdc=controller.address, options={"kdc_timesync": "0"})
    monkeypatch.setenv("KRB5_CONFIG", str(strict))
    failure(ClockSkew, controller.ldap, KerberosKeytab(controller.keytab("svc")))


def test_a_server_that_is_no_domain_controller_is_noticed(
    shared_controller: DomainController, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(shared_controller.ldaps, password(shared_controller)) as directory:
        monkeypatch.setattr(LdapDirectory, "read", lambda *_: None)
        with pytest.raises(NotADomainController):
            directory.root_dse()


def test_without_the_library_the_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    require_python_ldap()
    monkeypatch.delitem(sys.modules, "ldap.controls", raising=False)
    monkeypatch.setattr(adapter, "import_module", lambda name: (_ for _ in ()).throw(ImportError(name)))
    with pytest.raises(ExtraMissing) as caught:
        connect("dc1", KerberosCache())
    assert "privyseal[ad]" in " ".join(caught.value.mend)


def test_what_libldap_reads_from_files_and_environment_changes_nothing(
    shared_controller: DomainController, tmp_path: Path
) -> None:
    """An ldaprc in the working directory could switch off the check of certificates, or send us elsewhere."""
    (tmp_path / "ldaprc").write_text("TLS_REQCERT never\nURI ldap://127.0.0.1:1\nSASL_SECPROPS maxssf=0\n")
    code = (
        "import sys; from pathlib import Path; from privyseal.adapters.ldap import *\n"
        "directory = connect(sys.argv[1], SimpleBind(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])))\n"
        "print(directory.root_dse().dns_host_name)"
    )
    bind = password(shared_controller)
    words: list[str | Path] = [
        sys.executable,
        "-c",
        code,
        shared_controller.ldaps,
        bind.user,
        bind.password_file,
        str(bind.ca_file),
    ]
    source = str(Path(adapter.__file__).parents[2])
    told = {"PYTHONPATH": source, "LDAPTLS_REQCERT": "never", "LDAPSASL_SECPROPS": "maxssf=0"}
    ran = run(words, directory=tmp_path, environment=told).must_work()
    assert ran.text.strip() == "dc1.ad.example.test"
