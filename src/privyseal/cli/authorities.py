# SPDX-License-Identifier: Apache-2.0
"""``privyseal ca``: make, list, show and export certification authorities. Rules live in ``ca``, not here."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from hashlib import sha256
from typing import Any

import click

from privyseal.bootstrap import Application
from privyseal.ca.founding import found_ca
from privyseal.ca.issuer import Issuer
from privyseal.cli.crl_options import delta_rules
from privyseal.cli.output import moment, pem, show_item, show_list, write_bytes, write_text
from privyseal.cli.session import Session
from privyseal.cli.values import DURATION, EXT_KEY_USAGE, KEY_TYPE, write_result
from privyseal.cli.verb import verb
from privyseal.errors import NotFound
from privyseal.model.authority import CaKind, CaRecord, CaRequest, CrlRules
from privyseal.model.certificate import CertificateKind, format_serial
from privyseal.model.crl import CrlScope
from privyseal.model.durations import format_duration
from privyseal.x509.algorithms import KeyType
from privyseal.x509.certificate import read_certificate
from privyseal.x509.extensions import ext_key_usage_label
from privyseal.x509.keys import describe_key
from privyseal.x509.names import DistinguishedName
from privyseal.x509.rfc4514 import escape_value

_KEY_HELP = "rsa:2048|3072|4096, ec:p256|p384|p521 or ed25519. RSA is what every device can verify."
_ROOT_YEARS, _ISSUING_YEARS = 20, 5


@verb(
    "create",
    outputs=("table", "json", "pem"),
    examples=(
        "ca create contoso-root --root",
        "ca create contoso-issuing --parent contoso-root --eku client-auth --eku server-auth",
        "ca create lab-root --root --key ec:p384 --validity 10y --subject 'CN=Lab Root,O=Contoso,C=DE'",
        "ca create contoso-issuing --parent contoso-root --successor",
        "ca create contoso-issuing --parent contoso-root --delta-crl 1d",
        "ca create contoso-devices --parent contoso-root --crl-shards 64",
    ),
)
@click.argument("name")
@click.option("--root", "is_root", is_flag=True, help="It signs itself.")
@click.option("--parent", metavar="CA", help="It is an issuing CA, signed by this one.")
@click.option("--subject", metavar="DN", help="RFC 4514 name. Default: CN=<NAME in words>,O=<organization>.")
@click.option("--key", "key_type", type=KEY_TYPE, default=KeyType.RSA_3072.value, show_default=True, help=_KEY_HELP)
@click.option("--hash", "hash_name", type=click.Choice(("sha256", "sha384", "sha512")), help="For RSA keys only.")
@click.option("--validity", type=DURATION, help=f"Default: {_ROOT_YEARS}y for a root, {_ISSUING_YEARS}y below one.")
@click.option("--path-length", type=int, metavar="N", help="CAs allowed below. Default: no limit; 0 below a root.")
@click.option("--eku", multiple=True, type=EXT_KEY_USAGE, help="Purposes that its certificates may have. Repeatable.")
@click.option("--crl-validity", type=DURATION, default="7d", show_default=True, help="How long a CRL is good for.")
@click.option("--crl-interval", type=DURATION, help="How often one is published. Default: half of its validity.")
@click.option("--delta-crl", type=DURATION, help="Publish delta CRLs as well, each good for so long. Default: none.")
@click.option("--delta-interval", type=DURATION, help="How often one is published. Default: half of its validity.")
@click.option("--crl-shards", type=int, default=0, metavar="N", help="Cut the CRL into N shards, 1 to 1024, for ever.")
@click.option("--successor", is_flag=True, help="Make the next version of this CA, staged and not yet in use.")
def create(session: Session, name: str, is_root: bool, parent: str | None, **rest: Any) -> None:
    """Make a CA: its key, its certificate, its first CRL and the certificates that serve SCEP and OCSP.

    Say --root or --parent. An issuing CA's purposes and validity stay inside its parent's, or nothing is
    made. A CA without --eku may certify any purpose that its parent allows.
    """
    if is_root == (parent is not None):
        raise click.UsageError("say either --root or --parent CA", click.get_current_context())
    with session.application(keys=True) as application:
        request = _request(application, name, parent=parent, **rest)
        record = asyncio.run(found_ca(request, application.workshop(), actor=session.actor))
        _show(session, application, record)
        session.done(
            f"made {record.kind.value} CA {record.name} v{record.version} ({record.state.value})",
            after=f"privyseal ca create NAME --parent {name}" if parent is None
            else f"privyseal profile create wifi-device --issuer {name}",
        )  # fmt: skip


def _request(
    application: Application,
    name: str,
    *,
    parent: str | None,
    subject: str | None,
    key_type: KeyType,
    hash_name: str | None,
    validity: timedelta | None,
    path_length: int | None,
    eku: tuple[str, ...],
    crl_validity: timedelta,
    crl_interval: timedelta | None,
    delta_crl: timedelta | None,
    delta_interval: timedelta | None,
    crl_shards: int,
    successor: bool,
) -> CaRequest:
    years = _ROOT_YEARS if parent is None else _ISSUING_YEARS
    return CaRequest(
        name=name,
        kind=CaKind.ROOT if parent is None else CaKind.ISSUING,
        parent=parent,
        subject=_subject(application, name, subject=subject, successor=successor),
        key_type=key_type,
        hash_name=hash_name,
        validity=validity or timedelta(days=365 * years),
        path_length=path_length,
        ext_key_usage=tuple(dict.fromkeys(eku)),
        crl=CrlRules(
            validity=crl_validity,
            publish_every=crl_interval or crl_validity / 2,
            delta=delta_rules(delta_crl, delta_interval),
            shards=crl_shards,
        ),
        successor=successor,
    )


def _subject(application: Application, name: str, *, subject: str | None, successor: bool) -> DistinguishedName:
    if subject is not None:
        return DistinguishedName.parse(subject)
    if successor:
        # The next version keeps its name; what tells the two apart is the key identifier.
        return DistinguishedName.from_der(read_certificate(application.authorities.get(name).certificate).subject)
    words = " ".join(word.upper() if word.lower() == "ca" else word.capitalize() for word in name.split("-") if word)
    return DistinguishedName.parse(f"CN={escape_value(words)},O={escape_value(application.settings.organization)}")


@verb("list", examples=("ca list", "ca list -o json"))
def list_all(session: Session) -> None:
    """List every version of every CA, each below the one that signed it."""
    with session.application() as application:
        records = application.authorities.all()
        items = [ca_item(application, record) for record in _in_order(records)]
        show_list(session, items, ("name", "version", "kind", "state", "parent", "key", "not_after", "crl_next_update"))


def _in_order(records: tuple[CaRecord, ...]) -> list[CaRecord]:
    def below(parent: int | None) -> list[CaRecord]:
        found = [record for record in records if record.parent_id == parent]
        return [item for record in found for item in (record, *below(record.id))]

    return below(None)


@verb("get", outputs=("table", "json", "pem"), examples=("ca get contoso-issuing", "ca get contoso-root -o pem"))
@click.argument("name")
@click.option("--version", "version", type=int, default=0, metavar="N", help="Default: the one in force.")
def get(session: Session, name: str, version: int) -> None:
    """Show one CA: certificate, URLs that its certificates carry, CRL in force, RA and OCSP certificates."""
    with session.application() as application:
        _show(session, application, application.authorities.get(name, version))


def _show(session: Session, application: Application, record: CaRecord) -> None:
    if session.output == "pem":
        write_text(pem(record.certificate))
    else:
        show_item(session, ca_item(application, record))


def ca_item(application: Application, record: CaRecord) -> dict[str, Any]:
    """One CA version with stable field names."""
    issuer = Issuer(record, application.settings.public_url)
    view = issuer.view
    latest = application.crls.newest(issuer.id)
    delta = None if record.crl.delta is None else application.crls.in_force(issuer.id, CrlScope(delta=True))
    parents = {other.id: other.name for other in application.authorities.all()}
    now = application.clock.now()
    services = [
        {"kind": kind.value, "not_after": moment(service.not_after)}
        for kind in (CertificateKind.RA, CertificateKind.OCSP)
        for service in application.authorities.services(record.id, kind, now=now)
    ]
    return {
        "name": record.name,
        "version": record.version,
        "kind": record.kind.value,
        "state": record.state.value,
        "parent": None if record.parent_id is None else parents.get(record.parent_id),
        "subject": DistinguishedName.from_der(view.subject).to_text(),
        "serial": format_serial(view.serial),
        "key": describe_key(issuer.public_key),
        "signature_algorithm": issuer.algorithm.name,
        "not_before": moment(view.not_before),
        "not_after": moment(view.not_after),
        "path_length": view.path_length,
        "ext_key_usage": sorted(map(ext_key_usage_label, view.ext_key_usage or ())),
        "fingerprint_sha256": sha256(record.certificate).hexdigest(),
        "crl_url": issuer.crl_url(CrlScope()),
        "crl_shards": record.crl.shards or None,
        "aia_url": issuer.urls.ca_issuers,
        "ocsp_url": issuer.urls.ocsp,
        "crl_number": latest and latest.number,
        "crl_next_update": latest and moment(latest.next_update),
        "crl_validity": format_duration(record.crl.validity),
        "crl_interval": format_duration(record.crl.publish_every),
        "delta_crl_url": issuer.urls.delta if record.crl.delta else None,
        "delta_crl_number": delta and delta.number,
        "delta_crl_next_update": delta and moment(delta.next_update),
        "delta_crl_interval": record.crl.delta and format_duration(record.crl.delta.publish_every),
        "services": services,
    }


@verb(
    "export",
    outputs=("pem", "der"),
    examples=(
        "ca export contoso-root --out root.pem",
        "ca export contoso-issuing --chain",
        "ca export contoso-root -o der --out root.cer",
    ),
)
@click.argument("name")
@click.option("--version", "version", type=int, default=0, metavar="N", help="Default: the one in force.")
@click.option("--chain", is_flag=True, help="The CA and those above it, the root last. PEM only.")
@click.option("--out", type=click.Path(dir_okay=False), metavar="FILE", help="Default: standard output.")
def export(session: Session, name: str, version: int, chain: bool, out: str | None) -> None:
    """Write a CA's certificate, or its chain. Certificates only: a key never leaves the key store."""
    if chain and session.output == "der":
        raise click.UsageError("a chain is printed as PEM; DER holds one certificate", click.get_current_context())
    with session.application() as application:
        record = application.authorities.get(name, version)
        path = _path_to_root(application, record) if chain else [record]
        if session.output == "der":
            content = record.certificate
        else:
            content = "".join(pem(item.certificate) for item in path).encode()
    if out is None:
        write_bytes(content)
    else:
        write_result(out, content)
        session.done(f"wrote {len(path)} certificate(s) to {out}")


def _path_to_root(application: Application, record: CaRecord) -> list[CaRecord]:
    by_id = {other.id: other for other in application.authorities.all()}
    path = [record]
    while (parent := path[-1].parent_id) is not None:
        if parent not in by_id:
            raise NotFound(f"the parent of CA {path[-1].name} is not stored")
        path.append(by_id[parent])
    return path
