# SPDX-License-Identifier: Apache-2.0
"""strongSwan's charon as VPN gateway and as client, each in a network namespace of its own. Nothing here knows
Privyseal.

    this machine --- gateway --- client        ESP is done in user space, so that any kernel will do
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.outside.tools import Ran, require_root, require_tool, run

START_SECONDS: Final = 15.0
BEHIND: Final = "10.99.0.1"
"""What only the tunnel leads to."""
_PLUGINS: Final = (
    "random nonce openssl pem pkcs1 pkcs8 x509 pubkey constraints revocation curl kdf hmac sha1 sha2 aes gcm "
    "kernel-libipsec kernel-netlink socket-default vici updown eap-identity eap-tls eap-radius"
)
_DAEMON: Final = """charon-systemd {{
  load = {load}
  plugins {{
    vici {{
      socket = unix://{socket}
    }}
{options}
  }}
  filelog {{
    one {{
      path = {log}
      flush_line = yes
      default = 1
      cfg = 2
    }}
  }}
}}
libtls {{
  version_max = 1.2
}}
"""  # the client's TLS 1.3 ends charon 5.9.8 when FreeRADIUS is the other side
_PROPOSAL: Final = "aes256gcm16-prfsha384-ecp384"
_numbers = itertools.count(1)


class Network:
    """Two namespaces and their wires; ``stop`` removes them with all that runs inside."""

    def __init__(self) -> None:
        require_root("a VPN is tried in network namespaces")
        self._ip = require_tool("ip")
        number = next(_numbers)
        self.names = {side: f"pv{os.getpid() % 100000}{side[0]}{number}" for side in ("gateway", "client")}
        third = os.getpid() % 200 + 20
        self.here, self.gateway = f"10.{third}.{number}.1", f"10.{third}.{number}.2"
        self.outside, self.client = f"10.{third}.{number + 100}.1", f"10.{third}.{number + 100}.2"
        try:
            self._build()
        except BaseException:
            self.stop()
            raise

    def _build(self) -> None:
        gateway, client = self.names["gateway"], self.names["client"]
        for name in (gateway, client):
            self.ip("netns", "add", name)
            self.ip("-n", name, "link", "set", "lo", "up")
        self.ip("link", "add", gateway, "type", "veth", "peer", "name", "pki", "netns", gateway)
        self.ip("link", "add", "wan", "netns", gateway, "type", "veth", "peer", "name", "wan", "netns", client)
        self.ip("addr", "add", f"{self.here}/24", "dev", gateway)
        self.ip("link", "set", gateway, "up")
        for name, link, address in (
            (gateway, "pki", f"{self.gateway}/24"),
            (gateway, "wan", f"{self.outside}/24"),
            (gateway, "lo", f"{BEHIND}/32"),
            (client, "wan", f"{self.client}/24"),
        ):
            self.ip("-n", name, "addr", "add", address, "dev", link)
            self.ip("-n", name, "link", "set", link, "up")

    def ip(self, *arguments: str) -> None:
        """``ip``, which must work."""
        run([self._ip, *arguments]).must_work()

    def inside(self, side: str) -> list[str | Path]:
        """The words before a command that is to run in the namespace of ``side``."""
        return [self._ip, "netns", "exec", self.names[side]]

    def reaches_what_is_behind(self) -> bool:
        """Whether the client gets an answer through the tunnel."""
        return run([*self.inside("client"), require_tool("ping"), "-c", "1", "-W", "1", BEHIND]).code == 0

    def stop(self) -> None:
        """Removes namespaces, and with them the wires."""
        for name in self.names.values():
            run([self._ip, "netns", "del", name])


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who one side is: PEM files, and the name it says; ``issuers`` are sent and used to build chains."""

    name: str
    certificate: Path
    key: Path
    roots: Path
    issuers: Path


class Charon:
    """One IKE daemon in ``directory``, on one side of the network."""

    def __init__(
        self, network: Network, side: str, *, directory: Path, plugins: Mapping[str, Mapping[str, str]]
    ) -> None:
        self._network, self._side = network, side
        self._program, self._control = require_tool("charon-systemd"), require_tool("swanctl")
        self._socket = directory / "vici"
        self._process: subprocess.Popen[bytes] | None = None
        self._log = directory / "log"
        self._swanctl = directory / "swanctl"
        for name in ("x509", "x509ca", "private"):
            (self._swanctl / name).mkdir(parents=True)
        blocks = []
        for name, values in plugins.items():
            blocks += [f"    {name} {{", *(f"      {key} = {value}" for key, value in values.items()), "    }"]
        (directory / "strongswan.conf").write_text(
            _DAEMON.format(load=_PLUGINS, socket=self._socket, log=self._log, options="\n".join(blocks))
        )
        self._environment = {
            "STRONGSWAN_CONF": str(directory / "strongswan.conf"),
            "SWANCTL_DIR": str(self._swanctl),
        }

    def start(self) -> None:
        """Starts it and waits until it can be spoken to."""
        self._process = subprocess.Popen(
            [*self._network.inside(self._side), str(self._program)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **self._environment},
        )
        until = time.monotonic() + START_SECONDS
        while self.control("--stats").code != 0:
            if self._process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"charon did not start:\n{self.log[-3000:]}")
            time.sleep(0.05)

    @property
    def log(self) -> str:
        """What it wrote so far."""
        return self._log.read_text("utf-8", "replace") if self._log.exists() else ""

    def control(self, *words: str) -> Ran:
        """``swanctl``."""
        command: list[str | Path] = [self._control, *words, "--uri", f"unix://{self._socket}"]
        return run(command, environment=self._environment, seconds=20)

    def load(self, identity: Identity, connections: str) -> None:
        """Forgets everything, and takes one identity and the connections with it."""
        shutil.copy(identity.certificate, self._swanctl / "x509" / "own.pem")
        shutil.copy(identity.key, self._swanctl / "private" / "own.key")
        shutil.copy(identity.roots, self._swanctl / "x509ca" / "root.pem")
        shutil.copy(identity.issuers, self._swanctl / "x509ca" / "issuing.pem")
        (self._swanctl / "swanctl.conf").write_text(connections)
        self.control("--flush-certs").must_work()
        self.control("--load-all", "--clear").must_work()

    def forget_answers(self) -> None:
        """Drops the CRLs and OCSP answers that it keeps until they end."""
        for kind in ("x509_crl", "ocsp_response"):
            self.control("--flush-certs", "--type", kind).must_work()

    def stop(self) -> None:
        """Ends it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(10)
            self._process.kill()
            self._process.wait()
            self._process = None


def gateway_connections(network: Network, identity: Identity, *, by_radius: bool = False) -> str:
    """Clients by certificate, in IKE itself or by EAP-TLS, here or at a RADIUS server; revocation must be known."""
    local = f"local {{\n auth = pubkey\n certs = own.pem\n id = {identity.name}\n }}"
    first = (
        f"version = 2\n local_addrs = {network.outside}\n proposals = {_PROPOSAL}\n pools = inner\n send_cert = always"
    )
    child = f"children {{\n lan {{\n local_ts = {BEHIND}/32\n esp_proposals = aes256gcm16\n }}\n }}"
    strict = "cacerts = issuing.pem\n revocation = strict"
    remotes = {
        "device": f"auth = pubkey\n {strict}",
        "user": "auth = eap-radius\n eap_id = %any\n id = %any"
        if by_radius
        else f"auth = eap-tls\n eap_id = %any\n id = %any\n {strict}",
    }
    each = [f"{name} {{\n {first}\n {local}\n remote {{\n {how}\n }}\n {child}\n }}" for name, how in remotes.items()]
    joined = "\n".join(each)
    return f"connections {{\n{joined}\n}}\npools {{\n inner {{\n addrs = 10.98.0.0/24\n }}\n}}\n"


def client_connection(network: Network, identity: Identity, *, way: str, server: str, radius: str = "") -> str:
    """To a gateway that must be called ``server``; ``way`` is pubkey or eap-tls, the latter perhaps to ``radius``."""
    who = f"id = {identity.name}" + (f"\n eap_id = {identity.name}" if way == "eap-tls" else "")
    who += f"\n aaa_id = {radius}" if radius else ""
    return (
        f"connections {{\n home {{\n version = 2\n remote_addrs = {network.outside}\n vips = 0.0.0.0\n"
        f" proposals = {_PROPOSAL}\n send_cert = always\n"
        f" local {{\n auth = {way}\n certs = own.pem\n {who}\n }}\n"
        f" remote {{\n auth = pubkey\n id = {server}\n revocation = relaxed\n }}\n"
        f" children {{\n home {{\n remote_ts = {BEHIND}/32\n esp_proposals = aes256gcm16\n }}\n }}\n }}\n}}\n"
    )


def dial(client: Charon) -> Ran:
    """One attempt; code 0 means that the tunnel is up. The one before is ended."""
    client.control("--terminate", "--ike", "home", "--force")
    return client.control("--initiate", "--child", "home")
