# SPDX-License-Identifier: Apache-2.0
"""What a site gives is written so that it cannot end a value, expand, or widen a search; or it is refused."""

from __future__ import annotations

import pytest

from privyseal.adapters.radius_config import (
    SID_ATTRIBUTES,
    AccountRule,
    RadiusClient,
    RadiusSite,
    Revocation,
    render_freeradius,
)
from privyseal.errors import InvalidValue


def account(**fields: str) -> AccountRule:
    given = {"base": "DC=contoso,DC=com", "user": "radius@contoso.com", "password": "secret"} | fields
    return AccountRule(uris=("ldaps://dc1.contoso.com", "ldaps://dc2.contoso.com"), **given)


def site(**fields: object) -> RadiusSite:
    given: dict[str, object] = {
        "directory": "/etc/freeradius/privyseal",
        "clients": (RadiusClient("ap1", "10.0.0.1", "secret"),),
        "issuers": ("PEM\n",),
        "revocation": Revocation.OCSP,
        "crl_urls": {"issuing-v1": "http://pki.contoso.com/crl/issuing/v1.crl"},
    }
    return RadiusSite(**(given | fields))  # type: ignore[arg-type] # tests give any of them


def test_no_file_switches_revocation_off_or_lets_it_fail_softly() -> None:
    for way in Revocation:
        eap = render_freeradius(site(revocation=way))["mods-enabled/eap"]
        assert "softfail = no" in eap and 'tls_min_version = "1.2"' in eap
        assert ("check_crl = yes" in eap) == way.uses_crl
        assert ("enable = yes" in eap) == way.uses_ocsp
        assert ("refresh-crls" in render_freeradius(site(revocation=way))) == way.uses_crl


def test_every_controller_is_named_and_the_sid_is_read_under_both_names() -> None:
    files = render_freeradius(site(accounts=account()))
    assert files["mods-enabled/ldap"].count("server = 'ldaps://") == 2
    assert all(name in files["sites-enabled/check-account"] for name in SID_ATTRIBUTES)
    assert all(name in files["dictionary"] for name in SID_ATTRIBUTES)
    assert "memberOf" not in files["sites-enabled/check-account"]


@pytest.mark.parametrize("group", ["CN=a)(objectClass=*,DC=x", 'CN=a" b,DC=x', "CN=a%{1},DC=x", "CN=a?b}c\\,d,DC=x"])
def test_a_group_cannot_widen_the_search(group: str) -> None:
    text = render_freeradius(site(accounts=account(group=group)))["sites-enabled/check-account"]
    (line, _) = [line for line in text.splitlines() if "{ldap:" in line]
    member = line[line.index("memberOf") :]
    assert member.endswith('))}"') and member[:-4].count(")") == 0
    assert not set(member[:-4]) & set('"}?\\{') and member.replace("%%", "").count("%") == 0


@pytest.mark.parametrize("password", ["a'b\"c", "a\\", "a\nb", "${secret}", "x$ENV{HOME}", "it's \\ here"])
def test_a_password_that_no_file_can_carry_is_refused_and_not_shown(password: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        render_freeradius(site(accounts=account(password=password)))
    assert password not in caught.value.what


@pytest.mark.parametrize(
    ("password", "written"), [("a b#c", "'a b#c'"), ("it's", '"it\'s"'), ('say "x\\y"', "'say \"x\\y\"'")]
)
def test_other_passwords_stand_between_quotes_as_they_are(password: str, written: str) -> None:
    assert (
        f"password = {written}\n" in render_freeradius(site(accounts=account(password=password)))["mods-enabled/ldap"]
    )


def test_names_addresses_and_places_are_plain() -> None:
    for name, network in (
        ("a b", "10.0.0.1"),
        ("", "10.0.0.1"),
        ("ap", "10.0.0.1 }"),
        ("ap", ""),
        ("ap", "10.0.0.300"),
        ("ap", "fe80::1%a\n}\nclient all {\n  ipaddr = 0.0.0.0/0"),  # to Python this is an address with a zone
    ):
        with pytest.raises(InvalidValue):
            RadiusClient(name, network, "secret")
    with pytest.raises(InvalidValue):
        render_freeradius(site(directory="/etc/free radius"))
    with pytest.raises(InvalidValue):
        render_freeradius(site(port=70000))
    with pytest.raises(InvalidValue):
        render_freeradius(site(revocation=Revocation.CRL, crl_urls={"a": "http://x/$(id)"}))
    with pytest.raises(InvalidValue):
        AccountRule(uris=("ldap://dc1.contoso.com",), base="DC=x", user="u", password="p")
