# SPDX-License-Identifier: Apache-2.0
"""OCSP: pre-signed answers against a constant answer of the same size by the same server, and answers with a nonce."""

from __future__ import annotations

import argparse
import secrets
import tempfile
from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha1
from pathlib import Path
from statistics import median
from urllib.parse import quote_from_bytes
from urllib.request import Request, urlopen

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from installation import fill, found, opened, server
from processes import Load, Server, Shots, fire, verdict, write_shots

from privyseal.config import Settings
from privyseal.x509.algorithms import KeyType
from privyseal.x509.extensions import key_identifier

_TYPE = "application/ocsp-request"
_NONCE_PER_SECOND = 9000


def requests_for(settings: Settings, serials: Iterable[int], *, nonce: bool) -> list[bytes]:
    """One OCSP request for each serial of the issuing CA."""
    application = opened(settings)
    try:
        issuer = application.catalog.issuer("issuing").view
    finally:
        application.close()
    name_hash, key_hash = sha1(issuer.subject, usedforsecurity=False).digest(), key_identifier(issuer.spki)
    built = []
    for serial in serials:
        builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(name_hash, key_hash, serial, SHA1())
        if nonce:
            builder = builder.add_extension(x509.OCSPNonce(secrets.token_bytes(32)), critical=False)
        built.append(builder.build().public_bytes(Encoding.DER))
    return built


def first_answers(url: str, bodies: Iterable[bytes]) -> int:
    """Ask each question once, so that its answer is signed and kept; the smallest size of a good answer."""
    sizes = []
    for body in bodies:
        with urlopen(Request(url, body, {"Content-Type": _TYPE}), timeout=10) as reply:
            answer = reply.read()
        sizes.append(len(answer))
        if ocsp.load_der_ocsp_response(answer).certificate_status is not ocsp.OCSPCertStatus.GOOD:
            raise SystemExit("the server does not know a serial that is in its store as good")
    return min(sizes)


class Bench:
    """Questions in files, and loads on one running server."""

    def __init__(self, running: Server, place: Path, *, seconds: int) -> None:
        self._running = running
        self._place = place
        self._seconds = seconds

    def load(self, name: str, shots: Shots) -> Load:
        """One load at 16 connections, printed."""
        load = fire(self._running, shots, connections=16, seconds=self._seconds)
        print(f"{name:22s} {load.line('answers')}", flush=True)
        return load

    def shots(self, url: str, bodies: list[bytes], *, minimum: int, method: str, cycle: bool = True) -> Shots:
        """The questions as wrk takes them: bodies, or the end of the path."""
        file = self._place / f"{method}-{len(bodies)}"
        sent = bodies if method == "POST" else [quote_from_bytes(b64encode(body), safe="").encode() for body in bodies]
        write_shots(file, sent)
        return Shots(
            url=url if method == "POST" else f"{url}/", file=file, first=0, count=len(bodies), minimum=minimum,
            content_type=_TYPE, method=method, cycle=cycle,
        )  # fmt: skip


def compare(bench: Bench, method: str, kept: Shots, constant: Shots, *, rounds: int) -> bool:
    """Loads of both, in turn; the ratio of CPU for one answer."""
    ratios, failed = [], 0
    for _ in range(rounds):
        plain = bench.load(f"constant, {method}", constant)
        load = bench.load(f"pre-signed, {method}", kept)
        ratios.append(plain.cpu / load.cpu)
        failed += load.failed + plain.failed
    ratio = median(ratios)
    ok = verdict(f"ocsp constant / pre-signed CPU, {method}", ratio, "at least 0.50", ok=ratio >= 0.5)
    return verdict(f"ocsp failed requests, {method}", failed, "0", ok=failed == 0) and ok


def main() -> None:
    """Run, print, and end with 1 when a bar was missed (never in --quick)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes; the figures mean little")
    quick = parser.parse_args().quick
    seconds, rounds, count = (1, 1, 100) if quick else (4, 3, 1000)
    with tempfile.TemporaryDirectory(prefix="privyseal-bench-") as directory:
        place = Path(directory)
        settings = found(place / "home", KeyType.RSA_2048)
        serials = fill(settings, count)
        bodies = requests_for(settings, serials, nonce=False)
        many = [serials[index % count] for index in range(_NONCE_PER_SECOND * seconds)]
        fresh = requests_for(settings, many, nonce=True)
        url, ok = f"{settings.public_url}/ocsp/issuing/v1", True
        with server(settings) as running:
            size = first_answers(url, bodies[:1])
        with server(settings, str(size)) as running:
            minimum, bench = first_answers(url, bodies) - 8, Bench(running, place, seconds=seconds)
            for method in ("POST", "GET"):
                kept = bench.shots(url, bodies, minimum=minimum, method=method)
                same = bench.shots(f"{settings.public_url}/constant/ocsp/v1", bodies, minimum=minimum, method=method)
                ok &= compare(bench, method, kept, same, rounds=rounds)
            nonced = bench.shots(url, fresh, minimum=minimum, method="POST", cycle=False)
            failed = bench.load("signed, with nonce", nonced).failed
            ok &= verdict("ocsp failed requests, nonce", failed, "0", ok=failed == 0)
    if not ok and not quick:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
