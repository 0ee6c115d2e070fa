# SPDX-License-Identifier: Apache-2.0
"""Every kind of CA key makes a hierarchy, a leaf, CRLs and OCSP answers that OpenSSL verifies; nesting is kept."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509

from privyseal.errors import EkuNotNested, IssuerNotActive, PathLengthExceeded, ValidityNotNested
from privyseal.model.authority import CaKind
from privyseal.x509 import oids
from privyseal.x509.algorithms import KeyType
from tests.device import Device, parsed
from tests.e2e.test_status import ask
from tests.installation import ISSUING_CA, Installation, Installations
from tests.outside.looking import look_at_certificate, look_at_crl, look_at_ocsp_response

HASHES = {
    "rsa:2048": "sha256", "rsa:3072": "sha256", "rsa:4096": "sha512",
    "ec:p256": "sha256", "ec:p384": "sha384", "ec:p521": "sha512", "ed25519": None,
}  # fmt: skip


@pytest.mark.parametrize("key", [member.value for member in KeyType])
def test_a_hierarchy_of_this_key_verifies_from_leaf_to_root(installations: Installations, key: str) -> None:
    installation = installations(key)
    leaf = Device(installation).enroll()
    crls = [installation.get(f"/crl/{name}/v1.crl").body for name in ("issuing", "root")]
    look_at_certificate(leaf, installation.chain, crls=crls)
    for crl, issuer in zip(crls, installation.chain, strict=True):
        look_at_crl(crl, issuer)
    seen = look_at_ocsp_response(ask(installation, leaf), chain=installation.chain, certificate=leaf)
    assert "good" in seen
    for found in (*installation.chain, leaf):
        algorithm = parsed(found).signature_hash_algorithm
        assert (algorithm.name if algorithm else None) == HASHES[key]
    installation.revoke(leaf)
    assert "revoked" in look_at_ocsp_response(ask(installation, leaf), chain=installation.chain, certificate=leaf)


def test_all_key_types_are_covered() -> None:
    assert {member.value for member in KeyType} == set(HASHES)


@pytest.mark.parametrize("root", ["rsa:4096", "ec:p384", "ed25519"])
def test_root_and_issuing_ca_may_have_keys_of_different_kinds(installations: Installations, root: str) -> None:
    installation = installations(root)
    installation.found("mixed", key_type=KeyType.P256)
    installation.profile("mixed", issuer="mixed")
    device = Device(installation, profile="mixed")
    chain = [issuer.view.encoded for issuer in installation.app.catalog.chain(device.issuer)]
    crls = [installation.get(f"/crl/{name}/v1.crl").body for name in ("mixed", "root")]
    look_at_certificate(device.enroll(), chain, crls=crls)


def test_a_child_outside_its_parents_purposes_is_refused(installations: Installations) -> None:
    installation = installations.empty()
    installation.found("root", kind=CaKind.ROOT, parent=None, ext_key_usage=(oids.EKU_CLIENT_AUTH,))
    with pytest.raises(EkuNotNested, match="server"):
        installation.found("issuing", ext_key_usage=(oids.EKU_CLIENT_AUTH, oids.EKU_SERVER_AUTH))
    child = installation.found("issuing")  # asks for nothing: gets what the parent has
    assert child.view.ext_key_usage == installation.app.catalog.issuer("root").view.ext_key_usage
    installation.profile("clients")
    installation.profile("servers", ext_key_usage=["server-auth"])
    installation.profile("wifi-device")
    with pytest.raises(EkuNotNested):
        installation.app.catalog.form("servers")
    Device(installation, profile="clients").enroll()


def test_path_lengths_nest(installations: Installations) -> None:
    installation = installations()
    with pytest.raises(PathLengthExceeded):
        installation.found("below", parent=ISSUING_CA)  # the issuing CA has path length 0
    with pytest.raises(PathLengthExceeded):
        installation.found("deep", path_length=1)  # the root has 1
    assert parsed(installation.chain[0]).extensions.get_extension_for_class(
        x509.BasicConstraints
    ).value == x509.BasicConstraints(ca=True, path_length=0)


def test_a_ca_does_not_outlive_its_parent(installations: Installations) -> None:
    with pytest.raises(ValidityNotNested, match="outlive"):
        installations().found("long", validity=timedelta(days=3651))


def test_a_certificate_that_would_outlive_its_ca_is_refused(installation: Installation) -> None:
    device = Device(installation)
    installation.clock.moved = timedelta(days=1700)
    installation.work()
    assert device.refused(device.request()) == ValidityNotNested.code


def test_or_it_is_shortened_and_that_is_said(installation: Installation) -> None:
    installation.profile("short", at_ca_end="shorten")
    device = Device(installation, profile="short")
    installation.clock.moved = timedelta(days=1700)
    installation.work()
    leaf = parsed(device.enroll())
    end = parsed(installation.chain[0]).not_valid_after_utc
    assert leaf.not_valid_after_utc == end
    ((detail,),) = installation.rows(
        "SELECT detail FROM audit WHERE event = 'certificate.reserved' ORDER BY seq DESC LIMIT 1"
    )
    assert "validity shortened to" in detail


def test_an_expired_ca_issues_nothing(installation: Installation) -> None:
    device = Device(installation)
    sent = device.request()
    installation.clock.moved = timedelta(days=1801)
    before = installation.count("certificates")
    assert device.post(sent.message).status >= 400 or device.refusal()[0] == IssuerNotActive.code
    assert installation.count("certificates") == before
