# SPDX-License-Identifier: Apache-2.0
"""``privyseal kerberos check``: a log-on with a certificate at a domain controller, stage by stage."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from privyseal.adapters.eap_login import require_program
from privyseal.adapters.kdc_clock import check_clock
from privyseal.adapters.kinit import Kdc, get_ticket
from privyseal.cli.output import pem, write_json
from privyseal.cli.radius_check import look_at
from privyseal.cli.radius_files import read_certificates
from privyseal.cli.session import Session
from privyseal.cli.stages import Stages
from privyseal.cli.verb import verb
from privyseal.model.certificate import format_serial


@verb(
    "check",
    examples=(
        "kerberos check alice --realm CONTOSO.COM --kdc dc1.contoso.com --certificate alice.pem --key alice.key",
        "kerberos check 'pc1$' --realm CONTOSO.COM --kdc 10.0.0.10 --kdc-name dc1.contoso.com "
        "--certificate pc1.pem --key pc1.key -o json",
    ),
)
@click.argument("principal")
@click.option("--realm", required=True, metavar="REALM", help="In capitals: CONTOSO.COM.")
@click.option("--kdc", required=True, metavar="ADDRESS", help="A domain controller.")
@click.option("--kdc-name", metavar="NAME", help="DNS name in its certificate. Default: --kdc.")
@click.option("--certificate", required=True, metavar="FILE", help="The client's certificate, its CA behind it.")
@click.option("--key", required=True, metavar="FILE", help="The client's private key; RSA.")
@click.option("--service", default="", metavar="SERVICE", help="Also ask for a ticket to it: ldap/dc1.contoso.com.")
@click.option("--ca-file", metavar="FILE", help="Root that clients trust for the controller. Default: our roots.")
def command(
    session: Session,
    principal: str,
    realm: str,
    kdc: str,
    kdc_name: str | None,
    certificate: str,
    key: str,
    service: str,
    ca_file: str | None,
) -> None:
    """Ask a domain controller for a ticket with a certificate, as smart-card log-on does, and name what fails.

    A computer's principal ends with $. Tickets are thrown away. Needs kinit of MIT Kerberos with PKINIT.
    """
    stages = Stages(sys.stderr if session.output == "json" else sys.stdout)
    with session.application() as application, tempfile.TemporaryDirectory(prefix="privyseal-kinit-") as name:
        with stages.stage("Program"):
            stages.tell(require_program("kinit"))
        with stages.stage("Clock"):
            ahead = check_clock(kdc, realm=realm, principal=principal, now=application.clock.now())
            stages.tell("the controller did not say" if ahead is None else f"{ahead.total_seconds():+.0f} s there")
        leaf = look_at(application, stages, certificate, key)
        place = Path(name)
        ours = [x509.load_der_x509_certificate(issuer.view.encoded) for issuer in application.catalog.issuers()]
        trusted = read_certificates(ca_file) if ca_file else [one for one in ours if one.subject == one.issuer]
        for file, found in (("roots.pem", trusted), ("pool.pem", [*read_certificates(certificate)[1:], *ours])):
            (place / file).write_text("".join(pem(one.public_bytes(Encoding.DER)) for one in found))
        controller = Kdc(
            realm=realm, address=kdc, host=kdc_name or kdc, roots=place / "roots.pem", pool=place / "pool.pem"
        )
        held, secret = Path(certificate), Path(key)
        with stages.stage("Ticket"):
            get_ticket(controller, principal, certificate=held, key=secret)
            stages.tell(f"{principal} in {realm}, from {kdc}")
        if service:
            with stages.stage("Service"):
                get_ticket(controller, principal, certificate=held, key=secret, service=service)
                stages.tell(service)
    serial = format_serial(leaf.serial_number)
    if session.output == "json":
        write_json({"kdc": kdc, "principal": principal, "serial": serial, "seconds": stages.seconds, "passed": True})
    session.done(f"{kdc} gave {principal} a ticket for certificate {serial}")
