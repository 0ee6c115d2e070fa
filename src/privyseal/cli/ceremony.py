# SPDX-License-Identifier: Apache-2.0
"""``privyseal ceremony``: an offline root in a directory, on a machine without a network. Needs no installation."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import click

from privyseal.adapters.apart import OneThread
from privyseal.adapters.ceremony_files import (
    CERTIFICATE_NAME,
    CRL_NAME,
    ROOT_NAME,
    LedgerFile,
    open_ledger,
    read_root,
    write_root,
)
from privyseal.adapters.clock import SystemClock, SystemRng
from privyseal.adapters.keys import FileKeyStore
from privyseal.ca.ceremony import Ceremony, asked_for, certify, draw, make_root, next_crl, root_record
from privyseal.cli.output import moment, pem, show_item, show_list
from privyseal.cli.session import Session, is_terminal
from privyseal.cli.values import DURATION, KEY_TYPE, REASON, read_given, write_result
from privyseal.cli.verb import verb
from privyseal.config import check_settings, passphrase_file, read_passphrase
from privyseal.errors import CeremonyInvalid, FileNotAccessible, NameTaken
from privyseal.model.authority import CaKind, CaRequest, CrlRules
from privyseal.model.certificate import format_serial, parse_serial
from privyseal.model.crl import CrlFacts
from privyseal.model.revocation import CrlReason
from privyseal.x509.algorithms import KeyType
from privyseal.x509.bundle import read_bundle
from privyseal.x509.certificate import read_certificate
from privyseal.x509.csr import parse_request
from privyseal.x509.keys import describe_key
from privyseal.x509.names import DistinguishedName

_DIRECTORY: Final = click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=".",
    show_default=True,
    metavar="DIR",
    help="The ceremony directory.",
)
_OFFLINE_CRL: Final = "180d"


@verb(
    "root",
    examples=(
        "ceremony root --dir ./root --name contoso-root --subject 'CN=Contoso Root,O=Contoso' "
        "--url http://pki.contoso.com",
    ),
)
@_DIRECTORY
@click.option("--name", required=True, metavar="CA", help="Its name on the server; stands in URLs.")
@click.option("--subject", required=True, metavar="DN", help="RFC 4514 name.")
@click.option("--url", required=True, metavar="URL", help="The server's public http:// URL: certificates carry it.")
@click.option(
    "--key", "key_type", type=KEY_TYPE, default=KeyType.RSA_4096.value, show_default=True, help="Kind of key."
)
@click.option("--validity", type=DURATION, default="7300d", show_default=True, help="How long the root is good for.")
@click.option("--path-length", type=click.IntRange(0, 8), metavar="N", help="CAs allowed below. Default: no limit.")
@click.option("--crl-validity", type=DURATION, default=_OFFLINE_CRL, show_default=True, help="Of each CRL.")
def root(session: Session, directory: Path, **given: Any) -> None:
    """Make an offline root: encrypted key, certificate, first CRL and ledger, all in one directory.

    Do this on a machine without a network, and keep copies of the directory. Only root.crt and root.crl go
    to the server; the key never leaves this directory.
    """
    if (directory / ROOT_NAME).exists():
        raise NameTaken(f"{directory} holds a root already", mend=("choose another directory: --dir DIR",))
    validity, crl = given["validity"], given["crl_validity"]
    request = CaRequest(
        name=given["name"],
        kind=CaKind.ROOT,
        parent=None,
        subject=DistinguishedName.parse(given["subject"]),
        key_type=given["key_type"],
        hash_name=None,
        validity=validity,
        path_length=given["path_length"],
        ext_key_usage=(),
        crl=CrlRules(validity=crl, publish_every=crl / 2),
    )
    url = check_settings(directory, {"organization": "ceremony", "public_url": given["url"]}).public_url
    _make_directory(directory)
    clock = SystemClock()
    keys = FileKeyStore(directory / "keys", _passphrase(session, new=True))
    with open_ledger(directory, clock.now) as ledger:
        if ledger.lines:
            raise CeremonyInvalid(
                f"{directory} holds a ledger without a root", mend=("choose another directory: --dir DIR",)
            )
        work = make_root(request, keys, ledger, now=clock.now(), rng=SystemRng(), actor=session.actor)
        made, key_ref = asyncio.run(work)
        content = {"name": request.name, "url": url, "key": key_ref, "crl_seconds": int(crl.total_seconds())}
        write_root(directory, content, made)
    with _opened(session, directory, keys=keys) as table:
        facts = table.publish()
    show_item(session, _root_item(made, facts))
    session.done(f"made an offline root in {directory}; keep copies of it")
    session.say(f"  next  on the server: privyseal ca import-root {CERTIFICATE_NAME} --name {request.name}")
    session.say(f"  next  on the server: privyseal ca import-crl {CRL_NAME}")


@verb(
    "sign",
    examples=(
        "ceremony sign contoso-issuing.req --dir ./root --dry-run",
        "ceremony sign contoso-issuing.req --dir ./root --validity 3650d --out contoso-issuing.crt",
    ),
)
@click.argument("request", metavar="REQUEST")
@_DIRECTORY
@click.option("--validity", type=DURATION, default="1825d", show_default=True, help="How long the CA is good for.")
@click.option("--path-length", type=click.IntRange(0, 8), metavar="N", help="Default: what the request asks for.")
@click.option("--out", type=click.Path(dir_okay=False), metavar="FILE", help="Default: beside the request, .crt.")
@click.option("--dry-run", is_flag=True, help="Only show what would be signed.")
def sign(
    session: Session,
    request: str,
    directory: Path,
    validity: timedelta,
    path_length: int | None,
    out: str | None,
    dry_run: bool,
) -> None:
    """Sign the request of an issuing CA with the offline root, after the same checks as on the server.

    Compare the key's fingerprint with what `ca csr` showed on the server before you sign.
    """
    asked = parse_request(read_given(request))
    with _opened(session, directory) as table:
        wanted = asked_for(asked, table.ceremony.issuer, validity=validity, path_length=path_length)
        linted = draw(table.ceremony, wanted, asked, table.clock.now())
        item = {
            "subject": asked.subject.to_text(),
            "key": describe_key(asked.public_key),
            "key_sha256": _fingerprint(asked.spki),
            "path_length": wanted.path_length,
            "ext_key_usage": list(wanted.ext_key_usage),
            "not_after": moment(linted.content.not_after) if linted.content else None,
        }
        if dry_run:
            show_item(session, item)
            return
        certificate = asyncio.run(certify(table.ceremony, linted, subject=asked.subject.to_text(), actor=session.actor))
    target = out or str(Path(request).with_suffix(".crt"))
    write_result(target, pem(certificate).encode())
    show_item(session, item | {"serial": format_serial(read_certificate(certificate).serial), "file": target})
    session.done(f"signed {asked.subject.to_text()}; the certificate is in {target}")
    session.say(f"  next  on the server: privyseal ca install NAME {Path(target).name} {CERTIFICATE_NAME}")


@verb("crl", examples=("ceremony crl --dir ./root",))
@_DIRECTORY
def crl(session: Session, directory: Path) -> None:
    """Make the root's next CRL. Its number never repeats, whatever happened before."""
    with _opened(session, directory) as table:
        facts = table.publish()
    _show_crl(session, directory, facts)


@verb("revoke", examples=("ceremony revoke contoso-issuing.crt --dir ./root --reason ca-compromise",))
@click.argument("serial", metavar="SERIAL|FILE")
@_DIRECTORY
@click.option("--reason", type=REASON, default=CrlReason.UNSPECIFIED.label, show_default=True, help="RFC 5280 reason.")
def revoke(session: Session, serial: str, directory: Path, reason: str) -> None:
    """Revoke an issuing CA that this root signed, and make the CRL that says so."""
    if Path(serial).is_file():
        number = read_bundle(read_given(serial))[0].serial
    else:
        number = parse_serial(serial)
    with _opened(session, directory) as table:
        table.ledger.revoke(number, CrlReason.parse(reason), actor=session.actor)
        facts = table.publish()
    _show_crl(session, directory, facts)


@verb("list", examples=("ceremony list --dir ./root", "ceremony list --dir ./root -o json"))
@_DIRECTORY
def list_all(session: Session, directory: Path) -> None:
    """List the ledger of an offline root; it is verified on the way. Needs no passphrase."""
    read_root(directory)
    with open_ledger(directory, SystemClock().now) as ledger:
        lines = ledger.lines
    hidden = {"tbs", "signature", "previous"}
    items = [{key: value for key, value in line.items() if key not in hidden} for line in lines]
    show_list(session, items, ("at", "what", "serial", "number", "subject", "by"))


@dataclass(frozen=True, slots=True)
class _Table:
    """An opened ceremony directory."""

    ceremony: Ceremony
    ledger: LedgerFile
    clock: SystemClock

    def publish(self) -> CrlFacts:
        """The next CRL, on disk."""
        return asyncio.run(next_crl(self.ceremony, self.clock.now()))


@contextmanager
def _opened(session: Session, directory: Path, *, keys: FileKeyStore | None = None) -> Iterator[_Table]:
    content = read_root(directory)
    clock, validity = SystemClock(), timedelta(seconds=content["crl_seconds"])
    try:
        certificate = (directory / CERTIFICATE_NAME).read_bytes()
    except OSError as error:
        raise FileNotAccessible(f"{directory / CERTIFICATE_NAME} cannot be read: {error.strerror}") from error
    with open_ledger(directory, clock.now) as ledger:
        serial = f"{read_certificate(certificate).serial:x}"
        if not any(line.get("serial") == serial for line in ledger.lines):
            raise CeremonyInvalid(f"the ledger in {directory} does not know the root beside it ({serial})")
        root = root_record(
            content["name"],
            certificate=certificate,
            key_ref=content["key"],
            hash_name=None,
            crl=CrlRules(validity=validity, publish_every=validity / 2),
        )
        apart = OneThread()
        try:
            ceremony = Ceremony(
                root=root,
                base_url=content["url"],
                keys=keys or FileKeyStore(directory / "keys", _passphrase(session, new=False)),
                ledger=ledger,
                rng=SystemRng(),
                apart=apart,
            )
            yield _Table(ceremony, ledger, clock)
        finally:
            apart.close()


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise FileNotAccessible(f"{directory} cannot be made: {error.strerror}") from error


def _passphrase(session: Session, *, new: bool) -> str:
    path = passphrase_file(session.passphrase_file)
    if path is None and is_terminal(sys.stdin):
        return str(click.prompt("Passphrase of the root's key", hide_input=True, confirmation_prompt=new, err=True))
    return read_passphrase(path)


def _root_item(certificate: bytes, facts: CrlFacts) -> dict[str, Any]:
    view = read_certificate(certificate)
    return {
        "subject": DistinguishedName.from_der(view.subject).to_text(),
        "serial": format_serial(view.serial),
        "not_after": moment(view.not_after),
        "fingerprint_sha256": _fingerprint(certificate),
        "certificate": CERTIFICATE_NAME,
        "crl": CRL_NAME,
        "crl_number": facts.number,
        "crl_next_update": moment(facts.next_update),
    }


def _show_crl(session: Session, directory: Path, facts: CrlFacts) -> None:
    show_item(session, {"crl_number": facts.number, "crl_next_update": moment(facts.next_update), "crl": CRL_NAME})
    session.done(f"CRL {facts.number} is in {directory / CRL_NAME}")
    session.say(f"  next  on the server, before {moment(facts.next_update)}: privyseal ca import-crl {CRL_NAME}")


def _fingerprint(content: bytes) -> str:
    return sha256(content).hexdigest()
