# SPDX-License-Identifier: Apache-2.0
"""Profiles, durations, serials and reasons: what is written is what is read, and nonsense is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privyseal.errors import InvalidValue, ParameterNotFitting, PrivysealError, ProfileInvalid, UnknownVariable
from privyseal.model.authority import CrlRules
from privyseal.model.certificate import format_serial, parse_serial
from privyseal.model.challenge import challenge_hash
from privyseal.model.durations import format_duration, parse_duration
from privyseal.model.entity import ATTRIBUTES, EntityKind, check_attributes
from privyseal.model.profile_text import profile_from_data, profile_to_data
from privyseal.model.revocation import CrlReason

DATA: dict[str, Any] = {
    "name": "wifi",
    "issuer": "issuing",
    "subject": "CN={{device.name}},O=Example",
    "san": ["dns:{{device.dns_name}}"],
}


def test_a_profile_survives_being_written_and_read() -> None:
    for more in (
        {}, {"sid_extension": True, "sid_uri": True}, {"approval": "manual", "at_ca_end": "shorten"},
        {"key": {"rsa_minimum": 3072, "curves": ["P-384"], "ed25519": False}},
        {"scep": {"enabled": False, "legacy_devices": True, "renewal_needs_challenge": True, "chain": "ra-only"}},
        {"ext_key_usage": ["server-auth", "client-auth"], "key_usage": ["digital-signature"], "validity": "90m"},
    ):  # fmt: skip
        profile = profile_from_data(DATA | more)
        assert profile_from_data(profile_to_data(profile)) == profile


@pytest.mark.parametrize(
    "wrong",
    [{"name": ""}, {"name": "a b"}, {"name": "x" * 65}, {"nonsense": 1}, {"key": {"nonsense": 1}}, {"key": 7},
     {"scep": {"chain": "ca-only"}}, {"scep": {"enabled": "yes"}}, {"approval": "maybe"}, {"validity": "4m"},
     {"validity": "11y"}, {"renew_at_percent": 100}, {"renew_at_percent": -1}, {"renew_at_percent": True},
     {"ext_key_usage": []}, {"ext_key_usage": ["any"]}, {"ext_key_usage": "client-auth"}, {"key_usage": []},
     {"key_usage": ["key-cert-sign"]}, {"subject": "CN=fixed", "san": []}, {"san": ["dns"]}, {"san": ["x:y"]},
     {"subject": "CN={{device.nonsense}}"}, {"subject": "CN={{user.name}}"}, {"subject": "nonsense"}],
)  # fmt: skip
def test_a_profile_that_makes_no_sense_is_refused_when_it_is_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(PrivysealError):
        profile_from_data(DATA | wrong)


def test_a_profile_that_is_changed_is_checked_again() -> None:
    profile = profile_from_data(DATA)
    with pytest.raises(ProfileInvalid):
        replace(profile, validity=timedelta(days=10_000))
    with pytest.raises(UnknownVariable):
        profile_from_data(DATA | {"san": ["dns:{{device.sidd}}"]})


@given(seconds=st.integers(1, 100 * 365 * 86400))
def test_durations_survive_being_written_and_read(seconds: int) -> None:
    span = timedelta(seconds=seconds)
    assert parse_duration(format_duration(span)) == span


@given(text=st.text(max_size=12))
def test_any_text_is_a_duration_or_an_error_of_ours(text: str) -> None:
    try:
        assert timedelta(0) < parse_duration(text) <= timedelta(days=36500)
    except InvalidValue as error:
        assert error.code


@given(serial=st.integers(0, (1 << 160) - 1))
def test_serials_survive_being_written_and_read(serial: int) -> None:
    text = format_serial(serial)
    assert parse_serial(text) == serial
    pairs = ":".join(text[at : at + 2] for at in range(0, len(text), 2))
    assert parse_serial(pairs.upper()) == serial
    assert parse_serial(f"0x{text}") == serial


@given(text=st.text(max_size=50))
def test_any_text_is_a_serial_or_an_error_of_ours(text: str) -> None:
    try:
        assert parse_serial(text) >= 0
    except InvalidValue as error:
        assert error.code


def test_reasons_are_known_by_their_labels_only() -> None:
    for reason in CrlReason:
        assert CrlReason.parse(reason.label) is reason
    with pytest.raises(InvalidValue):
        CrlReason.parse("remove-from-crl")


@given(text=st.text())
def test_any_text_can_be_looked_up_as_a_challenge(text: str) -> None:
    assert len(challenge_hash(text)) == 32


def test_a_crl_is_replaced_before_it_runs_out_or_the_rules_are_refused() -> None:
    assert CrlRules().publish_every < CrlRules().validity
    for validity, interval in ((7, 7), (7, 8), (400, 3)):
        with pytest.raises(ParameterNotFitting):
            CrlRules(validity=timedelta(days=validity), publish_every=timedelta(days=interval))


@pytest.mark.parametrize("kind", list(EntityKind))
def test_unknown_attributes_are_refused(kind: EntityKind) -> None:
    assert "name" in ATTRIBUTES[kind]
    with pytest.raises(InvalidValue):
        check_attributes(kind, {"name": "x", "nonsense": "y"})
