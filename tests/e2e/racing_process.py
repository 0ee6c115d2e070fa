# SPDX-License-Identifier: Apache-2.0
"""A process that issues and revokes as fast as it can beside another one; every signature of it is noted."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from privyseal import bootstrap
from privyseal.config import load_settings
from privyseal.model.entity import EntityKind
from privyseal.model.revocation import CrlReason
from privyseal.x509.csr import parse_request
from tests.device import build_csr
from tests.e2e.killed_process import Bomb, watch_signatures
from tests.installation import ISSUING_CA, PASSPHRASE, PROFILE


async def work(application: bootstrap.Application, rounds: int) -> None:
    """Each round makes one CRL at least."""
    entity = application.entities.named(EntityKind.DEVICE, "raced")
    csr = parse_request(build_csr(ec.generate_private_key(ec.SECP256R1())))
    issuer = application.catalog.issuer(ISSUING_CA)
    signer = application.catalog.signer(issuer.id)
    for _ in range(rounds):
        granted = await application.registration.issue_for(entity, PROFILE, csr, requester="test")
        serial = x509.load_der_x509_certificate(granted.certificate).serial_number
        await application.status.revoke(
            issuer, serial, signer=signer, reason=CrlReason.SUPERSEDED, invalid_since=None, actor="test"
        )


def main(home: Path, side_file: Path, rounds: int) -> None:
    """One life."""
    watch_signatures(Bomb("never", 1), side_file)
    application = bootstrap.build(load_settings(home), passphrase=PASSPHRASE)
    asyncio.run(work(application, rounds))
    application.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
