# SPDX-License-Identifier: Apache-2.0
"""Real SCEP clients, driven by their command lines: micromdm's scepclient, strongSwan's pki, certmonger.

Each keeps its key and certificate in its Place, so that a second call continues the first. ``root`` is given to
clients that need it where GetCACert does not carry the whole chain.
"""

from __future__ import annotations

import re
import shlex
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from asn1crypto import cms
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.outside.places import TRIXIE, Place
from tests.outside.tools import Ran, require_tool

ORGANIZATION: Final = "Interop"


class End(Enum):
    """What the client itself believes to have come of it."""

    ISSUED = "issued"
    REFUSED = "refused"
    PENDING = "pending"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attempt ended, the certificate that the client stored, and what it said."""

    end: End
    certificate: x509.Certificate | None
    text: str

    def must_be(self, end: End) -> Outcome:
        """Itself, when it ended like that; else fails with what the client said."""
        assert self.end is end, f"expected {end.value}, got {self.end.value}:\n{self.text}"
        return self

    @property
    def issued(self) -> x509.Certificate:
        """The certificate of an attempt that succeeded."""
        self.must_be(End.ISSUED)
        assert self.certificate is not None, f"the client stored no certificate:\n{self.text}"
        return self.certificate


class ScepClient(Protocol):
    """One client program in one place."""

    legacy: bool
    """Whether it needs the switch for legacy devices (DES, SHA-1)."""

    def enroll(self, url: str, *, challenge: str, name: str) -> Outcome:
        """Asks for a certificate for CN ``name``."""

    def poll(self, url: str) -> Outcome:
        """Asks again for what was pending."""

    def renew(self, url: str, *, challenge: str) -> Outcome:
        """Renews what ``enroll`` brought; ``challenge`` is for clients that cannot do without."""


def ca_certificates(url: str) -> Sequence[x509.Certificate]:
    """What GetCACert gives: the RA certificate first, then its chain."""
    with urllib.request.urlopen(f"{url}?operation=GetCACert", timeout=10) as answer:
        signed = cms.ContentInfo.load(answer.read())["content"]
    return [x509.load_der_x509_certificate(choice.chosen.dump()) for choice in signed["certificates"]]


def new_key() -> bytes:
    """An RSA key as PEM, in the old form that every client reads."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def _certificate(pem: bytes) -> x509.Certificate | None:
    return x509.load_pem_x509_certificate(pem) if b"-----BEGIN CERTIFICATE" in pem else None


class Micromdm:
    """scepclient: DES and SHA-1 whatever is offered. Version 2.1.0 on Debian 12, 2.3.0 on Debian 13."""

    legacy = True
    waits: Final = 8.0  # on PENDING it sleeps for 30 s and asks again, for ever

    def __init__(self, place: Place, root: x509.Certificate | None = None) -> None:
        self._place = place
        self._arguments: list[str] = []

    def enroll(self, url: str, *, challenge: str, name: str) -> Outcome:
        ra, *chain = ca_certificates(url)
        self._place.write("client.key", new_key())
        self._arguments = ["scepclient", "-server-url", url, "-private-key", "client.key", "-certificate", "client.pem"]
        self._arguments += ["-cn", name, "-organization", ORGANIZATION, "-challenge", challenge, "-debug"]
        if not all(isinstance(certificate.public_key(), rsa.RSAPublicKey) for certificate in chain):
            # It encrypts to every certificate of GetCACert and stops at one without RSA key.
            fingerprint = ["-ca-fingerprint", ra.fingerprint(hashes.SHA256()).hex()]
            self._arguments += ["-key-encipherment-selector"] if self._place.name == TRIXIE else fingerprint
        return self._run()

    def poll(self, url: str) -> Outcome:
        return self._run()

    def renew(self, url: str, *, challenge: str) -> Outcome:
        # With key and certificate at hand it sends RenewalReq, and the challenge again.
        self._arguments[self._arguments.index("-challenge") + 1] = challenge
        return self._run()

    def _run(self) -> Outcome:
        before = self._place.read("client.pem")
        ran = self._place.run(self._arguments, seconds=self.waits)
        pem = self._place.read("client.pem")
        if ran.code == 0 and pem != before:
            return Outcome(End.ISSUED, _certificate(pem), ran.text)
        if re.search(r"pkiStatus=?\W*(PENDING|3)\b|PENDING", ran.text):
            return Outcome(End.PENDING, None, ran.text)
        refused = re.search(r"failInfo|FAILURE", ran.text) is not None
        return Outcome(End.REFUSED if refused else End.BROKEN, None, ran.text)


class Strongswan:
    """pki --scep: AES-128 and SHA-256, POST without Content-Type. Version 5.9.8 on Debian 12, 6.0 on Debian 13."""

    legacy = False

    def __init__(self, place: Place, root: x509.Certificate | None = None) -> None:
        self._place = place
        self._root = root
        self._name = ""
        self._trust: list[str] = []

    def enroll(self, url: str, *, challenge: str, name: str) -> Outcome:
        fetched = self._place.run(
            ["pki", "--scepca", "--url", url, "--caout", "ca.pem", "--raout", "ra.pem", "--outform", "pem", "--force"]
        )
        self._name = name
        ra, *chain = ca_certificates(url)
        if self._root is not None:  # pki keeps nothing of an answer whose root it does not know
            chain = [*chain, self._root]
            self._place.write("ra.pem", ra.public_bytes(Encoding.PEM))
        if _certificate(self._place.read("ra.pem")) != ra:
            return Outcome(End.BROKEN, None, f"pki --scepca stored another RA certificate, or none:\n{fetched.text}")
        self._trust = ["--cacert-enc", "ra.pem", "--cacert-sig", "ra.pem"]
        for number, certificate in enumerate(chain):  # without them it does not trust the RA certificate
            written = self._place.write(f"trust-{number}.pem", certificate.public_bytes(Encoding.PEM))
            self._trust += ["--cacert", written]
        self._place.write("key.pem", new_key())
        return self._run(url, ["--in", "key.pem", "--password", challenge, "--san", name])

    def poll(self, url: str) -> Outcome:
        raise AssertionError("pki polls by itself, within one run")

    def renew(self, url: str, *, challenge: str) -> Outcome:
        self._place.write("new-key.pem", new_key())
        return self._run(url, ["--in", "new-key.pem", "--cert", "cert.pem", "--key", "key.pem", "--san", self._name])

    def _run(self, url: str, more: Sequence[str]) -> Outcome:
        command = ["pki", "--scep", "--url", url, "--dn", f"O={ORGANIZATION}, CN={self._name}", *more, *self._trust]
        ran = self._place.run([*command, "--outform", "pem", "--interval", "1", "--maxpolltime", "4"], seconds=30)
        if ran.code == 0:
            self._place.write("cert.pem", ran.out)
            if "new-key.pem" in more:
                self._place.write("key.pem", self._place.read("new-key.pem"))
            return Outcome(End.ISSUED, _certificate(ran.out), ran.err.decode("utf-8", "replace"))
        if "maximum poll time" in ran.text or "pending" in ran.text.lower():
            return Outcome(End.PENDING, None, ran.text)
        refused = re.search(r"failure|failInfo|rejected|badRequest|badMessageCheck", ran.text, re.IGNORECASE)
        return Outcome(End.REFUSED if refused else End.BROKEN, None, ran.text)


class Certmonger:
    """certmonger with its SCEP helper: always GET, AES-256. A private daemon for each call: no D-Bus, no systemd."""

    legacy = False
    _states: Final[Mapping[str, End]] = {
        "MONITORING": End.ISSUED,
        "CA_REJECTED": End.REFUSED,
        "CA_UNREACHABLE": End.BROKEN,
        "CA_WORKING": End.PENDING,
    }

    def __init__(self, place: Place, root: x509.Certificate | None = None) -> None:
        self._place = place
        self._root = root
        for name in ("requests", "cas", "tmp", "config", "local", "out"):
            (place.directory / name).mkdir()
        place.write("config/certmonger.conf", b"[defaults]\n[scep]\n")

    def enroll(self, url: str, *, challenge: str, name: str) -> Outcome:
        subject = shlex.quote(f"CN={name},O={ORGANIZATION}")
        trust = ""
        if self._root is not None:
            ra, *chain = ca_certificates(url)
            self._place.write("root.pem", self._root.public_bytes(Encoding.PEM))
            self._place.write("ra.pem", ra.public_bytes(Encoding.PEM))
            self._place.write("chain.pem", b"".join(one.public_bytes(Encoding.PEM) for one in chain))
            trust = " -N $PWD/root.pem -r $PWD/ra.pem -I $PWD/chain.pem"
        return self._session(
            f"getcert add-scep-ca -c ours -u {shlex.quote(url)}{trust}",
            "n=0; until getcert list-cas -c ours | grep -q thumbprint || [ $n -gt 100 ]; do n=$((n+1)); sleep .1; done",
            "getcert request -c ours -I r1 -k $PWD/out/k.pem -f $PWD/out/c.pem"
            f" -N {subject} -D {name} -L {shlex.quote(challenge)} -w --wait-timeout 20",
        )

    def poll(self, url: str) -> Outcome:
        return self._session("getcert refresh -i r1", "sleep 2")

    def renew(self, url: str, *, challenge: str) -> Outcome:
        return self._session("getcert rekey -i r1 -w --wait-timeout 20")

    def _session(self, *lines: str) -> Outcome:
        script = "\n".join(['cd "${0%/*}"', *lines, "getcert list -i r1", ""])
        self._place.write("session.sh", script.encode())
        before = self._place.read("out/c.pem")
        names = ("REQUESTS_DIR requests", "CAS_DIR cas", "TMPDIR tmp", "CONFIG_DIR config", "LOCAL_CA_DIR local")
        settings = " ".join(f"CERTMONGER_{name.replace(' ', '=$PWD/')}" for name in names)
        daemon = f'{settings} exec certmonger -L -P $PWD/sock -n -d 1 -c "sh $PWD/session.sh"'
        if self._place.name != TRIXIE:
            require_tool("certmonger")
        # A daemon of ours and no other: the session ends with it, and so does everything it started.
        ran = self._place.run(["sh", "-c", daemon], seconds=60)
        return self._outcome(ran, before)

    def _outcome(self, ran: Ran, before: bytes) -> Outcome:
        states = re.findall(r"status: (\w+)", ran.text)
        end = self._states.get(states[-1] if states else "", End.BROKEN)
        pem = self._place.read("out/c.pem")
        if end is End.ISSUED and pem == before:
            end = End.BROKEN  # it went on watching the old certificate: the renewal did not work
        return Outcome(end, _certificate(pem), ran.text)


CLIENTS: Final[Mapping[str, type[Micromdm | Strongswan | Certmonger]]] = {
    "micromdm": Micromdm,
    "strongswan": Strongswan,
    "certmonger": Certmonger,
}
