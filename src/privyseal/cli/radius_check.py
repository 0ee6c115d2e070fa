# SPDX-License-Identifier: Apache-2.0
"""``privyseal radius check``: a device's log-in at a RADIUS server, stage by stage; the one that fails is named."""

from __future__ import annotations

import socket
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Final

import click
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

from privyseal.adapters.eap_login import RadiusServer, log_in, require_program
from privyseal.adapters.relying_party import check_crl, check_ocsp
from privyseal.bootstrap import Application
from privyseal.cli.output import moment, pem, write_json
from privyseal.cli.radius_files import load_pair, read_certificates, read_secret
from privyseal.cli.session import Session
from privyseal.cli.stages import Stages
from privyseal.cli.verb import verb
from privyseal.errors import EapCertificateExpired, EapCertificateRevoked, InvalidValue, NotFound
from privyseal.model.certificate import format_serial

_PORT: Final = 1812
_VERSIONS: Final = ("1.2", "1.3")


@verb(
    "check",
    examples=(
        "radius check --server 10.0.0.5 --server-name radius1.contoso.com --secret-file ap.secret "
        "--certificate laptop.pem --key laptop.key",
        "radius check --server 127.0.0.1:1812 --server-name radius1.contoso.com --secret-file ap.secret "
        "--certificate laptop.pem --key laptop.key --log /etc/freeradius/privyseal/log/radius.log -o json",
    ),
)
@click.option("--server", required=True, metavar="ADDRESS[:PORT]", help=f"Default port: {_PORT}.")
@click.option("--server-name", required=True, metavar="NAME", help="DNS name that clients demand of the server.")
@click.option("--secret-file", required=True, metavar="FILE", help="Shared secret; the server must know this address.")
@click.option("--certificate", required=True, metavar="FILE", help="The client's certificate, its CA behind it.")
@click.option("--key", required=True, metavar="FILE", help="The client's private key.")
@click.option("--ca-file", metavar="FILE", help="Root that clients trust for the server. Default: our roots.")
@click.option("--tls", "versions", multiple=True, type=click.Choice(_VERSIONS), help="Default: each, one by one.")
@click.option("--log", type=click.Path(path_type=Path), metavar="FILE", help="The server's log, if it runs here.")
def command(
    session: Session,
    server: str,
    server_name: str,
    secret_file: str,
    certificate: str,
    key: str,
    ca_file: str | None,
    versions: tuple[str, ...],
    log: Path | None,
) -> None:
    """Log in to a Wi-Fi or VPN by EAP-TLS as a device would, and name the stage that fails.

    Before it asks the RADIUS server it looks at what that server will look at: validity, purpose, CRL and OCSP.
    A RADIUS server tells clients no reason; with --log it is read from there. Needs eapol_test, which takes the
    shared secret on its command line: others on this machine could see it while it runs.
    """
    stages = Stages(sys.stderr if session.output == "json" else sys.stdout)
    with session.application() as application, tempfile.TemporaryDirectory(prefix="privyseal-eap-") as place:
        with stages.stage("Program"):
            stages.tell(require_program("eapol_test"))
        leaf = look_at(application, stages, certificate, key)
        address, port = _address(server)
        target = RadiusServer(
            address=address,
            port=port,
            secret=read_secret(secret_file),
            name=server_name,
            roots=_roots(application, ca_file, Path(place)),
            log=log,
        )
        for version in versions or _VERSIONS:
            with stages.stage(f"TLS {version}"):
                used = log_in(target, certificate=Path(certificate), key=Path(key), tls=version)
                stages.tell(f"accepted by {server_name}, with TLS {used}")
    serial = format_serial(leaf.serial_number)
    if session.output == "json":
        write_json({"server": server, "serial": serial, "seconds": stages.seconds, "passed": True})
    session.done(f"{server} lets certificate {serial} in")


def look_at(application: Application, stages: Stages, certificate: str, key: str) -> x509.Certificate:
    """What the server will look at: validity, purpose, CRL, OCSP."""
    now = application.clock.now()
    with stages.stage("Certificate"):
        chain, _ = load_pair(certificate, key, purpose=x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH)
        leaf = chain[0]
        _check_time(leaf, now)
        stages.tell(f"{leaf.subject.rfc4514_string()}, until {moment(leaf.not_valid_after_utc)}")
    issuer = _issuer(application, chain)
    with stages.stage("CRL"):
        crl = check_crl(leaf, issuer, now=now)
        if crl.lists_it:
            raise EapCertificateRevoked(f"CRL {crl.number} lists {format_serial(leaf.serial_number)}")
        stages.tell(f"number {crl.number}, good until {moment(crl.next_update)}")
    with stages.stage("OCSP"):
        ocsp = check_ocsp(leaf, issuer, now=now)
        if ocsp.status != "good":
            raise EapCertificateRevoked(f"{ocsp.url} says {ocsp.status} of {format_serial(leaf.serial_number)}")
        stages.tell(ocsp.status)
    return leaf


def _check_time(leaf: x509.Certificate, now: datetime) -> None:
    begins, ends = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if not begins <= now <= ends:
        raise EapCertificateExpired(f"the certificate is valid from {moment(begins)} to {moment(ends)}, not now")


def _issuer(application: Application, chain: list[x509.Certificate]) -> x509.Certificate:
    """The CA that signed the first certificate: from the file, or ours."""
    ours = application.catalog.issuer_of(chain[0].issuer.public_bytes())
    candidates = [*chain[1:], *(x509.load_der_x509_certificate(one.view.encoded) for one in ours)]
    for candidate in candidates:
        try:
            chain[0].verify_directly_issued_by(candidate)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return candidate
    raise NotFound(
        f"the CA {chain[0].issuer.rfc4514_string()} is neither in the file nor one of ours",
        mend=("put the CA's certificate behind the client's in the file",),
    )


def _roots(application: Application, ca_file: str | None, place: Path) -> Path:
    path = place / "roots.pem"
    if ca_file is not None:
        pems = [one.public_bytes(Encoding.PEM) for one in read_certificates(ca_file)]
    else:
        pems = [pem(issuer.view.encoded).encode() for issuer in application.catalog.issuers() if issuer.is_root]
    path.write_bytes(b"".join(pems))
    return path


def _address(text: str) -> tuple[str, int]:
    """eapol_test takes an IP address only; a name is looked up here. Raises InvalidValue."""
    host, _, port = text.rpartition(":") if text.count(":") == 1 else (text.strip("[]"), "", str(_PORT))
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise InvalidValue(f"{text!r} is not ADDRESS or ADDRESS:PORT")
    try:
        return str(socket.getaddrinfo(host, int(port), type=socket.SOCK_DGRAM)[0][4][0]), int(port)
    except OSError as error:
        raise InvalidValue(f"{host!r} is no address and no known name") from error
