# SPDX-License-Identifier: Apache-2.0
"""``privyseal ca``: a CA that is signed outside, and CAs whose keys are elsewhere. Files go out, files come in."""

from __future__ import annotations

import asyncio
import base64
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import click

from privyseal.administration.authorities_outside import InstallCa
from privyseal.bootstrap.authorities import authority_office, reach
from privyseal.ca.outside import Verdict, check_installable
from privyseal.cli.acts import submit
from privyseal.cli.exits import Exit
from privyseal.cli.output import pem, show_item, show_list, write_bytes
from privyseal.cli.session import Session
from privyseal.cli.values import read_given, write_result
from privyseal.cli.verb import verb
from privyseal.x509.bundle import pem_blocks
from privyseal.x509.csr import parse_request

_LARGEST_CRL: Final = 64 << 20
_FILES: Final = click.argument("files", nargs=-1, required=True, metavar="FILE...")


@verb(
    "csr",
    outputs=("pem", "der"),
    examples=("ca csr contoso-issuing --out contoso-issuing.req", "ca csr contoso-issuing -o der --out request.der"),
)
@click.argument("name")
@click.option("--out", type=click.Path(dir_okay=False), metavar="FILE", help="Default: standard output.")
def csr(session: Session, name: str, out: str | None) -> None:
    """Write the certification request of a CA that is signed outside, and say how others sign it.

    The request holds the name, the key and the wish for a CA certificate; whoever signs it decides on
    validity and path length.
    """
    with session.application() as application:
        pending = application.authority_names.pending_of(name)
    content = pending.request if session.output == "der" else pem(pending.request, "CERTIFICATE REQUEST").encode()
    if out is None:
        write_bytes(content)
        return
    write_result(out, content)
    session.done(f"wrote the request of CA {name} v{pending.version} to {out}")
    session.say(f"  key   SHA-256 {sha256(parse_request(pending.request).spki).hexdigest()}")
    for line in _recipes(name, Path(out), path_length=pending.path_length or 0):
        session.say(line)


def _recipes(name: str, request: Path, *, path_length: int) -> tuple[str, ...]:
    """How three kinds of CA sign it, with the names of the files at hand."""
    answer = request.with_suffix(".crt").name
    extensions = (
        f"basicConstraints=critical,CA:TRUE,pathlen:{path_length}\\n"
        "keyUsage=critical,keyCertSign,cRLSign,digitalSignature"
    )
    return (
        "  AD CS, on a machine that reaches the CA:",
        f'    certreq -submit -attrib "CertificateTemplate:SubCA" {request.name} {answer}',
        f"    certutil -ca.chain {request.stem}-chain.p7b",
        "  OpenSSL, where the root's key is:",
        f"    printf '{extensions}\\nsubjectKeyIdentifier=hash\\nauthorityKeyIdentifier=keyid\\n' > {request.stem}.ext",
        f"    openssl x509 -req -in {request.name} -CA root.crt -CAkey root.key -CAcreateserial -days 1825 -sha256 "
        f"-extfile {request.stem}.ext -out {answer}",
        "  step, where the root's key is:",
        f"    step certificate sign --profile intermediate-ca {request.name} root.crt root.key > {answer}",
        "  Privyseal, on the machine that holds the offline root:",
        f"    privyseal ceremony sign {request.name}",
        f"  then  privyseal ca install {name} {answer} root.crt --dry-run",
    )


@verb(
    "install",
    examples=(
        "ca install contoso-issuing contoso-issuing.crt chain.p7b --dry-run",
        "ca install contoso-issuing contoso-issuing.crt root.crt",
    ),
)
@click.argument("name")
@_FILES
@click.option("--dry-run", is_flag=True, help="Only show the checklist.")
def install(session: Session, name: str, files: tuple[str, ...], dry_run: bool) -> None:
    """Install the certificate of a CA that was signed outside, with the chain above it.

    FILES are PEM, DER or PKCS#7, with any number of certificates in any order. Everything is checked at
    once: key, name, rights, purposes, the whole chain to its root, and whether its URLs answer. The first
    version becomes active, a later one is staged.
    """
    parameters = {"name": name, "certificates": [_base64(read_given(file)) for file in files]}
    with session.application(keys=not dry_run) as application:
        checks = asyncio.run(InstallCa(authority_office(application), reach).checks(parameters))
        if dry_run:
            items = [
                {"check": check.name, "verdict": check.verdict.value, "evidence": check.evidence} for check in checks
            ]
            show_list(session, items, ("check", "verdict", "evidence"))
            failed = sum(check.verdict is Verdict.FAILED for check in checks)
            if failed:
                session.say(f"{failed} of {len(checks)} checks failed; nothing was installed")
                click.get_current_context().exit(Exit.FAILED)
            session.done(f"{len(checks)} checks, none failed", after=f"privyseal ca install {name} FILE...")
            return
        check_installable(checks, shown_as=f"the certificate of CA {name}")
        done = submit(session, application, "ca.install", parameters)
    show_item(session, done or {})
    session.done(f"installed the certificate of CA {name}", after=f"privyseal ca get {name}")


@verb(
    "import-root",
    examples=("ca import-root contoso-root.crt --name contoso-root", "ca import-root chain.p7b --dry-run"),
)
@_FILES
@click.option("--name", metavar="CA", help="Its name here. Default: made of its subject.")
@click.option("--dry-run", is_flag=True, help="Only show what would happen.")
def import_root(session: Session, files: tuple[str, ...], name: str | None, dry_run: bool) -> None:
    """Make a root known whose key is elsewhere, such as an offline root; also a CA below one, with its chain.

    Its certificate is served at this service's URLs, and so are the CRLs that `ca import-crl` brings.
    """
    parameters: dict[str, Any] = {"certificates": [_base64(read_given(file)) for file in files]}
    if name is not None:
        parameters["name"] = name
    with session.application() as application:
        done = submit(session, application, "ca.import-root", parameters, dry_run=dry_run)
    if done is not None:
        show_item(session, done)
        session.done(f"imported CA {done['name']}", after=f"privyseal ca create NAME --parent {done['name']}")


@verb("import-crl", examples=("ca import-crl contoso-root.crl --dry-run", "ca import-crl contoso-root.crl"))
@click.argument("file", metavar="FILE")
@click.option("--dry-run", is_flag=True, help="Only show what would happen.")
def import_crl(session: Session, file: str, dry_run: bool) -> None:
    """Publish a CRL that was made where the key is, after checking signature, number and dates.

    A CRL number never falls. A CA of ours that the CRL lists counts as revoked from then on.
    """
    content = read_given(file, limit=_LARGEST_CRL)
    if content[:1] != b"\x30":
        blocks = pem_blocks(content, frozenset({b"X509 CRL"}))
        content = blocks[0] if blocks else content
    with session.application() as application:
        done = submit(session, application, "ca.import-crl", {"crl": _base64(content)}, dry_run=dry_run)
    if done is not None:
        show_item(session, done)
        session.done(f"CRL {done['crl_number']} of CA {done['name']} is served at {done['crl_url']}")


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
