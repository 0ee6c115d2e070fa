# SPDX-License-Identifier: Apache-2.0
"""Ways around the rules of revocation that stay closed: CAs by the small door, keys and devices that come back."""

from __future__ import annotations

from typing import Any

import pytest

from privyseal.administration.desk import Done
from privyseal.bootstrap.administration import Administration
from privyseal.errors import CertificateOfCa, EnrollmentBlocked, InvalidValue, StoreUnavailable, WeakKey
from privyseal.model.access import Actor, Grant, Role
from privyseal.model.authority import CaState
from privyseal.model.certificate import format_serial
from privyseal.model.entity import EndEntity
from privyseal.model.search.grammar import parse_search
from privyseal.x509.csr import parse_request
from tests.device import Device
from tests.installation import ISSUING_CA, PROFILE, ROOT_CA, Installation, fixture_installation, fixture_installations
from tests.stores import fixture_store_engine, make_fail, make_work_again, on_both_engines

__all__ = ["fixture_installation", "fixture_installations", "fixture_store_engine"]
pytest_generate_tests = on_both_engines
ADA = Actor("token:ada", (Grant(Role.OPERATOR),), "ada")


def submit(installation: Installation, name: str, **parameters: Any) -> Done:
    """Hands an act to the desk, as an operator."""
    desk = Administration(installation.app).desk
    done = installation.run(desk.submit(ADA, name, parameters=parameters))
    assert isinstance(done, Done)
    return done


def serials(installation: Installation, search: str) -> list[str]:
    """Of what a search finds, newest first."""
    found = parse_search(search, now=installation.clock.now())
    return [format_serial(record.serial) for record in installation.app.inventory.page(found, limit=50).records]


def issue(installation: Installation, entity: EndEntity, *, request: bytes = b"", profile: str = PROFILE) -> str:
    """One more certificate; its serial."""
    entity = installation.app.entities.named(entity.kind, entity.name)
    parsed = parse_request(request or Device(installation).csr(challenge=None))
    installation.run(installation.app.registration.issue_for(entity, profile, parsed, requester="test"))
    return serials(installation, f"device:{entity.name}")[0]


@pytest.mark.parametrize("ca", [ROOT_CA, ISSUING_CA])
def test_a_ca_is_not_revoked_like_a_laptop(installation: Installation, ca: str) -> None:
    serial = format_serial(installation.app.catalog.issuer(ca).view.serial)
    with pytest.raises(CertificateOfCa, match=f"certificate {serial} .* is that of a CA"):
        submit(installation, "certificate.revoke", serial=serial, reason="key-compromise")
    assert installation.app.authorities.get(ca).state is CaState.ACTIVE


def test_the_release_of_one_certificate_does_not_undo_the_revocation_of_another(installation: Installation) -> None:
    device = installation.device()
    stolen, held = issue(installation, device), issue(installation, device)
    submit(installation, "certificate.revoke", serial=held, reason="certificate-hold")
    submit(installation, "certificate.revoke", serial=stolen, reason="privilege-withdrawn")
    submit(installation, "certificate.release", serial=held)
    with pytest.raises(EnrollmentBlocked):
        issue(installation, device)


def test_a_hold_does_not_end_for_a_key_that_was_reported_as_compromised(installation: Installation) -> None:
    device, request = installation.device(), Device(installation).csr(challenge=None)
    first, second = issue(installation, device, request=request), issue(installation, device, request=request)
    submit(installation, "certificate.revoke", serial=first, reason="certificate-hold")
    submit(installation, "certificate.revoke", serial=second, reason="key-compromise")
    with pytest.raises(WeakKey, match=first):
        submit(installation, "certificate.release", serial=first)
    assert serials(installation, "status:held") == [first]


def test_a_revocation_and_the_block_are_one_or_nothing(installation: Installation) -> None:
    device = installation.device()
    serial = issue(installation, device)
    make_fail(installation.app.database, "revocations", "INSERT")
    with pytest.raises(StoreUnavailable):
        submit(installation, "certificate.revoke", serial=serial, reason="privilege-withdrawn")
    make_work_again(installation.app.database, "revocations")
    assert installation.app.entities.named(device.kind, device.name).blocked == frozenset()
    assert serials(installation, "status:revoked") == []


def test_a_release_and_the_end_of_the_block_are_one_or_nothing(installation: Installation) -> None:
    device = installation.device()
    serial = issue(installation, device)
    submit(installation, "certificate.revoke", serial=serial, reason="certificate-hold")
    make_fail(installation.app.database, "entities", "UPDATE")
    with pytest.raises(StoreUnavailable):
        submit(installation, "certificate.release", serial=serial)
    make_work_again(installation.app.database, "entities")
    assert serials(installation, "status:held") == [serial]


@pytest.mark.parametrize("at", [0, 10**11, 10**17, 10**30])
def test_a_moment_that_no_calendar_knows_is_refused(installation: Installation, at: int) -> None:
    issue(installation, installation.device())
    with pytest.raises(InvalidValue, match="at"):
        submit(installation, "certificate.revoke-many", where="laptop", at=at)


@pytest.mark.parametrize("by", ["certificate.revoke", "certificate.revoke-many"])
def test_a_revocation_by_whatever_act_wakes_the_crl(installation: Installation, by: str) -> None:
    serial = issue(installation, installation.device())
    installation.app.crl_wanted.clear()
    if by == "certificate.revoke":
        submit(installation, by, serial=serial)
    else:
        submit(installation, by, where=f"serial:{serial}")
    assert installation.app.crl_wanted.is_set()
