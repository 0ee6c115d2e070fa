# SPDX-License-Identifier: Apache-2.0
"""``privyseal scep test``: the built-in client walks every stage by the public URL and names the one that fails."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import click
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from privyseal.adapters.relying_party import check_crl, check_ocsp
from privyseal.adapters.scep_client import Enrolled, ScepClient, Server
from privyseal.bootstrap import Application
from privyseal.ca.form import CertificateForm
from privyseal.cli.output import write_json
from privyseal.cli.session import Session
from privyseal.cli.stages import Stages
from privyseal.cli.verb import verb
from privyseal.errors import NotFound, ServerAnsweredWrongly
from privyseal.model.certificate import format_serial
from privyseal.model.challenge import challenge_hash
from privyseal.model.entity import EndEntity, EntityKind
from privyseal.model.revocation import CrlReason

_NAME: Final = "scep-test"
# Values that can be told from real ones at a glance: reserved names (RFC 2606) and RID 0, which nobody has.
_SAMPLES: Final = {
    "name": _NAME,
    "dns_name": "scep-test.invalid",
    "sid": "S-1-5-21-0-0-0-0",
    "principal_name": "scep-test@example.invalid",
    "mail": "scep-test@example.invalid",
}
_FILLER: Final = "scep-test"


@verb("test", examples=("scep test wifi-device", "scep test wifi-device --device LAPTOP-042 -o json"))
@click.argument("profile")
@click.option("--device", metavar="NAME", help="Use this device's attributes instead of sample values.")
@click.option("--user", metavar="NAME", help="Use this user's attributes instead of sample values.")
@click.option("--version", "version", type=click.IntRange(1, 9999), metavar="N", help="A staged version of the CA.")
def command(session: Session, profile: str, device: str | None, user: str | None, version: int | None) -> None:
    """Enroll through the public URL as a device would, check the certificate as a relying party would, revoke it.

    Without --device or --user it makes a stand-in named scep-test. The test certificate is always revoked
    at the end; that needs the passphrase of the keys. With --version it enrolls under a version of the CA that
    is staged, at the URL that this version has for tests.
    """
    if device and user:
        raise click.UsageError("name a device or a user, not both", click.get_current_context())
    stages = Stages(sys.stderr if session.output == "json" else sys.stdout)
    with session.application(keys=True) as application:
        url = f"{application.settings.public_url}/scep/{profile}" + (f"/v{version}" if version else "")
        form = partial(application.catalog.form, profile, version or 0)
        enrolled = _walk(application, session, stages, url=url, find=form, named=(device, user))
    serial = format_serial(enrolled.certificate.serial_number)
    if session.output == "json":
        write_json({"profile": profile, "url": url, "serial": serial, "seconds": stages.seconds, "passed": True})
    session.done(f"every stage of {url} works; test certificate {serial} is revoked")


def _walk(
    application: Application,
    session: Session,
    stages: Stages,
    *,
    url: str,
    find: Callable[[], CertificateForm],
    named: tuple[str | None, str | None],
) -> Enrolled:
    clock, client = application.clock, ScepClient(url, application.rng)
    with stages.stage("Profile"):
        form = find()
        entity = asyncio.run(_entity(application, session, form, named))
        stages.tell(f"revision {form.profile.revision} under {form.issuer.shown}")
    with stages.stage("GetCACaps"):
        stages.tell(" ".join(sorted(client.capabilities())))
    with stages.stage("GetCACert"):
        server = client.server()
        _check_server(server, form)
        stages.tell(f"{len(server.certificates)} certificates, RA first, right key usage")
    with stages.stage("Challenge"):
        challenge = asyncio.run(_challenge(application, session, form, entity))
        stages.tell(f"for {entity.kind.value} {entity.name}")
    with stages.stage("Enrollment"):
        key = rsa.generate_private_key(public_exponent=65537, key_size=max(2048, form.profile.key_rules.rsa_minimum))
        enrolled = client.enroll(server, key=key, name=entity.name, challenge=challenge, now=clock.now())
        stages.tell(f"issued {enrolled.certificate.subject.rfc4514_string()}")
    try:
        _rely(application, stages, form, enrolled, revoked=False)
    finally:
        with stages.stage("Revocation"):
            number = asyncio.run(_revoke(application, session, form, enrolled))
            stages.tell(f"test certificate revoked, CRL number {number} published")
    _rely(application, stages, form, enrolled, revoked=True)
    return enrolled


def _check_server(server: Server, form: CertificateForm) -> None:
    if server.certificates[0] != server.ra:
        raise ServerAnsweredWrongly("the RA certificate is not the first of GetCACert")
    if form.issuer.view.encoded not in server.certificates:
        raise ServerAnsweredWrongly(
            f"GetCACert does not hold the certificate of CA {form.issuer.record.name}",
            why="another installation answers at the public URL, or something in between changes the answer",
            mend=("compare public_url in privyseal.toml with where `privyseal serve` listens",),
        )


def _rely(
    application: Application, stages: Stages, form: CertificateForm, enrolled: Enrolled, *, revoked: bool
) -> None:
    """CRL and OCSP through the URLs in the certificate, before and after revocation."""
    issuer, wanted = x509.load_der_x509_certificate(form.issuer.view.encoded), "revoked" if revoked else "good"
    after = " after" if revoked else ""
    with stages.stage(f"CRL{after}"):
        crl = check_crl(enrolled.certificate, issuer, now=_now(application))
        if crl.lists_it is not revoked:
            raise ServerAnsweredWrongly(f"CRL {crl.number} at {crl.url} should say {wanted}, and does not")
        stages.tell(f"number {crl.number}: {wanted}")
    with stages.stage(f"OCSP{after}"):
        answer = check_ocsp(enrolled.certificate, issuer, now=_now(application))
        if answer.status != wanted:
            raise ServerAnsweredWrongly(f"{answer.url} says {answer.status}, not {wanted}")
        stages.tell(answer.status)


def _now(application: Application) -> datetime:
    return application.clock.now()


async def _entity(
    application: Application, session: Session, form: CertificateForm, named: tuple[str | None, str | None]
) -> EndEntity:
    device, user = named
    if device is not None:
        return application.entities.named(EntityKind.DEVICE, device)
    if user is not None:
        return application.entities.named(EntityKind.USER, user)
    kind = form.profile.entity_kind
    try:
        found = application.entities.named(kind, _NAME)
    except NotFound:
        found = await application.entities.create(kind, {"name": _NAME}, actor=session.actor)
    needed = set(form.profile.subject.variables)
    for rule in form.profile.san:
        needed |= rule.template.variables
    if form.profile.sid_extension or form.profile.sid_uri:
        needed.add(f"{kind.value}.sid")
    wanted = {name: _SAMPLES.get(name, _FILLER) for name in (variable.partition(".")[2] for variable in needed)}
    return await application.entities.change(found, wanted, enabled=True, actor=session.actor)


async def _challenge(application: Application, session: Session, form: CertificateForm, entity: EndEntity) -> str:
    secret = application.rng.bytes(20).hex()
    await application.entities.create_challenge(
        challenge_hash(secret),
        profile=form.profile.name,
        entity=entity,
        expires_at=application.clock.now() + timedelta(minutes=10),
        actor=session.actor,
    )
    return secret


async def _revoke(application: Application, session: Session, form: CertificateForm, enrolled: Enrolled) -> int:
    published = await application.status.revoke(
        form.issuer,
        enrolled.certificate.serial_number,
        signer=application.catalog.signer(form.issuer.id),
        reason=CrlReason.CESSATION_OF_OPERATION,
        invalid_since=None,
        actor=session.actor,
    )
    return published.number
