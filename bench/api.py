# SPDX-License-Identifier: Apache-2.0
"""REST issuance, P-256, durable and audited, on one core; beside it cfssl with SQLite, same core, same run.

cfssl 1.6.5 runs in the Debian 13 root directory, with its own schema and sqlite3 journal defaults.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sqlite3
import subprocess
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import median

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from installation import PROFILE, found, free_port, opened
from processes import HERE, ROOT, Load, Server, Shots, fire, python, verdict, write_shots

from privyseal.administration.sign_in import local_actor
from privyseal.bootstrap.administration import Administration
from privyseal.config import Settings, render_settings
from privyseal.model.entity import EntityKind
from privyseal.model.token import new_secret, token_digest
from privyseal.x509.algorithms import KeyType

_CORE = "0"
# The table that cfssl's own migrations make (certdb/sqlite).
_CFSSL_SCHEMA = (
    "CREATE TABLE certificates (serial_number blob NOT NULL, authority_key_identifier blob NOT NULL, ca_label blob, "
    "status blob NOT NULL, reason int, expiry timestamp, revoked_at timestamp, pem blob NOT NULL, issued_at timestamp, "
    "not_before timestamp, metadata text, sans text, common_name text, "
    "PRIMARY KEY(serial_number, authority_key_identifier))"
)


def requests_pem(count: int) -> list[str]:
    """Certification requests, a new P-256 key each."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "device.example.com")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    made = (builder.sign(ec.generate_private_key(ec.SECP256R1()), SHA256()) for _ in range(count))
    return [request.public_bytes(Encoding.PEM).decode() for request in made]


def prepared(place: Path) -> tuple[Settings, str]:
    """An installation with its API on the loopback, a device, and a token that may issue."""
    made = found(place / "home", KeyType.parse("ec:p256"))
    settings = replace(made, api_listen=f"127.0.0.1:{free_port()}", api_limit=0)
    (settings.home / "privyseal.toml").write_text(render_settings(settings))
    application = opened(settings)
    secret = new_secret(bytes(range(32)))
    digest = token_digest(secret).hex()
    try:
        asyncio.run(_fill(application, digest))
    finally:
        application.close()
    return settings, secret


async def _fill(application: object, digest: str) -> None:
    books = Administration(application)  # type: ignore[arg-type] # the application that was opened
    actor = local_actor("cli:bench")
    await books.desk.submit(actor, "role.grant", parameters={"person": "bench", "role": "operator", "labels": []})
    token = {"name": "bench", "owner": "bench", "roles": ["operator"], "labels": [], "digest": digest}
    await books.desk.submit(actor, "token.create", parameters=token)
    attributes = {"name": "LAPTOP", "dns_name": "laptop.example.com", "sid": "S-1-5-21-1-2-3-1105"}
    await application.entities.create(EntityKind.DEVICE, attributes, actor="bench")  # type: ignore[attr-defined] # it


def ours(stack: ExitStack, place: Path, requests: list[str]) -> tuple[Server, Shots]:
    """Our server, and what is sent to it."""
    settings, secret = prepared(place)
    command = ["taskset", "-c", _CORE, python(), str(HERE / "server.py"), str(settings.home)]
    running = stack.enter_context(Server(command, f"{settings.public_url}/readyz", log=place / "server.log"))
    bodies = [json.dumps({"profile": PROFILE, "device": "LAPTOP", "csr": request}).encode() for request in requests]
    write_shots(place / "ours", bodies)
    return running, Shots(
        url=f"http://{settings.api_listen}/api/v1/certificates", file=place / "ours", first=0, count=len(bodies),
        minimum=1500, content_type="application/json", cycle=True, authorization=f"Bearer {secret}",
    )  # fmt: skip


def cfssl(stack: ExitStack, requests: list[str]) -> tuple[Server, Shots] | None:
    """cfssl with SQLite in the Debian 13 root directory, or None when it is not there."""
    looked = subprocess.run(
        [str(ROOT / "tools" / "trixie-chroot"), "--find"], capture_output=True, text=True, check=False
    )
    root = Path(looked.stdout.strip() or "/nonexistent")
    if not (root / "usr/bin/cfssl").exists() or shutil.which("taskset") is None:
        return None
    place = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=root / "tmp", prefix="privyseal-bench-")))
    inside, port = f"/{place.relative_to(root)}", free_port()
    wish = {"CN": "Bench CA", "key": {"algo": "ecdsa", "size": 256}}
    (place / "ca.json").write_text(json.dumps(wish))
    made = subprocess.run(
        ["chroot", str(root), "cfssl", "gencert", "-initca", f"{inside}/ca.json"], capture_output=True, check=True
    )
    pair = json.loads(made.stdout)
    (place / "ca.pem").write_text(pair["cert"])
    (place / "ca-key.pem").write_text(pair["key"])
    usages = ["digital signature", "client auth"]
    config = {"signing": {"default": {"expiry": "8760h", "usages": usages}}}
    (place / "config.json").write_text(json.dumps(config))
    (place / "db.json").write_text(json.dumps({"driver": "sqlite3", "data_source": f"{inside}/certs.db"}))
    with sqlite3.connect(place / "certs.db") as database:
        database.execute(_CFSSL_SCHEMA)
    database.close()
    command = [
        "taskset", "-c", _CORE, "chroot", str(root), "cfssl", "serve", "-address", "127.0.0.1", "-port", str(port),
        "-ca", f"{inside}/ca.pem", "-ca-key", f"{inside}/ca-key.pem", "-config", f"{inside}/config.json",
        "-db-config", f"{inside}/db.json", "-loglevel", "3",
    ]  # fmt: skip
    running = stack.enter_context(Server(command, f"http://127.0.0.1:{port}/", log=place / "log"))
    bodies = [json.dumps({"certificate_request": request, "hosts": ["laptop.example.com"]}) for request in requests]
    write_shots(place / "shots", [body.encode() for body in bodies])
    return running, Shots(
        url=f"http://127.0.0.1:{port}/api/v1/cfssl/sign", file=place / "shots", first=0, count=len(bodies),
        minimum=600, content_type="application/json", cycle=True,
    )  # fmt: skip


def main() -> None:
    """Run, print, and end with 1 when a bar was missed (never in --quick, which measures too little)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes; the figures mean little")
    quick = parser.parse_args().quick
    seconds, rounds, connections = (1, 1, 16) if quick else (8, 3, 16)
    requests = requests_pem(64)
    rates: dict[str, list[float]] = {"privyseal": [], "cfssl": []}
    failed = 0
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="privyseal-bench-")))
        contenders = {"privyseal": ours(stack, place, requests), "cfssl": cfssl(stack, requests)}
        for _ in range(rounds):
            for name, contender in contenders.items():
                if contender is None:
                    continue
                load: Load = fire(*contender, connections=connections, seconds=seconds)
                print(f"{name:10s} {connections:2d} connections {load.line('certs')}", flush=True)
                rates[name].append(load.good / load.seconds)
                failed += load.failed if name == "privyseal" else 0
    ok = verdict("api failed requests", failed, "0", ok=failed == 0)
    if not rates["cfssl"]:
        print("cfssl is not here, comparison left out: chroot $(tools/trixie-chroot) apt-get install -y golang-cfssl")
    else:
        ratio = median(rates["privyseal"]) / median(rates["cfssl"])
        ok &= verdict("api issuance rate of ours / cfssl with SQLite, one core", ratio, "at least 4", ok=ratio >= 4)
    if not ok and not quick:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
