# SPDX-License-Identifier: Apache-2.0
"""A whole installation in a directory, with its HTTP application called in-process: no socket, no second process.

CAs are made once for each kind of key and test run, then copied; the clock can be moved.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import itertools
import os
import shutil
import tempfile
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar
from unittest import mock
from urllib.parse import unquote

import pytest
from cryptography import x509

from privyseal import bootstrap
from privyseal.adapters import keys
from privyseal.bootstrap.http import build_http
from privyseal.ca.founding import found_ca
from privyseal.ca.issuer import Issuer
from privyseal.config import CONFIG_NAME, Settings, load_settings, render_settings
from privyseal.model.authority import CaKind, CaRequest, CrlRules
from privyseal.model.certificate import CertificateKind
from privyseal.model.challenge import challenge_hash
from privyseal.model.entity import EndEntity, EntityKind
from privyseal.model.profile import CertificateProfile
from privyseal.model.profile_text import profile_from_data
from privyseal.model.revocation import CrlReason
from privyseal.worker import work_once
from privyseal.x509.algorithms import KeyType
from privyseal.x509.names import DistinguishedName
from tests.scep_messages import Holder
from tests.stores import current_engine, settle_store

PASSPHRASE: Final = "correct horse battery staple"
PROFILE: Final = "wifi-device"
ROOT_CA, ISSUING_CA = "root", "issuing"
BASE_URL: Final = "http://pki.example.com"
T = TypeVar("T")
_numbers = itertools.count(1)


def quick_passphrases() -> None:
    """Makes stretching the passphrase cheap for key directories made from here on."""
    vars(keys)["_SCRYPT_N"] = 2


quick_passphrases()


class MovableClock:
    """The system's clock, and how far a test has moved it."""

    def __init__(self) -> None:
        self.moved = timedelta(0)

    def now(self) -> datetime:
        """The time that the installation believes."""
        return datetime.now(UTC) + self.moved


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back over HTTP."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        """As sent, octet for octet."""
        return self.headers["content-type"]


class Installation:
    """An open installation. ``run`` drives it; everything else asks it."""

    def __init__(self, home: Path, *, create: bool = False, passphrase: str | None = PASSPHRASE) -> None:
        self.home = home
        self.clock = MovableClock()
        self._runner = asyncio.Runner()
        settings = load_settings(home) if (home / CONFIG_NAME).exists() else new_settings(home)
        with mock.patch.object(bootstrap, "SystemClock", lambda: self.clock):
            self.app = bootstrap.build(settings, passphrase=passphrase, create=create)
        self.http = build_http(self.app)

    def close(self) -> None:
        """Gives files and the event loop back."""
        self._runner.close()
        self.app.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine to its end, always on the same event loop."""
        return self._runner.run(work)

    def work(self) -> None:
        """One round of the worker, as at start-up and every minute."""
        self.run(work_once(self.app))

    # --- HTTP --------------------------------------------------------------------------------------

    async def call(self, method: str, target: str, *chunks: bytes) -> Answer:
        """One request through the ASGI application; several ``chunks`` arrive one by one."""
        raw_path, _, query = target.encode("latin-1").partition(b"?")
        waiting = [
            {"type": "http.request", "body": chunk, "more_body": number < len(chunks)}
            for number, chunk in enumerate(chunks or (b"",), 1)
        ]
        if not chunks:
            waiting[0]["more_body"] = False
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return waiting.pop(0)

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": unquote(raw_path.decode("latin-1")),
            "raw_path": raw_path,
            "query_string": query,
            "headers": [],
        }
        await self.http(scope, receive, send)  # type: ignore[arg-type] # a dict is a MutableMapping
        headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Answer(sent[0]["status"], headers, b"".join(part.get("body", b"") for part in sent[1:]))

    def get(self, target: str) -> Answer:
        """GET."""
        return self.run(self.call("GET", target))

    def post(self, target: str, *chunks: bytes) -> Answer:
        """POST."""
        return self.run(self.call("POST", target, *chunks))

    # --- what an administrator does ------------------------------------------------------------------

    def profile(self, name: str, **fields: Any) -> CertificateProfile:
        """Saves a profile like ``wifi-device``, with other ``fields``."""
        profile = profile_from_data(profile_data(name) | fields)
        return self.run(self.app.profiles.save(profile, replace_existing=True, actor="test"))

    def device(self, name: str = "", **attributes: str) -> EndEntity:
        """A new device."""
        number = next(_numbers)
        found = {"name": name or f"LAPTOP-{number}", "dns_name": f"laptop-{number}.example.com"} | attributes
        return self.run(self.app.entities.create(EntityKind.DEVICE, found, actor="test"))

    def challenge(self, entity: EndEntity, *, profile: str = PROFILE, lifetime: timedelta = timedelta(hours=1)) -> str:
        """A fresh challenge for ``entity``."""
        secret = f"challenge-{os.urandom(8).hex()}"
        self.run(
            self.app.entities.create_challenge(
                challenge_hash(secret),
                profile=profile,
                entity=entity,
                expires_at=self.clock.now() + lifetime,
                actor="test",
            )
        )
        return secret

    def revoke(self, certificate: bytes | x509.Certificate, reason: CrlReason = CrlReason.PRIVILEGE_WITHDRAWN) -> int:
        """Revokes an end entity's certificate; the number of the CRL that says so."""
        found = x509.load_der_x509_certificate(certificate) if isinstance(certificate, bytes) else certificate
        issuer = self.issuer
        published = self.run(
            self.app.status.revoke(
                issuer,
                found.serial_number,
                signer=self.app.catalog.signer(issuer.id),
                reason=reason,
                invalid_since=None,
                actor="test",
            )
        )
        return published.number

    def found(self, name: str, **fields: Any) -> Issuer:
        """Makes a CA, by default one like the issuing CA."""
        self.run(found_ca(ca_request(name, **fields), self.app.workshop(), actor="test"))
        return self.app.catalog.issuers()[-1]

    # --- what is stored --------------------------------------------------------------------------------

    @property
    def issuer(self) -> Issuer:
        """The issuing CA."""
        return self.app.catalog.issuer(ISSUING_CA)

    @property
    def chain(self) -> list[bytes]:
        """Certificates of the issuing CA and the root."""
        return [issuer.view.encoded for issuer in self.app.catalog.chain(self.issuer)]

    @property
    def ra(self) -> Holder:
        """The RA certificate in use, with its key."""
        return self.ras_of(self.issuer)[0]

    def ras_of(self, issuer: Issuer) -> list[Holder]:
        """Every RA certificate of a CA that is still good, newest first, with its key."""
        found = self.app.catalog.services(issuer.id, CertificateKind.RA)
        return [Holder(self.app.catalog.transport_key(service), service.certificate) for service in found]

    def crl(self, name: str = ISSUING_CA) -> x509.CertificateRevocationList:
        """The CRL in force, over HTTP."""
        return x509.load_der_x509_crl(self.get(f"/crl/{name}/v1.crl").body)

    def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """A look into the store."""
        return self.app.database.read(sql, parameters)

    def change(self, sql: str, *parameters: Any) -> None:
        """Changes the store behind its back."""
        self.app.database.writer.execute(sql, parameters)
        self.app.database.commits += 1

    def count(self, table: str) -> int:
        """How many rows a table has."""
        return int(self.rows(f"SELECT count(*) FROM {table}")[0][0])

    def events(self, after: int = 0) -> list[str]:
        """Names of the audit events, oldest first; the chain is verified on the way."""
        self.app.audit.verify()
        return [row[0] for row in self.rows("SELECT event FROM audit WHERE seq > ? ORDER BY seq", after)]


def profile_data(name: str = PROFILE) -> dict[str, Any]:
    """A profile for devices whose renewal is open at once."""
    return {
        "name": name,
        "issuer": ISSUING_CA,
        "subject": "CN={{device.name}},O=Example",
        "san": ["dns:{{device.dns_name}}"],
        "renew_at_percent": 0,
    }


def ca_request(name: str, **fields: Any) -> CaRequest:
    """An issuing CA below the root, with other ``fields``."""
    found: dict[str, Any] = {
        "name": name,
        "kind": CaKind.ISSUING,
        "parent": ROOT_CA,
        "subject": DistinguishedName.parse(f"CN=DEMO {name} {os.getpid()}-{next(_numbers)},O=Example"),
        "key_type": KeyType.P256,
        "hash_name": None,
        "validity": timedelta(days=1800),
        "path_length": None,
        "ext_key_usage": (),
        "crl": CrlRules(),
    }
    return CaRequest(**(found | fields))


def found_hierarchy(installation: Installation, key_type: KeyType) -> None:
    """Root, issuing CA and the profile ``wifi-device``."""
    installation.found(
        ROOT_CA, kind=CaKind.ROOT, parent=None, key_type=key_type, validity=timedelta(days=3650), path_length=1
    )
    installation.found(ISSUING_CA, key_type=key_type)
    installation.profile(PROFILE)


def new_settings(home: Path) -> Settings:
    """Of an installation of the tests."""
    return Settings(home=home, organization="Example", public_url=BASE_URL, listen="127.0.0.1:0")


@functools.cache
def _template(key: str, engine: str) -> Path:
    directory = tempfile.mkdtemp(prefix="privyseal-test-")
    home = Path(directory) / f"home-{engine}"
    home.mkdir()
    settle_store(home, new_settings(home))
    installation = Installation(home, create=True)
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    found_hierarchy(installation, KeyType.parse(key))
    (home / "privyseal.toml").write_text(render_settings(installation.app.settings))
    installation.close()
    return home


def new_home(place: Path, key: str = "ec:p256") -> Path:
    """A fresh copy of an installation with a root, an issuing CA and a profile, all with keys of this kind."""
    home = place / f"home-{next(_numbers)}"
    template = _template(key, current_engine())
    shutil.copytree(template, home)
    settings = load_settings(template)
    settle_store(home, settings, settings.store_url)
    return home


class Installations:
    """Opens installations for a test and closes them after it."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._open: list[Installation] = []

    def __call__(self, key: str = "ec:p256") -> Installation:
        return self.open(new_home(self._place, key))

    def open(self, home: Path, **options: Any) -> Installation:
        """An installation that is there already."""
        self._open.append(Installation(home, **options))
        return self._open[-1]

    def empty(self) -> Installation:
        """One without any CA."""
        home = self._place / f"home-{next(_numbers)}"
        home.mkdir()
        settle_store(home, new_settings(home))
        return self.open(home, create=True)

    def end(self, installation: Installation) -> None:
        """Closes one now, as if its process ended."""
        self._open.remove(installation)
        installation.close()

    def close(self) -> None:
        """Closes them all."""
        for installation in self._open:
            installation.close()


@pytest.fixture(name="installations")
def fixture_installations(tmp_path: Path) -> Iterator[Installations]:
    """Makes installations that end with the test."""
    made = Installations(tmp_path)
    yield made
    made.close()


@pytest.fixture(name="installation")
def fixture_installation(installations: Installations) -> Installation:
    """One installation with P-256 CAs."""
    return installations()


@pytest.fixture(name="shared", scope="module")
def fixture_shared(tmp_path_factory: pytest.TempPathFactory, store_engine: str) -> Iterator[Installation]:
    """One installation for all tests of a module: for tests that leave no trace which others would see."""
    made = Installations(tmp_path_factory.mktemp("shared"))
    yield made()
    made.close()
