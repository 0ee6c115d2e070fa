# SPDX-License-Identifier: Apache-2.0
"""Whatever way a request comes in, the last word is spoken over the bytes that are signed; and off means off."""

from __future__ import annotations

import ast
import base64
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from privyseal.ca import issuance
from privyseal.errors import IssuerPaused, LintFailed, PrivysealError
from privyseal.model.access import Role
from privyseal.x509 import der
from privyseal.x509.csr import parse_request
from privyseal.x509.lint import Finding
from tests.api import ApiHouse
from tests.architecture.sources import all_sources
from tests.device import Device, build_csr, extension
from tests.installation import Installation

ON_THE_ROAD = {
    "ca/issuance.py",
    "ca/ceremony.py",
    "ca/crl.py",
    "ca/external.py",
    "ca/form.py",
    "ca/founding.py",
    "ca/hierarchy.py",
    "ca/outside.py",
    "ca/renewal.py",
    "endpoints/ocsp.py",
    "ra/service.py",
}
"""Who may take a step of the road. A new one is a new way to a signature, and somebody has to have thought about it."""
STEPS = {"issue", "sign", "finish", "finish_ocsp", "prepare_certificate", "prepare_crl", "prepare_ocsp"}
SAN_OF_OTHERS = extension(
    "2.5.29.17", der.sequence(der.tlv(0x82, b"dc01.example.com"), der.tlv(0x81, b"administrator@example.com"))
)
FINAL = [Finding("planted", "the final bytes are not as the rules want them")]


def test_steps_of_the_road_are_taken_by_known_modules_only() -> None:
    found = {
        source.in_package
        for source in all_sources()
        if source.in_package
        for node in source.nodes()
        if isinstance(node, ast.ImportFrom)
        and node.module == "privyseal.ca.issuance"
        and STEPS & {alias.name for alias in node.names}
    }
    assert found | {"ca/issuance.py"} <= ON_THE_ROAD, sorted(found - ON_THE_ROAD)
    assert len(found) > 4


class Ways:
    """Every way in which a certificate for an end entity comes about. Each gives its code, 0 when it was issued."""

    def __init__(self, installation: Installation) -> None:
        self.service = installation
        self.api = ApiHouse(installation)
        self.token = self.api.token("otto", Role.OWNER)
        self.profile = "ways"
        self.manual = "asked"
        for name, fields in ((self.profile, {}), (self.manual, {"approval": "manual"})):
            installation.profile(name, **fields)
        self.old = Device(installation, profile=self.profile)
        self.old.enroll()
        self.approved = Device(installation, profile=self.manual)
        self.sent = self.approved.message(self.approved.csr(extensions=[SAN_OF_OTHERS]))
        self.approved.send(self.sent)
        ((number,),) = installation.rows("SELECT id FROM enrollments WHERE state = 'waiting'")
        decided = self.api.call("POST", f"/enrollments/{number}:decide", token=self.token, body={"decision": "approve"})
        assert decided.status == 200, decided.body

    def scep(self) -> int:
        device = Device(self.service, profile=self.profile)
        return self._told(device, device.message(device.csr(extensions=[SAN_OF_OTHERS])))

    def renewal(self) -> int:
        return self._told(self.old, self.old.renewal(csr=self.old.csr(challenge=None, extensions=[SAN_OF_OTHERS])))

    def approval(self) -> int:
        return self._told(self.approved, self.approved.poll(self.sent))

    def rest(self) -> int:
        device = Device(self.service)
        csr = build_csr(device.key, name="administrator", extensions=[SAN_OF_OTHERS])
        wish = {"profile": self.profile, "device": device.entity.name, "csr": base64.b64encode(csr).decode()}
        answer = self.api.call("POST", "/certificates", token=self.token, body=wish)
        assert answer.status == 201 or answer.code, answer.body
        return answer.code

    def operator(self) -> int:
        device = Device(self.service)
        request = parse_request(build_csr(device.key, name="administrator", extensions=[SAN_OF_OTHERS]))
        try:
            self.service.run(
                self.service.app.registration.issue_for(device.entity, self.profile, request, requester="cli:otto")
            )
        except PrivysealError as error:
            return error.code
        return 0

    def all(self) -> Iterator[tuple[str, Callable[[], int]]]:
        for name in ("scep", "renewal", "approval", "rest", "operator"):
            yield name, getattr(self, name)

    def _told(self, device: Device, sent: Any) -> int:
        reply = device.send(sent)
        return 0 if reply.certificates else device.refusal()[0]


@pytest.fixture(name="ways")
def fixture_ways(installation: Installation) -> Ways:
    return Ways(installation)


def newest(installation: Installation) -> x509.Certificate:
    """The certificate that was issued last."""
    ((number,),) = installation.rows("SELECT max(certificate_id) FROM certificate_signatures")
    return x509.load_der_x509_certificate(installation.app.certificates.encoded(number))


def test_what_the_final_bytes_do_not_pass_is_signed_by_no_way(ways: Ways) -> None:
    before = ways.service.count("certificate_signatures")
    with mock.patch.object(issuance, "lint_certificate", lambda *_: FINAL):
        for name, way in ways.all():
            assert way() == LintFailed.code, name
    assert ways.service.count("certificate_signatures") == before


def test_names_in_a_request_reach_no_certificate_by_any_way(ways: Ways) -> None:
    for name, way in ways.all():
        before = ways.service.count("certificate_signatures")
        assert way() == 0, name
        assert ways.service.count("certificate_signatures") == before + 1, name
        issued = newest(ways.service).public_bytes(Encoding.DER)
        assert b"dc01.example.com" not in issued and b"administrator" not in issued, name


def test_a_paused_ca_issues_by_no_way_and_goes_on_afterwards(ways: Ways) -> None:
    ways.api.act("ca.pause", name="issuing")
    before = ways.service.count("certificate_signatures")
    for name, way in ways.all():
        assert way() == IssuerPaused.code, name
    assert ways.service.count("certificate_signatures") == before
    ways.api.act("ca.resume", name="issuing")
    assert ways.scep() == 0


def test_a_profile_whose_scep_is_off_is_not_there_for_scep_and_others_are(ways: Ways) -> None:
    ways.service.profile(ways.profile, scep={"enabled": False})
    for operation in ("GetCACaps", "GetCACert", "GetNextCACert", "PKIOperation"):
        assert ways.service.get(f"/scep/{ways.profile}?operation={operation}").status == 404
    before = ways.service.count("certificate_signatures")
    assert ways.service.post(f"/scep/{ways.profile}?operation=PKIOperation", b"0\x00").status == 404
    assert ways.service.count("certificate_signatures") == before
    assert ways.rest() == 0


def test_a_shorter_life_than_was_asked_for_is_said_by_every_way(ways: Ways) -> None:
    ways.service.profile(ways.profile, validity="3000d", at_ca_end="shorten")
    end = ways.service.issuer.view.not_after
    for name, way in (("scep", ways.scep), ("rest", ways.rest), ("operator", ways.operator)):
        assert way() == 0, name
        assert newest(ways.service).not_valid_after_utc <= end
        ((detail,),) = ways.service.rows(
            "SELECT detail FROM audit WHERE event = 'certificate.reserved' ORDER BY seq DESC LIMIT 1"
        )
        assert "short" in detail, (name, detail)


def test_an_entity_that_is_disabled_gets_nothing_by_any_way_that_it_has(ways: Ways) -> None:
    ways.service.change("UPDATE entities SET enabled = 0")
    before = ways.service.count("certificate_signatures")
    assert ways.renewal() and ways.approval()
    assert ways.service.count("certificate_signatures") == before
