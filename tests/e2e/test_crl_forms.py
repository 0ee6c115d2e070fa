# SPDX-License-Identifier: Apache-2.0
"""Delta CRLs, shards and holds: what each says, and that OpenSSL as a relying party understands all of them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from privyseal.ca.crl import publish_crl
from privyseal.errors import (
    AlreadyRevoked,
    CrlFormNotFitting,
    DeltaCrlStillNamed,
    HoldNotPossible,
    NotFound,
    NotOnHold,
)
from privyseal.model.authority import CrlRules, DeltaRules
from privyseal.model.certificate import CertificateKind
from privyseal.model.crl import CrlScope
from privyseal.model.revocation import CrlReason
from privyseal.x509.certificate import read_certificate
from tests.device import GET_CRL, Device, parsed
from tests.e2e.test_status import GOOD, REVOKED, status
from tests.installation import Installation
from tests.outside.looking import CRL, look_at_crl, write_pem
from tests.outside.tools import openssl

DELTAS = CrlRules(delta=DeltaRules(validity=timedelta(days=1), publish_every=timedelta(hours=12)))
DELTA_PATH = "/crl/issuing/v1/delta.crl"
SHARDS = 4


def set_rules(service: Installation, rules: CrlRules) -> None:
    """What `ca set` does."""
    record = service.app.authorities.get("issuing")
    service.run(service.app.authorities.set_crl_rules(record, rules, actor="test"))
    service.work()


@pytest.fixture
def deltas(installation: Installation) -> Installation:
    """The issuing CA publishes delta CRLs."""
    set_rules(installation, DELTAS)
    return installation


@pytest.fixture
def sharded(installation: Installation) -> Installation:
    """The profile's CA has shards."""
    installation.found("shards", crl=CrlRules(shards=SHARDS))
    installation.profile("wifi-device", issuer="shards")
    return installation


def crl_at(service: Installation, path: str, issuer: str = "issuing") -> x509.CertificateRevocationList:
    """A CRL over HTTP, looked at by OpenSSL and pkilint."""
    answer = service.get(path)
    assert (answer.status, answer.content_type) == (200, "application/pkix-crl")
    look_at_crl(answer.body, service.app.catalog.issuer(issuer).view.encoded)
    return x509.load_der_x509_crl(answer.body)


def number_of(crl: x509.CertificateRevocationList) -> int:
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def base_of(crl: x509.CertificateRevocationList) -> int:
    found = crl.extensions.get_extension_for_class(x509.DeltaCRLIndicator)
    assert found.critical
    return found.value.crl_number


def reason_in(crl: x509.CertificateRevocationList, leaf: bytes) -> x509.ReasonFlags | None:
    """The reason of the leaf's entry; None when it is not listed."""
    entry = crl.get_revoked_certificate_by_serial_number(parsed(leaf).serial_number)
    return None if entry is None else entry.extensions.get_extension_for_class(x509.CRLReason).value.reason


def accepted(service: Installation, leaf: bytes, crls: Sequence[bytes], *flags: str, issuer: str = "issuing") -> str:
    """What ``openssl verify`` says with these CRLs."""
    found = service.app.catalog.issuer(issuer)
    chain = [one.view.encoded for one in service.app.catalog.chain(found)]
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        return openssl(
            "verify", "-x509_strict", "-crl_check", *flags, "-CAfile", write_pem(place / "root.pem", chain[-1:]),
            "-untrusted", write_pem(place / "chain.pem", chain), "-CRLfile", write_pem(place / "c.pem", crls, kind=CRL),
            write_pem(place / "leaf.pem", [leaf]),
        ).text  # fmt: skip


def release(service: Installation, leaf: bytes) -> int:
    issuer = service.app.catalog.issuer_of(read_certificate(leaf).issuer)[0]
    signer = service.app.catalog.signer(issuer.id)
    work = service.app.status.release(issuer, parsed(leaf).serial_number, signer=signer, actor="test")
    return service.run(work).number


# --- deltas ------------------------------------------------------------------------------------------------


def test_a_revocation_makes_a_delta_at_once_and_leaves_the_base_as_it_is(deltas: Installation) -> None:
    leaf = Device(deltas).enroll()
    base, before = crl_at(deltas, "/crl/issuing/v1.crl"), crl_at(deltas, DELTA_PATH)
    deltas.revoke(leaf, CrlReason.SUPERSEDED)
    assert crl_at(deltas, "/crl/issuing/v1.crl") == base
    delta = crl_at(deltas, DELTA_PATH)
    assert reason_in(base, leaf) is None
    assert reason_in(delta, leaf) is x509.ReasonFlags.superseded
    assert base_of(delta) <= number_of(base) < number_of(before) < number_of(delta)
    assert status(deltas, leaf) is REVOKED


def test_the_delta_is_named_by_base_and_leaf_and_not_by_itself(deltas: Installation) -> None:
    leaf = parsed(Device(deltas).enroll())
    for extensions in (leaf.extensions, crl_at(deltas, "/crl/issuing/v1.crl").extensions):
        found = extensions.get_extension_for_class(x509.FreshestCRL)
        assert not found.critical
        assert [name.value for name in found.value[0].full_name or []] == [deltas.issuer.urls.delta]
    with pytest.raises(x509.ExtensionNotFound):
        crl_at(deltas, DELTA_PATH).extensions.get_extension_for_class(x509.FreshestCRL)


def test_openssl_takes_base_and_delta_together(deltas: Installation) -> None:
    device = Device(deltas)
    leaf, held, good = device.enroll(), device.enroll(), device.enroll()
    deltas.revoke(held, CrlReason.CERTIFICATE_HOLD)
    deltas.clock.moved = timedelta(hours=1)
    issuer = deltas.issuer
    deltas.run(deltas.app.status.publish(issuer, deltas.app.catalog.signer(issuer.id), CrlScope()))
    deltas.clock.moved = timedelta(0)
    base = deltas.get("/crl/issuing/v1.crl").body
    deltas.revoke(leaf)
    release(deltas, held)
    both = [base, deltas.get(DELTA_PATH).body]
    at = ("-attime", str(int((deltas.clock.now() + timedelta(hours=2)).timestamp())))
    assert "certificate revoked" in accepted(deltas, held, both[:1], *at)
    assert "OK" in accepted(deltas, leaf, both[:1], *at)
    flags = ("-use_deltas", "-extended_crl", *at)
    assert "OK" in accepted(deltas, held, both, *flags)
    assert "certificate revoked" in accepted(deltas, leaf, both, *flags)
    assert "OK" in accepted(deltas, good, both, *flags)


def test_a_delta_fits_to_every_base_that_somebody_may_hold(deltas: Installation) -> None:
    first = crl_at(deltas, "/crl/issuing/v1.crl")
    leaf = Device(deltas).enroll()
    deltas.revoke(leaf)
    deltas.clock.moved = timedelta(days=4)
    deltas.work()
    second, delta = crl_at(deltas, "/crl/issuing/v1.crl"), crl_at(deltas, DELTA_PATH)
    assert reason_in(second, leaf) is x509.ReasonFlags.privilege_withdrawn
    assert base_of(delta) <= number_of(first) < number_of(second) < number_of(delta)
    assert reason_in(delta, leaf) is not None  # who holds the first base needs it
    deltas.clock.moved = timedelta(days=8)
    deltas.work()
    later = crl_at(deltas, DELTA_PATH)
    assert base_of(later) >= number_of(second)
    assert reason_in(later, leaf) is None


def test_a_delta_is_made_anew_when_its_interval_is_over_and_nothing_changed(deltas: Installation) -> None:
    base, delta = crl_at(deltas, "/crl/issuing/v1.crl"), crl_at(deltas, DELTA_PATH)
    deltas.work()
    assert crl_at(deltas, DELTA_PATH) == delta
    deltas.clock.moved = timedelta(hours=13)
    deltas.work()
    assert crl_at(deltas, "/crl/issuing/v1.crl") == base
    assert number_of(crl_at(deltas, DELTA_PATH)) == number_of(delta) + 1


def test_a_ca_made_with_deltas_has_one_before_its_first_certificate(installation: Installation) -> None:
    installation.found("fresh", crl=DELTAS)
    base, delta = (crl_at(installation, f"/crl/fresh/v1{end}", "fresh") for end in (".crl", "/delta.crl"))
    assert (number_of(base), base_of(delta), number_of(delta)) == (1, 1, 2)


def test_deltas_stay_on_while_certificates_name_them(deltas: Installation) -> None:
    record = deltas.app.authorities.get("issuing")
    Device(deltas).enroll()
    with pytest.raises(DeltaCrlStillNamed, match=r"\d+ certificate\(s\) of CA issuing v1"):
        deltas.run(deltas.app.authorities.set_crl_rules(record, CrlRules(), actor="test"))
    with pytest.raises(CrlFormNotFitting, match="for ever"):
        deltas.run(deltas.app.authorities.set_crl_rules(record, CrlRules(shards=2), actor="test"))


def test_deltas_that_nothing_names_may_end_and_a_revocation_makes_the_base_again(installation: Installation) -> None:
    leaf = Device(installation).enroll()
    installation.clock.moved = timedelta(seconds=2)
    set_rules(installation, DELTAS)
    set_rules(installation, CrlRules())
    number = installation.revoke(leaf)
    assert number_of(installation.crl()) == number
    assert "ca.crl-changed" in installation.events()


def test_without_a_base_there_is_no_delta(installation: Installation) -> None:
    issuer = installation.issuer
    installation.clock.moved = timedelta(days=8)
    work = publish_crl(
        issuer, installation.app.catalog.signer(issuer.id), ledger=installation.app.crls, apart=installation.app.apart,
        now=installation.clock.now(), scope=CrlScope(delta=True),
    )  # fmt: skip
    with pytest.raises(NotFound, match="no base CRL in force"):
        installation.run(work)


# --- shards ------------------------------------------------------------------------------------------------


def test_each_leaf_names_its_shard_and_the_shard_names_itself(sharded: Installation) -> None:
    device = Device(sharded)
    for leaf in [device.enroll() for _ in range(8)]:
        points = parsed(leaf).extensions.get_extension_for_class(x509.CRLDistributionPoints).value
        url = (points[0].full_name or [])[0].value
        shard = parsed(leaf).serial_number % SHARDS
        assert url == f"http://pki.example.com/crl/shards/v1/{shard}.crl"
        crl = crl_at(sharded, f"/crl/shards/v1/{shard}.crl", "shards")
        scope = crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint)
        assert scope.critical
        assert [name.value for name in scope.value.full_name or []] == [url]


def test_a_revocation_shows_in_its_shard_only_and_in_ocsp(sharded: Installation) -> None:
    device = Device(sharded)
    leaf = device.enroll()
    own = parsed(leaf).serial_number % SHARDS
    before = [sharded.get(f"/crl/shards/v1/{shard}.crl").body for shard in range(SHARDS)]
    issuer = sharded.app.catalog.issuer("shards")
    published = sharded.run(
        sharded.app.status.revoke(
            issuer, parsed(leaf).serial_number, signer=sharded.app.catalog.signer(issuer.id),
            reason=CrlReason.KEY_COMPROMISE, invalid_since=None, actor="test",
        )
    )  # fmt: skip
    after = [sharded.get(f"/crl/shards/v1/{shard}.crl").body for shard in range(SHARDS)]
    assert [shard for shard in range(SHARDS) if before[shard] != after[shard]] == [own] == [published.shard]
    assert "certificate revoked" in accepted(sharded, leaf, [after[own]], "-extended_crl", issuer="shards")
    assert "OK" in accepted(sharded, leaf, [before[own]], "-extended_crl", issuer="shards")
    other = after[(own + 1) % SHARDS]
    assert "OK" not in accepted(sharded, leaf, [other], "-extended_crl", issuer="shards")  # not its scope
    (by_scep,) = device.send(device.get_cert(parsed(leaf).serial_number, kind=GET_CRL)).crls
    assert by_scep == after[own]


def test_a_sharded_ca_has_no_other_crl(sharded: Installation) -> None:
    for path in ("v1.crl", "v1/4.crl", "v1/delta.crl", "v1/-1.crl", "v1/x.crl", "v1/0", "v0/0.crl", "v1/00000.crl"):
        assert sharded.get(f"/crl/shards/{path}").status == 404
    assert sharded.get(DELTA_PATH).status == 404


def test_crl_numbers_of_shards_rise_in_one_sequence(sharded: Installation) -> None:
    numbers = [number_of(crl_at(sharded, f"/crl/shards/v1/{shard}.crl", "shards")) for shard in range(SHARDS)]
    assert numbers == [1, 2, 3, 4]


@pytest.mark.parametrize("fields", [{"shards": 1025}, {"shards": -1}, {"shards": 2, "delta": DELTAS.delta}])
def test_forms_that_do_not_go_together_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(CrlFormNotFitting):
        replace(CrlRules(), **fields)  # type: ignore[arg-type] # fields of CrlRules


# --- holds -------------------------------------------------------------------------------------------------


def test_a_hold_shows_and_its_release_too(installation: Installation) -> None:
    leaf = Device(installation).enroll()
    installation.revoke(leaf, CrlReason.CERTIFICATE_HOLD)
    assert reason_in(installation.crl(), leaf) is x509.ReasonFlags.certificate_hold
    assert status(installation, leaf) is REVOKED
    number = release(installation, leaf)
    assert number_of(installation.crl()) == number
    assert reason_in(installation.crl(), leaf) is None
    assert status(installation, leaf) is GOOD
    assert installation.events()[-2:] == ["certificate.released", "crl.published"]
    with pytest.raises(NotOnHold, match="is good"):
        release(installation, leaf)


def test_a_release_is_removal_in_deltas_and_a_new_hold_is_a_hold_again(deltas: Installation) -> None:
    leaf = Device(deltas).enroll()
    deltas.revoke(leaf, CrlReason.CERTIFICATE_HOLD)
    assert reason_in(crl_at(deltas, DELTA_PATH), leaf) is x509.ReasonFlags.certificate_hold
    release(deltas, leaf)
    assert reason_in(crl_at(deltas, DELTA_PATH), leaf) is x509.ReasonFlags.remove_from_crl
    assert status(deltas, leaf) is GOOD
    deltas.revoke(leaf, CrlReason.CERTIFICATE_HOLD)
    assert reason_in(crl_at(deltas, DELTA_PATH), leaf) is x509.ReasonFlags.certificate_hold
    assert len(list(crl_at(deltas, DELTA_PATH))) == 1


def test_a_hold_may_become_final_from_its_own_date_on(installation: Installation) -> None:
    leaf = Device(installation).enroll()
    installation.revoke(leaf, CrlReason.CERTIFICATE_HOLD)
    held = installation.crl().get_revoked_certificate_by_serial_number(parsed(leaf).serial_number)
    with pytest.raises(AlreadyRevoked, match="on hold already"):
        installation.revoke(leaf, CrlReason.CERTIFICATE_HOLD)
    installation.clock.moved = timedelta(hours=1)
    installation.revoke(leaf, CrlReason.SUPERSEDED)
    final = installation.crl().get_revoked_certificate_by_serial_number(parsed(leaf).serial_number)
    assert held is not None
    assert final is not None
    assert final.revocation_date_utc == held.revocation_date_utc
    assert reason_in(installation.crl(), leaf) is x509.ReasonFlags.superseded
    with pytest.raises(NotOnHold, match="superseded"):
        release(installation, leaf)


def test_only_an_end_entitys_certificate_is_put_on_hold(installation: Installation) -> None:
    service = installation.app.catalog.services(installation.issuer.id, CertificateKind.OCSP)[0]
    with pytest.raises(HoldNotPossible, match="kind ocsp"):
        installation.revoke(service.certificate, CrlReason.CERTIFICATE_HOLD)
