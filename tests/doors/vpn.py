# SPDX-License-Identifier: Apache-2.0
"""An IKEv2 gateway and a client with certificates of ours, and a service that the gateway reaches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.doors.house import ISSUING_CA, House, Paper
from tests.doors.wifi import USER_PROFILE, rsa_key
from tests.outside.ikev2 import Charon, Identity, Network, client_connection, dial, gateway_connections
from tests.outside.kdc import DOMAIN
from tests.outside.tools import require_tool

GATEWAY: Final = f"vpn.{DOMAIN}"
PC1, ALICE = f"pc1.{DOMAIN}", f"alice@{DOMAIN}"
DEVICE_PROFILE: Final = (
    *("--subject", "CN={{device.dns_name}}", "--san", "dns:{{device.dns_name}}", "--eku", "client-auth"),
)
Plugins = Mapping[str, Mapping[str, str]]


@contextmanager
def new_network() -> Iterator[Network]:
    """Two namespaces, with all programs at hand."""
    for program in ("charon-systemd", "swanctl", "ping"):
        require_tool(program)
    made = Network()
    try:
        yield made
    finally:
        made.stop()


@contextmanager
def new_house(network: Network, place: Path) -> Iterator[House]:
    """A service that the gateway reaches, with the preset for the gateway and profiles for clients."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PRIVYSEAL_DOORS_ADDRESS", network.here)
        made = House(place)
    made.start()
    try:
        made.ask.works("profile", "create", "vpn", "--issuer", ISSUING_CA, "--preset", "vpn-server")
        made.profile("vpn-device", *DEVICE_PROFILE)
        made.profile("vpn-user", *USER_PROFILE)
        yield made
    finally:
        made.stop()


def server_paper(house: House) -> Paper:
    """The gateway's certificate, from the preset as it is."""
    return house.issue("vpn", "device", "vpn1", "--dns-name", GATEWAY, key=rsa_key())


@dataclass(frozen=True, slots=True)
class Vpn:
    """A gateway and a client that can be anybody."""

    network: Network
    house: House
    gateway: Charon
    client: Charon

    def identity(self, name: str, paper: Paper) -> Identity:
        """A name with its certificate, in our PKI."""
        return Identity(
            name=name, certificate=paper.certificate, key=paper.key, roots=self.house.roots, issuers=self.house.issuing
        )

    def serve(self, paper: Paper, *, by_radius: bool = False) -> None:
        """The gateway shows this certificate, and knows nothing from before."""
        identity = self.identity(GATEWAY, paper)
        self.gateway.load(identity, gateway_connections(self.network, identity, by_radius=by_radius))

    def enters(self, name: str, paper: Paper, *, by: str = "pubkey", radius: str = "") -> bool:
        """One attempt; whether the tunnel carries packets. Up without packets, or packets without it, is a fault."""
        identity = self.identity(name, paper)
        self.client.load(identity, client_connection(self.network, identity, way=by, server=GATEWAY, radius=radius))
        ended = dial(self.client)
        carried = self.network.reaches_what_is_behind()
        assert carried == (ended.code == 0), ended.text
        return carried


@contextmanager
def running(network: Network, house: House, place: Path, *, plugins: Plugins) -> Iterator[Vpn]:
    """Both daemons; ``plugins`` are the gateway's."""
    made: dict[str, Charon] = {}
    sides: dict[str, Plugins] = {"gateway": plugins, "client": {}}
    for side, options in sides.items():
        (place / side).mkdir()
        made[side] = Charon(network, side, directory=place / side, plugins=options)
    try:
        for charon in made.values():
            charon.start()
        yield Vpn(network, house, made["gateway"], made["client"])
    finally:
        for charon in made.values():
            charon.stop()
