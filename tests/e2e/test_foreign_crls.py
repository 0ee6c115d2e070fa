# SPDX-License-Identifier: Apache-2.0
"""CRLs of CAs whose keys are elsewhere: a CA that one lists is out of use at once, whatever else goes wrong."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from privyseal.errors import CrlRefused, StoreUnavailable
from privyseal.model.authority import CaState
from privyseal.store.crls import CrlBook
from tests.e2e.test_ca_life import act, state
from tests.installation import Installation

NOW = datetime.now(UTC).replace(microsecond=0)
ROOT = ec.generate_private_key(ec.SECP256R1())


def named(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def certified(common_name: str, key: ec.EllipticCurvePrivateKey, *, days: int = 100) -> x509.Certificate:
    """A CA certificate, signed by the root's key."""
    return (
        x509.CertificateBuilder()
        .subject_name(named(common_name))
        .issuer_name(named("Their Root"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=days))
        .not_valid_after(NOW + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(ROOT, hashes.SHA256())
    )


def listing(number: int, *certificates: x509.Certificate) -> str:
    """The root's CRL with these in it, as an act takes it."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(named("Their Root"))
        .last_update(NOW - timedelta(hours=1))
        .next_update(NOW + timedelta(days=30))
        .add_extension(x509.CRLNumber(number), critical=False)
    )
    for certificate in certificates:
        entry = x509.RevokedCertificateBuilder(certificate.serial_number, NOW - timedelta(hours=2))
        builder = builder.add_revoked_certificate(entry.build())
    return base64.b64encode(builder.sign(ROOT, hashes.SHA256()).public_bytes(Encoding.DER)).decode()


def bring(service: Installation, *certificates: x509.Certificate) -> str:
    """Imports a path; the name of its lowest CA."""
    files = [base64.b64encode(one.public_bytes(Encoding.DER)).decode() for one in certificates]
    return str(act(service, "ca.import-root", certificates=files)["name"])


def test_an_import_that_was_interrupted_has_revoked_and_is_done_again(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = certified("Their Root", ROOT)
    sub = certified("Their Sub", ec.generate_private_key(ec.SECP256R1()))
    name, crl = bring(installation, sub, root), listing(7, sub)

    async def dies(*_: object) -> None:
        raise StoreUnavailable("the power is gone")

    with monkeypatch.context() as dying:
        dying.setattr(CrlBook, "record_crl", dies)
        with pytest.raises(StoreUnavailable):
            act(installation, "ca.import-crl", crl=crl)
    assert state(installation, name) is CaState.REVOKED
    assert act(installation, "ca.import-crl", crl=crl)["crl_number"] == 7
    assert installation.get("/crl/their-root/v1.crl").body == base64.b64decode(crl)
    for number in (6, 7):
        with pytest.raises(CrlRefused, match="is not newer than CRL 7"):
            act(installation, "ca.import-crl", crl=listing(number, sub))


def test_a_crl_hits_what_any_certificate_of_the_same_key_is_above(installation: Installation) -> None:
    first, second = certified("Their Root", ROOT), certified("Their Root", ROOT, days=200)
    sub = certified("Their Sub", ec.generate_private_key(ec.SECP256R1()))
    bring(installation, first)
    bring(installation, second)
    records = {record.certificate: record for record in installation.app.authorities.all()}
    name = bring(installation, sub, first)
    for certificate in (first, second):
        above = records[certificate.public_bytes(Encoding.DER)].id
        installation.change("UPDATE authorities SET parent_id = ?, state = 'active' WHERE name = ?", above, name)
        number = 1 if certificate is first else 2
        act(installation, "ca.import-crl", crl=listing(number, sub))
        assert state(installation, name) is CaState.REVOKED
