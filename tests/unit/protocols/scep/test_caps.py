# SPDX-License-Identifier: Apache-2.0
"""GetCACaps, GetCACert and GetNextCACert, as octets and as asn1crypto sees them."""

from __future__ import annotations

import pytest
from asn1crypto import cms as oracle

from privyseal.errors import InvalidValue
from privyseal.protocols.cms import Digest
from privyseal.protocols.scep import caps, client
from privyseal.protocols.scep.messages import CaCertificatesShape
from tests import scep_messages as odd
from tests.unit.protocols.openssl_pipe import verified


def test_capabilities_name_what_every_client_needs() -> None:
    plain = caps.capabilities(next_ca=False, legacy=False)
    assert plain == b"AES\nDES3\nPOSTPKIOperation\nRenewal\nSCEPStandard\nSHA-256\nSHA-384\nSHA-512\n"
    assert client.parse_capabilities(plain) >= {"SHA-384", "SCEPStandard", "AES"}


def test_sha1_is_offered_to_legacy_devices_only_and_next_ca_only_when_there_is_one() -> None:
    every = client.parse_capabilities(caps.capabilities(next_ca=True, legacy=True))
    plain = client.parse_capabilities(caps.capabilities(next_ca=False, legacy=False))
    assert every - plain == {"SHA-1", "GetNextCACert"}
    assert not {"DES", "MD5"} & every


@pytest.mark.parametrize(
    ("shape", "count"), [(CaCertificatesShape.RA_THEN_CA, 2), (CaCertificatesShape.RA_AND_FULL_CHAIN, 3)]
)
def test_trap_3_ca_certificates_come_leaf_first_in_the_shape_asked_for(shape: CaCertificatesShape, count: int) -> None:
    for issuing, root in ((odd.stranger(), odd.device()), (odd.device(), odd.stranger())):
        chain = (issuing.certificate, root.certificate)
        kind, body = caps.ca_certificates(shape, ra=odd.ra().certificate, chain=chain)
        assert kind == "application/x-x509-ca-ra-cert"
        expected = [odd.ra().certificate, *chain][:count]
        signed_data = oracle.ContentInfo.load(body, strict=True)["content"]
        assert [each.dump() for each in signed_data["certificates"]] == expected
        assert len(signed_data["signer_infos"]) == 0
        assert client.parse_ca_certificates(kind, body) == tuple(expected)


def test_the_ra_alone_is_plain_der() -> None:
    chain = (odd.stranger().certificate, odd.device().certificate)
    answer = caps.ca_certificates(CaCertificatesShape.RA_ONLY, ra=odd.ra().certificate, chain=chain)
    assert answer == ("application/x-x509-ca-cert", odd.ra().certificate)
    assert client.parse_ca_certificates(*answer) == (odd.ra().certificate,)


def test_a_chain_without_the_issuing_ca_is_refused() -> None:
    with pytest.raises(InvalidValue):
        caps.ca_certificates(CaCertificatesShape.RA_THEN_CA, ra=odd.ra().certificate, chain=())


def test_the_next_ca_comes_signed() -> None:
    certificates = [odd.stranger().certificate]
    kind, body = caps.next_ca_reply(certificates, signer=odd.ra().reply_signer, digest=Digest.SHA256)
    assert kind == "application/x-x509-next-ca-cert"
    inside = oracle.ContentInfo.load(verified(body), strict=True)["content"]
    assert [each.dump() for each in inside["certificates"]] == certificates
