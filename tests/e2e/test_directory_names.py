# SPDX-License-Identifier: Apache-2.0
"""Names from the directory through the SCEP endpoint: looked up at issuance and at renewal, never from the request."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from cryptography import x509

from privyseal.bootstrap import directory
from privyseal.directory.accounts import Account, AccountKind
from privyseal.errors import (
    AccountDisabled,
    AccountNotFound,
    BindRefused,
    DirectoryNotUsable,
    DirectoryUnreachable,
    PrivysealError,
)
from privyseal.model.directory import BindKind, DirectoryBinding, DirectoryConfig
from privyseal.model.enrollment import EnrollmentState
from privyseal.protocols.scep.messages import PkiStatus
from privyseal.x509.sid import Sid
from tests.device import Device
from tests.installation import Installation

SID = Sid.parse("S-1-5-21-1-2-3-1104")


@dataclass(slots=True)
class Forest:
    """Stands where a controller is asked: one computer, or a fault."""

    account: Account
    fault: PrivysealError | None = None
    asked: int = 0

    def __call__(self, config: DirectoryConfig, binding: DirectoryBinding) -> Account:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        return self.account


@pytest.fixture
def forest(monkeypatch: pytest.MonkeyPatch) -> Forest:
    account = Account(
        kind=AccountKind.COMPUTER,
        sid=SID,
        principal_name="LAPTOP-1$@contoso.com",
        dns_name="laptop-1.contoso.com",
        mail="",
        distinguished_name="CN=LAPTOP-1,CN=Computers,DC=contoso,DC=com",
        enabled=True,
        sam_account_name="LAPTOP-1$",
        groups=(),
        service_principal_names=(),
    )
    made = Forest(account)
    monkeypatch.setattr(directory, "_find", made)
    return made


def bound_device(installation: Installation, **fields: str) -> Device:
    config = DirectoryConfig(name="contoso", uris=("ldap://dc1.contoso.com",), bind=BindKind.KERBEROS)
    installation.run(installation.app.directories.add(config, replace_existing=False, actor="test"))
    installation.profile(
        "account", names_from="directory", sid_extension=True, subject="CN={{device.dns_name}}", **fields
    )
    device = Device(installation, profile="account")
    installation.run(
        installation.app.entities.change(
            device.entity, {}, enabled=None, actor="test", binding=DirectoryBinding("contoso", SID)
        )
    )
    return device


def dns_names(certificate: bytes) -> list[str]:
    found = x509.load_der_x509_certificate(certificate).extensions
    return found.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)


def test_the_account_names_the_certificate_and_a_renewal_follows_it(installation: Installation, forest: Forest) -> None:
    device = bound_device(installation)
    first = device.enroll()
    assert dns_names(first) == ["laptop-1.contoso.com"]
    assert SID.text.encode() in first
    forest.account = replace(forest.account, dns_name="laptop-1.fabrikam.com")
    assert dns_names(device.enroll(device.renewal())) == ["laptop-1.fabrikam.com"]
    assert forest.asked == 2


@pytest.mark.parametrize("fault", [AccountDisabled("it is disabled"), AccountNotFound("it was deleted")])
def test_an_account_that_is_disabled_or_gone_is_refused_also_at_renewal(
    installation: Installation, forest: Forest, fault: PrivysealError
) -> None:
    device = bound_device(installation)
    device.enroll()
    forest.fault = fault
    assert device.refused(device.renewal()) == fault.code
    assert device.refused(device.request()) == fault.code


@pytest.mark.parametrize("fault", [DirectoryUnreachable("dc1 is silent"), BindRefused("the password has expired")])
def test_a_directory_that_cannot_be_asked_leaves_the_challenge_good(
    installation: Installation, forest: Forest, fault: PrivysealError
) -> None:
    device = bound_device(installation)
    sent = device.request()
    forest.fault = fault
    assert device.post(sent.message).status == 503
    forest.fault = None
    device.enroll(sent)


def test_our_own_log_in_is_never_told_to_be_the_applicants_fault(installation: Installation, forest: Forest) -> None:
    bound_device(installation)
    forest.fault = BindRefused("the password has expired")
    live = directory.LiveDirectory(installation.app.directories)
    for binding in (DirectoryBinding("contoso", SID), DirectoryBinding("nowhere", SID)):
        with pytest.raises(DirectoryNotUsable):
            installation.run(live.find(binding))


def test_an_account_disabled_while_it_waited_for_approval_gets_nothing(
    installation: Installation, forest: Forest
) -> None:
    device = bound_device(installation, approval="manual")
    sent = device.request()
    assert device.send(sent).status is PkiStatus.PENDING
    for (number,) in installation.rows("SELECT id FROM enrollments WHERE state = 'waiting'"):
        installation.run(installation.app.enrollments.decide(number, EnrollmentState.APPROVED, actor="operator"))
    forest.fault = AccountDisabled("it is disabled")
    assert device.send(device.poll(sent)).status is PkiStatus.FAILURE
