# SPDX-License-Identifier: Apache-2.0
"""What every real SCEP client must be able to do with us, whatever the issuing CA's key is."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.interop.conftest import ServiceFactory
from tests.interop.service import Service
from tests.outside.looking import look_at_certificate
from tests.outside.places import PLACES, Place
from tests.outside.scep_clients import CLIENTS, Certmonger, End, Micromdm, Strongswan

Client = Micromdm | Strongswan | Certmonger
_numbers = itertools.count(1)


class ScepEnrolling:
    """Subclasses name the key of the CAs; pytest runs the tests once for each client and place."""

    issuer_key: ClassVar[str]

    @pytest.fixture
    def service(self, service_of: ServiceFactory) -> Service:
        return service_of(self.issuer_key)

    @pytest.fixture(params=[f"{name} on {place}" for place in PLACES for name in CLIENTS])
    def client(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Client]:
        name, _, where = request.param.partition(" on ")
        place = Place(where, tmp_path)
        yield CLIENTS[name](place)
        place.close()

    def _profile(self, service: Service, client: Client, *, manual: bool = False) -> tuple[str, str, str]:
        """A fresh profile and device: the profile's name, its SCEP URL, the device's name."""
        name = f"interop-{next(_numbers)}"
        # The whole chain: certmonger and pki stop at an issuing CA whose root they have never seen.
        url = service.create_profile(name, chain="ra-and-full-chain", legacy=client.legacy, manual=manual)
        return name, url, f"device-{name}"

    def _look(self, service: Service, certificate: x509.Certificate) -> None:
        look_at_certificate(certificate.public_bytes(Encoding.DER), service.chain())
        assert certificate.serial_number in service.serials()

    def test_enrolls_and_renews(self, service: Service, client: Client) -> None:
        profile, url, device = self._profile(service, client)
        challenge = service.create_challenge(profile, device)
        first = client.enroll(url, challenge=challenge, name=device).issued
        self._look(service, first)
        # The challenge is used up, so what proves the renewal is the certificate that signs it.
        second = client.renew(url, challenge=challenge).issued
        self._look(service, second)
        assert first.serial_number != second.serial_number
        assert first.subject == second.subject

    def test_reads_a_failure(self, service: Service, client: Client) -> None:
        _, url, device = self._profile(service, client)
        before = service.serials()
        client.enroll(url, challenge="not-a-challenge-of-ours", name=device).must_be(End.REFUSED)
        assert service.serials() == before

    def test_waits_while_pending_and_gets_it_after_approval(self, service: Service, client: Client) -> None:
        profile, url, device = self._profile(service, client, manual=True)
        before = service.serials()
        client.enroll(url, challenge=service.create_challenge(profile, device), name=device).must_be(End.PENDING)
        assert service.serials() == before
        service.approve_all()
        if not isinstance(client, Strongswan):  # pki polls within one run only, and forgets
            self._look(service, client.poll(url).issued)
