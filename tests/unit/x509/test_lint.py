# SPDX-License-Identifier: Apache-2.0
"""Every lint stops what it is there for: a good certificate with one thing wrong, and the name of the finding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from privyseal.ca.issuance import LintedTbs, prepare_certificate, prepare_crl
from privyseal.errors import LintFailed, SigningFailed
from privyseal.x509 import der, extensions, oids
from privyseal.x509.algorithms import signature_algorithm
from privyseal.x509.extensions import KeyUsage
from privyseal.x509.general_names import GeneralName, NameKind
from privyseal.x509.lint import CertificateRules, lint_certificate
from privyseal.x509.lint_crl import CrlRules, lint_crl
from privyseal.x509.names import DistinguishedName
from privyseal.x509.sid import Sid
from privyseal.x509.spki import encode_public_key
from privyseal.x509.tbs import CertificateContent, certificate_tbs, crl_tbs, revoked_entry

NOW = datetime(2026, 11, 22, tzinfo=UTC)
CA_KEY = ec.generate_private_key(ec.SECP256R1()).public_key()
LEAF_KEY = ec.generate_private_key(ec.SECP256R1()).public_key()
ALGORITHM = signature_algorithm(CA_KEY)
CA_NAME = DistinguishedName.parse("CN=Issuing CA,O=Example").to_der()
LEAF_NAME = DistinguishedName.parse("CN=device").to_der()
AUTHORITY = extensions.key_identifier(encode_public_key(CA_KEY))
SPKI = encode_public_key(LEAF_KEY)
SID = Sid.parse("S-1-5-21-1-2-3-1104")

BASIC = extensions.basic_constraints(False)
USAGE = extensions.key_usage({KeyUsage.DIGITAL_SIGNATURE})
PURPOSES = extensions.ext_key_usage((oids.EKU_CLIENT_AUTH,))
CRITICAL_PURPOSES = extensions.extension(oids.EXT_KEY_USAGE, der.sequence(der.oid(oids.EKU_CLIENT_AUTH)), critical=True)
OWN_ID = extensions.subject_key_identifier(extensions.key_identifier(SPKI))
ISSUER_ID = extensions.authority_key_identifier(AUTHORITY)
POINTS = extensions.crl_distribution_points(("http://pki.example.com/crl/a/v1.crl",))
ACCESS = extensions.authority_information_access(
    ocsp=("http://pki.example.com/ocsp/a/v1",), ca_issuers=("http://pki.example.com/aia/a/v1.cer",)
)
GOOD = CertificateContent(
    serial=int(NOW.timestamp()) << 96 | 12345,
    algorithm=ALGORITHM.identifier,
    issuer=CA_NAME,
    not_before=NOW,
    not_after=NOW + timedelta(days=365),
    subject=LEAF_NAME,
    spki=SPKI,
    extensions=(BASIC, USAGE, PURPOSES, OWN_ID, ISSUER_ID, POINTS, ACCESS),
)
RULES = CertificateRules(
    algorithm=ALGORITHM.identifier,
    spki=SPKI,
    subject=LEAF_NAME,
    ca=False,
    issuer_name=CA_NAME,
    issuer_key_identifier=AUTHORITY,
    issuer_not_after=NOW + timedelta(days=1000),
    issuer_ext_key_usage=frozenset({oids.EKU_CLIENT_AUTH}),
    issuer_path_length=0,
    exact={oids.NTDS_CA_SECURITY_EXT: None},
)
Change = Callable[[CertificateContent], CertificateContent]


def _without(*gone: bytes, plus: tuple[bytes, ...] = ()) -> Change:
    return lambda good: replace(good, extensions=(*(one for one in good.extensions if one not in gone), *plus))


def _field(**fields: object) -> Change:
    return lambda good: replace(good, **fields)  # type: ignore[arg-type] # each case names a real field


def _instead(old: bytes, new: bytes) -> Change:
    return lambda good: replace(good, extensions=tuple(new if one == old else one for one in good.extensions))


WRONG: list[tuple[str, Change]] = [
    ("serial", _field(serial=2**63)),
    ("serial", _field(serial=2**160)),
    ("encoding", _field(algorithm=der.sequence(der.oid(oids.ECDSA_WITH_SHA384)))),
    ("public-key", _field(spki=encode_public_key(CA_KEY))),
    ("subject", _field(subject=CA_NAME)),
    ("subject-empty", _field(subject=b"\x30\x00")),
    ("validity", _field(not_before=NOW + timedelta(days=400))),
    ("validity-nesting", _field(not_after=NOW + timedelta(days=1001))),
    ("issuer-name", _field(issuer=LEAF_NAME)),
    ("ski", _instead(OWN_ID, extensions.subject_key_identifier(b"\x00" * 20))),
    ("aki", _instead(ISSUER_ID, extensions.authority_key_identifier(b"\x00" * 20))),
    ("aki", _without(ISSUER_ID)),
    ("basic-constraints", _instead(BASIC, extensions.basic_constraints(True))),
    ("key-usage-ca", _instead(USAGE, extensions.key_usage({KeyUsage.KEY_CERT_SIGN}))),
    ("key-usage", _without(USAGE)),
    ("key-usage-encipherment", _instead(USAGE, extensions.key_usage({KeyUsage.KEY_ENCIPHERMENT}))),
    ("eku", _without(PURPOSES)),
    ("eku-any", _instead(PURPOSES, extensions.ext_key_usage((oids.ANY_EXTENDED_KEY_USAGE,)))),
    ("eku-nesting", _instead(PURPOSES, extensions.ext_key_usage((oids.EKU_SERVER_AUTH,)))),
    ("extension", _without(plus=(extensions.extension("1.2.3.4", b"\x05\x00"),))),
    ("critical", _instead(PURPOSES, CRITICAL_PURPOSES)),
    ("profile", _without(plus=(extensions.sid_extension(SID.extension_value()),))),
    ("revocation", _without(POINTS)),
    ("revocation", _without(ACCESS)),
    ("revocation", _instead(POINTS, extensions.crl_distribution_points(("https://pki.example.com/a.crl",)))),
    ("encoding", _without(plus=(BASIC,))),
]  # fmt: skip


def _found(change: Change) -> set[str]:
    return {finding.rule for finding in lint_certificate(certificate_tbs(change(GOOD)), RULES)}


def test_the_good_one_has_no_finding() -> None:
    assert lint_certificate(certificate_tbs(GOOD), RULES) == ()


@pytest.mark.parametrize(("rule", "change"), WRONG, ids=[f"{number}-{rule}" for number, (rule, _) in enumerate(WRONG)])
def test_one_thing_wrong_is_found(rule: str, change: Change) -> None:
    assert rule in _found(change)


@pytest.mark.filterwarnings("ignore:Parsed a serial number which wasn't positive")
def test_a_negative_serial_is_found() -> None:
    assert _found(_field(serial=-(2**100))) == {"serial"}


def test_a_missing_sid_is_found_when_the_profile_wants_it() -> None:
    rules = replace(RULES, exact={oids.NTDS_CA_SECURITY_EXT: SID.extension_value()})
    assert {one.rule for one in lint_certificate(certificate_tbs(GOOD), rules)} == {"profile"}
    with_sid = _without(plus=(extensions.sid_extension(SID.extension_value()),))(GOOD)
    assert lint_certificate(certificate_tbs(with_sid), rules) == ()
    other = _without(plus=(extensions.sid_extension(Sid.parse("S-1-5-21-1-2-3-500").extension_value()),))(GOOD)
    assert {one.rule for one in lint_certificate(certificate_tbs(other), rules)} == {"profile"}


def test_an_empty_subject_with_a_critical_san_is_allowed() -> None:
    san = extensions.subject_alternative_name((GeneralName(NameKind.DNS, "a.example.com"),), critical=True)
    good = replace(_without(plus=(san,))(GOOD), subject=b"\x30\x00")
    assert lint_certificate(certificate_tbs(good), replace(RULES, subject=b"\x30\x00")) == ()


def test_a_ca_below_a_ca_that_allows_none_is_found() -> None:
    usages = {KeyUsage.KEY_CERT_SIGN, KeyUsage.CRL_SIGN, KeyUsage.DIGITAL_SIGNATURE}
    content = _instead(USAGE, extensions.key_usage(usages))(
        _instead(BASIC, extensions.basic_constraints(True, 0))(GOOD)
    )
    found = lint_certificate(certificate_tbs(content), replace(RULES, ca=True))
    assert {one.rule for one in found} == {"path-length"}


def test_an_rsa_key_may_encipher() -> None:
    spki = encode_public_key(rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key())
    content = replace(
        _instead(USAGE, extensions.key_usage({KeyUsage.DIGITAL_SIGNATURE, KeyUsage.KEY_ENCIPHERMENT}))(
            _instead(OWN_ID, extensions.subject_key_identifier(extensions.key_identifier(spki)))(GOOD)
        ),
        spki=spki,
    )
    assert lint_certificate(certificate_tbs(content), replace(RULES, spki=spki)) == ()


def test_what_a_lint_finds_never_gets_onto_the_road() -> None:
    with pytest.raises(LintFailed, match="eku-nesting"):
        prepare_certificate(
            _instead(PURPOSES, extensions.ext_key_usage((oids.EKU_SERVER_AUTH,)))(GOOD),
            RULES,
            algorithm=ALGORITHM,
            issuer_id=1,
        )


def test_linted_bytes_are_made_by_the_linting_module_only_and_spent_once() -> None:
    with pytest.raises(SigningFailed):
        LintedTbs(object(), "certificate", tbs=b"", algorithm=ALGORITHM, issuer_id=1)
    linted = prepare_certificate(GOOD, RULES, algorithm=ALGORITHM, issuer_id=1)
    assert linted.spend() == certificate_tbs(GOOD)
    with pytest.raises(SigningFailed):
        linted.spend()


def _crl(number: int = 7, *, issuer: bytes = CA_NAME, authority: bytes = AUTHORITY, days: int = 7) -> bytes:
    return crl_tbs(
        algorithm=ALGORITHM.identifier,
        issuer=issuer,
        this_update=NOW,
        next_update=NOW + timedelta(days=days),
        entries=(),
        crl_extensions=(extensions.authority_key_identifier(authority), extensions.crl_number(number)),
    )


CRL_RULES = CrlRules(
    algorithm=ALGORITHM.identifier, issuer_name=CA_NAME, issuer_key_identifier=AUTHORITY, number=7
)  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "tbs"),
    [
        ("crl-number", _crl(8)),
        ("issuer-name", _crl(issuer=LEAF_NAME)),
        ("aki", _crl(authority=b"\x00" * 20)),
        ("crl-dates", _crl(days=-1)),
        ("encoding", _crl()[:-1]),
        ("encoding", b"\x30\x00"),
    ],
)
def test_one_thing_wrong_with_a_crl_is_found(rule: str, tbs: bytes) -> None:
    assert rule in {one.rule for one in lint_crl(tbs, CRL_RULES)}


def test_a_good_crl_gets_onto_the_road() -> None:
    linted = prepare_crl(_crl(), CRL_RULES, algorithm=ALGORITHM, issuer_id=1)
    assert linted.spend() == _crl()


SHARD_URL, DELTA_URL = "http://pki.example.com/crl/a/v1/3.crl", "http://pki.example.com/crl/a/v1/delta.crl"
ENTRY = revoked_entry(4711, NOW, reason=4)


def _formed(*more: bytes, entries: tuple[bytes, ...] = (ENTRY,)) -> bytes:
    return crl_tbs(
        algorithm=ALGORITHM.identifier,
        issuer=CA_NAME,
        this_update=NOW,
        next_update=NOW + timedelta(days=7),
        entries=entries,
        crl_extensions=(extensions.authority_key_identifier(AUTHORITY), extensions.crl_number(7), *more),
    )


@pytest.mark.parametrize(
    ("tbs", "fields"),
    [
        (_formed(extensions.delta_crl_indicator(6)), {"base_number": 6}),
        (_formed(extensions.issuing_distribution_point(SHARD_URL)), {"shard_url": SHARD_URL}),
        (_formed(extensions.freshest_crl((DELTA_URL,))), {"delta_url": DELTA_URL}),
        (_formed(entries=(ENTRY,) * 5000), {}),
    ],
)
def test_every_form_of_a_crl_is_accepted_where_it_is_meant_and_nowhere_else(tbs: bytes, fields: dict[str, Any]) -> None:
    assert lint_crl(tbs, replace(CRL_RULES, **fields)) == ()
    if fields:
        assert {one.rule for one in lint_crl(tbs, CRL_RULES)} == {"extensions"}
        assert {one.rule for one in lint_crl(_formed(), replace(CRL_RULES, **fields))} == {"extensions"}


@pytest.mark.parametrize(
    ("rule", "tbs", "fields"),
    [
        ("delta", _formed(extensions.delta_crl_indicator(5)), {"base_number": 6}),
        ("delta", _formed(extensions.delta_crl_indicator(7)), {"base_number": 7}),
        ("shard", _formed(extensions.issuing_distribution_point(DELTA_URL)), {"shard_url": SHARD_URL}),
        ("freshest", _formed(extensions.freshest_crl((SHARD_URL, DELTA_URL))), {"delta_url": DELTA_URL}),
        ("extensions", _formed(extensions.crl_number(7)), {}),
        ("encoding", _formed(entries=(b"\x30\x00",)), {}),
        ("encoding", _formed(entries=(ENTRY[:-1],)), {}),
        ("encoding", _formed(entries=(ENTRY, b"\x30\x81")), {}),
        ("encoding", _formed(entries=(ENTRY,) * 2500 + (b"\x05\x00",)), {}),
    ],
)
def test_one_thing_wrong_with_the_form_of_a_crl_is_found(rule: str, tbs: bytes, fields: dict[str, Any]) -> None:
    found = {one.rule for one in lint_crl(tbs, replace(CRL_RULES, **fields))}
    assert found == {rule} or (rule == "extensions" and found == {"encoding"})
