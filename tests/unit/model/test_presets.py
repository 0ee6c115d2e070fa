# SPDX-License-Identifier: Apache-2.0
"""Presets become profiles that hold what Windows, Samba, NPS and VPN servers look for."""

from __future__ import annotations

import pytest

from privyseal.errors import InvalidName, ProfileInvalid
from privyseal.model.presets import PRESET_NAMES, preset
from privyseal.model.profile import CertificateProfile, NamesFrom
from privyseal.model.profile_text import profile_from_data, profile_to_data


def _profile(name: str) -> CertificateProfile:
    given = {"domain": "Contoso.com", "netbios": "CONTOSO"} if name == "domain-controller" else {}
    return profile_from_data({"name": name, "issuer": "issuing", **preset(name, **given)})


@pytest.mark.parametrize("name", PRESET_NAMES)
def test_every_preset_is_a_profile_that_survives_its_text(name: str) -> None:
    profile = _profile(name)
    assert profile_from_data(profile_to_data(profile)) == profile


@pytest.mark.parametrize("name", ["user-logon", "user-wifi", "computer-wifi"])
def test_what_opens_doors_for_accounts_takes_names_and_sid_from_the_directory(name: str) -> None:
    profile = _profile(name)
    assert profile.names_from is NamesFrom.DIRECTORY
    assert profile.sid_extension
    assert any(rule.kind.value == "upn" for rule in profile.san)
    assert "1.3.6.1.5.5.7.3.2" in profile.ext_key_usage


def test_a_logon_certificate_has_both_purposes_and_an_rsa_key() -> None:
    profile = _profile("user-logon")
    assert set(profile.ext_key_usage) == {"1.3.6.1.5.5.7.3.2", "1.3.6.1.4.1.311.20.2.2"}
    assert not profile.key_rules.curves
    assert not profile.key_rules.ed25519


def test_a_computer_is_found_by_its_dns_name() -> None:
    assert "dns:{{device.dns_name}}" in preset("computer-wifi")["san"]


def test_a_domain_controller_has_host_domain_netbios_and_kpn() -> None:
    assert preset("domain-controller", domain="Contoso.com")["san"] == [
        "dns:{{device.dns_name}}",
        "dns:contoso.com",
        "dns:CONTOSO",
        "kpn:krbtgt/CONTOSO.COM@CONTOSO.COM",
    ]
    purposes = _profile("domain-controller").ext_key_usage
    assert {"1.3.6.1.5.2.3.5", "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"} < set(purposes)


def test_servers_have_a_subject_and_their_purposes() -> None:
    assert _profile("radius-server").ext_key_usage == ("1.3.6.1.5.5.7.3.1",)
    assert "1.3.6.1.5.5.8.2.2" in _profile("vpn-server").ext_key_usage


def test_a_domain_controller_without_domain_is_refused() -> None:
    with pytest.raises(ProfileInvalid, match="needs the domain"):
        preset("domain-controller")


@pytest.mark.parametrize("domain", ["con toso.com", "{{user.name}}", "a@b", "10.0.0.1"])
def test_a_domain_that_is_none_is_refused(domain: str) -> None:
    with pytest.raises(InvalidName):
        preset("domain-controller", domain=domain)


def test_a_long_or_dotted_netbios_name_is_refused() -> None:
    for netbios in ("A" * 16, "CON.TOSO"):
        with pytest.raises(ProfileInvalid):
            preset("domain-controller", domain="contoso.com", netbios=netbios)


def test_other_presets_take_no_domain_and_unknown_ones_are_named() -> None:
    with pytest.raises(ProfileInvalid, match="takes no domain"):
        preset("user-logon", domain="contoso.com")
    with pytest.raises(ProfileInvalid, match="there are user-logon"):
        preset("printer")


def test_only_what_takes_its_names_from_the_directory_is_published_there() -> None:
    data = {"name": "mail", "issuer": "issuing", **preset("user-logon"), "publish_to_directory": True}
    profile = profile_from_data(data)
    assert profile.publish_to_directory
    assert profile_from_data(profile_to_data(profile)) == profile
    with pytest.raises(ProfileInvalid, match="publishes to the directory"):
        profile_from_data({**data, "names_from": "entity"})
