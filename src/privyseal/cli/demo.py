# SPDX-License-Identifier: Apache-2.0
"""``privyseal demo``: a throw-away PKI, used from outside as a device and a relying party would."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import click
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from privyseal.adapters.clock import SystemClock, SystemRng
from privyseal.adapters.fetch import fetch
from privyseal.adapters.files import write_atomically
from privyseal.adapters.relying_party import SeenCrl, SeenOcsp, check_crl, check_ocsp
from privyseal.adapters.scep_client import Enrolled, ScepClient
from privyseal.bootstrap import Application, build
from privyseal.ca.founding import found_ca
from privyseal.ca.issuer import Issuer
from privyseal.cli.output import moment
from privyseal.cli.session import Session
from privyseal.cli.stages import Stages
from privyseal.cli.verb import verb
from privyseal.config import CONFIG_NAME, Settings, render_settings
from privyseal.errors import PrivysealError, ServerAnsweredWrongly, ServerUnreachable
from privyseal.model.authority import CaKind, CaRequest, CrlRules
from privyseal.model.certificate import format_serial
from privyseal.model.challenge import challenge_hash
from privyseal.model.entity import EntityKind
from privyseal.model.profile_text import profile_from_data
from privyseal.x509.algorithms import KeyType
from privyseal.x509.names import DistinguishedName

_DEVICE: Final = "LAPTOP-DEMO"
_PROFILE: Final = "wifi-device"
_START_SECONDS: Final = 15.0
_ACTOR: Final = "demo"


@dataclass(frozen=True, slots=True)
class _Demo:
    """What the demo made and saw."""

    root: Issuer
    issuing: Issuer
    challenge: str
    settings: Settings
    passphrase: Path


@verb("demo", examples=("demo", "demo --once ./demo-files", "demo --ad"))
@click.option(
    "--once",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Leave the files in DIR and end, instead of serving on.",
)
@click.option("--ad", is_flag=True, help="With a throw-away Active Directory and Wi-Fi; needs root, Samba, FreeRADIUS.")
def command(session: Session, once: Path | None, ad: bool) -> None:
    """Make a two-tier PKI, enroll a device by SCEP, and check CRL and OCSP from outside the server process.

    Everything is thrown away at the end, and every subject carries DEMO. Without --once the server stays
    up, so that you can try your own SCEP client on it; Ctrl-C ends it.

    With --ad it makes a domain too, publishes the CAs there, logs on with certificates, walks into a Wi-Fi,
    revokes, is refused, and ends.
    """
    if ad:
        if once is not None:
            raise click.UsageError("say --ad or --once, not both", click.get_current_context())
        from privyseal.cli.demo_ad import run_ad_demo

        run_ad_demo()
        return
    begun, stages = time.perf_counter(), Stages()
    with _throwaway_directory() as home:
        print(f"  Demo PKI in {home} (deleted at the end; every subject carries DEMO)", flush=True)
        demo = asyncio.run(_prepare(home, stages))
        with _server(demo):
            enrolled, crl, ocsp = _use(demo, stages)
            print(f"  Ready in {time.perf_counter() - begun:.1f} s", flush=True)
            if once is not None:
                _leave_files(once, demo, enrolled, crl, ocsp=ocsp, stages=stages)
                print(f"  Files are in {once}", flush=True)
                return
            _serve_on(demo)


async def _prepare(home: Path, stages: Stages) -> _Demo:
    """The PKI itself, made the way `privyseal init` and `privyseal ca create` make it."""
    listen = f"127.0.0.1:{_free_port()}"
    settings = Settings(home=home, organization="DEMO", public_url=f"http://{listen}", listen=listen)
    rng = SystemRng()
    passphrase = home / "passphrase"
    write_atomically(passphrase, rng.bytes(20).hex().encode())
    write_atomically(home / CONFIG_NAME, render_settings(settings).encode())
    application = build(settings, passphrase=passphrase.read_text(), create=True)
    try:
        with stages.stage("Root CA"):
            root = await _found(application, "demo-root", "DEMO Root CA", parent=None)
            stages.tell(_line(root))
        with stages.stage("Issuing CA"):
            issuing = await _found(application, "demo-issuing", "DEMO Issuing CA 1", parent="demo-root")
            stages.tell(_line(issuing))
        with stages.stage("Profile"):
            challenge = await _profile_and_device(application, rng)
            stages.tell(f"{_PROFILE:<18} SCEP {settings.public_url}/scep/{_PROFILE}")
        return _Demo(root, issuing, challenge, settings, passphrase)
    finally:
        application.close()


async def _found(application: Application, name: str, common_name: str, *, parent: str | None) -> Issuer:
    request = CaRequest(
        name=name,
        kind=CaKind.ROOT if parent is None else CaKind.ISSUING,
        parent=parent,
        subject=DistinguishedName.parse(f"CN={common_name},O=DEMO"),
        key_type=KeyType.RSA_2048,
        hash_name=None,
        validity=timedelta(days=7 if parent is None else 6),
        path_length=1 if parent is None else 0,
        ext_key_usage=(),
        crl=CrlRules(validity=timedelta(days=1), publish_every=timedelta(hours=12)),
    )
    record = await found_ca(request, application.workshop(), actor=_ACTOR)
    return Issuer(record, application.settings.public_url)


async def _profile_and_device(application: Application, rng: SystemRng) -> str:
    profile = profile_from_data(
        {
            "name": _PROFILE,
            "issuer": "demo-issuing",
            "subject": "CN={{device.name}},OU=DEMO",
            "san": ["dns:{{device.dns_name}}"],
            "validity": "1d",
            "renew_at_percent": 0,
        }
    )
    await application.profiles.save(profile, replace_existing=False, actor=_ACTOR)
    attributes = {"name": _DEVICE, "dns_name": "laptop-demo.demo.example"}
    device = await application.entities.create(EntityKind.DEVICE, attributes, actor=_ACTOR)
    challenge = rng.bytes(20).hex()
    await application.entities.create_challenge(
        challenge_hash(challenge),
        profile=_PROFILE,
        entity=device,
        expires_at=application.clock.now() + timedelta(hours=1),
        actor=_ACTOR,
    )
    return challenge


def _use(demo: _Demo, stages: Stages) -> tuple[Enrolled, SeenCrl, SeenOcsp]:
    """What a device and a relying party do, over HTTP only."""
    clock, issuing = SystemClock(), x509.load_der_x509_certificate(demo.issuing.view.encoded)
    with stages.stage("Certificate"):
        client = ScepClient(f"{demo.settings.public_url}/scep/{_PROFILE}", SystemRng())
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        enrolled = client.enroll(client.server(), key=key, name=_DEVICE, challenge=demo.challenge, now=clock.now())
        stages.tell(f"{_DEVICE:<18} {_short(enrolled.certificate)}  by SCEP over HTTP")
    with stages.stage("CRL"):
        crl = check_crl(enrolled.certificate, issuing, now=clock.now())
        stages.tell(
            f"number {crl.number:<11} fetched from outside, signature verified, valid to {moment(crl.next_update)}"
        )
    with stages.stage("OCSP"):
        ocsp = check_ocsp(enrolled.certificate, issuing, now=clock.now())
        if ocsp.status != "good":
            raise ServerAnsweredWrongly(f"OCSP says {ocsp.status} of a certificate that was issued a moment ago")
        stages.tell(f"{ocsp.status:<18} answered by a delegated responder, signature verified")
    return enrolled, crl, ocsp


def _leave_files(
    directory: Path, demo: _Demo, enrolled: Enrolled, crl: SeenCrl, *, ocsp: SeenOcsp, stages: Stages
) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    root, issuing = (x509.load_der_x509_certificate(ca.view.encoded) for ca in (demo.root, demo.issuing))
    pems = [one.public_bytes(Encoding.PEM) for one in (root, issuing, enrolled.certificate)]
    key = enrolled.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = {
        "root-ca.pem": pems[0],
        "issuing-ca.pem": pems[1],
        "chain.pem": pems[1] + pems[0],
        "device.pem": pems[2],
        "issuing-ca.crl": crl.encoded,
        "ocsp-response.der": ocsp.encoded,
    }
    for name, content in public.items():
        write_atomically(directory / name, content, mode=0o644)
    write_atomically(directory / "device.key", key, mode=0o600)
    certificates = {"root_ca": root, "issuing_ca": issuing, "device": enrolled.certificate}
    summary = {
        "urls": {
            "scep": f"{demo.settings.public_url}/scep/{_PROFILE}",
            "crl": crl.url,
            "ocsp": ocsp.url,
            "ca_issuers": demo.issuing.urls.ca_issuers,
        },
        "fingerprints_sha256": {name: _fingerprint(one) for name, one in certificates.items()},
        "serials": {name: format_serial(one.serial_number) for name, one in certificates.items()},
        "crl_number": crl.number,
        "ocsp_status": ocsp.status,
        "seconds": stages.seconds,
    }
    write_atomically(directory / "summary.json", json.dumps(summary, indent=2).encode() + b"\n", mode=0o644)


def _say_what_next(demo: _Demo) -> None:
    base = demo.settings.public_url
    flags = f"--home {demo.settings.home} --passphrase-file {demo.passphrase}"
    print(
        f"""
  Still serving. Try, in another terminal:
    curl '{base}/scep/{_PROFILE}?operation=GetCACaps'
    privyseal {flags} certificate list
    privyseal {flags} scep challenge create --profile {_PROFILE} --device {_DEVICE}
    privyseal {flags} scep test {_PROFILE}
  The real thing:  privyseal init --help
  Ctrl-C ends the demo and deletes it.""",
        flush=True,
    )


@contextmanager
def _server(demo: _Demo) -> Iterator[None]:
    """The server in a process of its own, so that whatever is checked is checked from outside."""
    log = demo.settings.home / "server.log"
    command = [sys.executable, "-P", "-m", "privyseal", "--home", str(demo.settings.home)]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*command, "--passphrase-file", str(demo.passphrase), "serve"],
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    try:
        _wait_until_ready(demo, process, log)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _wait_until_ready(demo: _Demo, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while True:
        try:
            fetch(f"{demo.settings.public_url}/readyz", seconds=2)
            return
        except PrivysealError as error:
            if process.poll() is not None or time.monotonic() > end:
                tail = log.read_text("utf-8", "replace")[-400:].strip()
                raise ServerUnreachable(
                    f"the demo's server did not start: {tail or 'it said nothing'}",
                    mend=("run `privyseal demo` again", "look for a program that blocks loopback connections"),
                ) from error
            time.sleep(0.02)


@contextmanager
def _throwaway_directory() -> Iterator[Path]:
    """A private directory that goes, with its keys, when the demo ends; SIGTERM ends it like Ctrl-C."""
    signal.signal(signal.SIGTERM, lambda number, frame: signal.raise_signal(signal.SIGINT))
    directory = Path(tempfile.mkdtemp(prefix="privyseal-demo-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


def _serve_on(demo: _Demo) -> None:
    """Until Ctrl-C, which counts from the first word of what to try next."""
    try:
        _say_what_next(demo)
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        print("\n  Ended; the demo is deleted.", flush=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _line(issuer: Issuer) -> str:
    certificate = x509.load_der_x509_certificate(issuer.view.encoded)
    name = DistinguishedName.from_der(issuer.view.subject).common_name or ""
    return f"{name:<18} {_short(certificate)}  valid to {issuer.view.not_after:%Y-%m-%d}"


def _fingerprint(certificate: x509.Certificate) -> str:
    return f"sha256:{certificate.fingerprint(SHA256()).hex()}"


def _short(certificate: x509.Certificate) -> str:
    """Enough of the fingerprint to compare by eye on one line; summary.json has all of it."""
    return f"{_fingerprint(certificate)[:27]}..."
