# SPDX-License-Identifier: Apache-2.0
"""A real server that was started thirteen months ahead by mistake, and then with the right time: it heals itself."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from tests.device import Device
from tests.installation import Installations, new_home
from tests.outside.clocks import clock_off
from tests.server_process import ServerProcess


def fetched(url: str, body: bytes | None = None) -> bytes:
    with urllib.request.urlopen(url, data=body, timeout=10) as answer:
        return bytes(answer.read())


@contextmanager
def served(home: Path, off: str) -> Iterator[str]:
    """The installation served by a process whose clock is off by so much."""
    with clock_off(off) if off else nullcontext(), ServerProcess(home) as server:
        yield server.base


def test_a_start_thirteen_months_ahead_leaves_nothing_that_lasts(installations: Installations, tmp_path: Path) -> None:
    home = new_home(tmp_path)
    installation = installations.open(home)
    leaf = Device(installation).enroll()
    issuer = x509.load_der_x509_certificate(installation.issuer.view.encoded)
    installations.end(installation)
    asked = (
        ocsp.OCSPRequestBuilder().add_certificate(x509.load_der_x509_certificate(leaf), issuer, hashes.SHA256()).build()
    )
    question, numbers = asked.public_bytes(Encoding.DER), list[int]()
    for off, ahead in (("", timedelta(0)), ("+396d", timedelta(days=396)), ("", timedelta(0))):
        with served(home, off) as base:
            crl = x509.load_der_x509_crl(fetched(f"{base}/crl/issuing/v1.crl"))
            answer = ocsp.load_der_ocsp_response(fetched(f"{base}/ocsp/issuing/v1", question))
        now = datetime.now(UTC) + ahead
        assert crl.last_update_utc <= now < (crl.next_update_utc or now), off
        assert answer.this_update_utc <= now < (answer.next_update_utc or now), off
        responder = answer.certificates[0]
        assert responder.not_valid_before_utc <= now < responder.not_valid_after_utc, off
        numbers.append(crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number)
    assert numbers == sorted(set(numbers))
