# SPDX-License-Identifier: Apache-2.0
"""``privyseal certificate issue``. A private key goes to a file for its owner only, never to output."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import click

from privyseal.adapters.keys_subscriber import certification_request, key_pem, make_key
from privyseal.cli.entities import refuse_disabled
from privyseal.cli.inspecting import describe_certificate
from privyseal.cli.output import pem, show_item, write_text
from privyseal.cli.profiles import chosen_entity
from privyseal.cli.session import Session
from privyseal.cli.values import read_given, write_result
from privyseal.cli.verb import verb
from privyseal.errors import InvalidValue, NameTaken
from privyseal.model.certificate import format_serial
from privyseal.x509.certificate import read_certificate
from privyseal.x509.csr import parse_request


@verb(
    "issue",
    outputs=("table", "json", "pem"),
    examples=(
        "certificate issue --profile wifi-device --device LAPTOP-042 --csr laptop.csr -o pem",
        "certificate issue --profile wifi-device --device LAPTOP-042 --out ./laptop",
    ),
)
@click.option("--profile", required=True, metavar="NAME", help="The rules; names come from it as well.")
@click.option("--device", metavar="NAME", help="The device it is for.")
@click.option("--user", metavar="NAME", help="The user it is for.")
@click.option("--csr", metavar="FILE", help="Certification request (PEM or DER); - is standard input.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where key, certificate and chain go.")
def issue(
    session: Session, profile: str, device: str | None, user: str | None, csr: str | None, out: Path | None
) -> None:
    """Issue a certificate to a device or user that you vouch for; no challenge and no approval is asked for.

    With --csr only the key of the request counts. Without it a key is made and written to --out, readable
    by you alone; no copy is kept. A file that exists is never overwritten.
    """
    if csr is None and out is None:
        raise click.UsageError("say --csr FILE, or --out DIR to have a key made", click.get_current_context())
    with session.application(keys=True) as application:
        form = application.catalog.form(profile)
        entity = application.entities.named(*chosen_entity(device, user))
        refuse_disabled(entity)
        files = None if out is None else _Files(out, entity.name)
        if csr is not None:
            request = parse_request(read_given(csr), allow_sha1=form.profile.scep.legacy_devices)
        else:
            key = make_key(form.profile.key_rules)
            request = parse_request(certification_request(key))
            if files is not None:
                # The key first: a certificate whose key was lost in a full disk would be worthless.
                files.write_key(key_pem(key))
        work = application.registration.issue_for(entity, profile, request, requester=session.actor)
        granted = asyncio.run(work)
        chain = "".join(pem(issuer.record.certificate) for issuer in application.catalog.chain(form.issuer))
    if files is not None:
        files.write_certificates(pem(granted.certificate), chain)
    view = read_certificate(granted.certificate)
    if session.output == "pem":
        write_text(pem(granted.certificate) + chain)
    else:
        written = [] if files is None else files.written
        show_item(session, {**describe_certificate(view), "remark": granted.remark or None, "files": written})
    serial = format_serial(view.serial)
    session.done(
        f"issued certificate {serial} to {entity.kind.value} {entity.name}", after=f"privyseal certificate get {serial}"
    )
    if granted.remark:
        session.say(f"  note  {granted.remark}")


class _Files:
    """The files of one issued certificate. Refuses at once when one of them is there already (NameTaken)."""

    def __init__(self, directory: Path, name: str) -> None:
        stem = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".") or "certificate"
        self._directory = directory
        self._key = directory / f"{stem}.key"
        self._certificate = directory / f"{stem}.pem"
        self._chain = directory / "chain.pem"
        self.written: list[str] = []
        for path in (self._key, self._certificate):
            if path.exists():
                raise NameTaken(f"{path} exists already", mend=("choose another directory with --out",))
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidValue(f"{directory} cannot be made: {error.strerror}") from error

    def write_key(self, content: bytes) -> None:
        """Write the key, readable by its owner only, and on disk when this returns."""
        descriptor = os.open(self._key, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        self.written.append(str(self._key))

    def write_certificates(self, certificate: str, chain: str) -> None:
        """Write certificate and chain."""
        for path, text in ((self._certificate, certificate), (self._chain, chain)):
            write_result(path, text.encode())
            self.written.append(str(path))
