# SPDX-License-Identifier: Apache-2.0
"""``privyseal ca``: make, list, show and export certification authorities. Rules live in ``ca``, not here."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import click

from privyseal.administration.authorities_making import ISSUING_YEARS, ROOT_YEARS
from privyseal.bootstrap import Application
from privyseal.ca.issuer import Issuer
from privyseal.ca.lifecycle import ROLLBACK_WITHIN, STAGED_FOR, state_at
from privyseal.cli import remote
from privyseal.cli.acts import submit
from privyseal.cli.output import moment, pem, show_item, show_list, write_bytes, write_text
from privyseal.cli.session import Session
from privyseal.cli.values import DURATION, EXT_KEY_USAGE, KEY_TYPE, write_result
from privyseal.cli.verb import verb
from privyseal.errors import NotFound
from privyseal.model.authority import IN_FORCE, CaKind, CaRecord, CaState
from privyseal.model.authority_name import PendingAuthority, RenewalPolicy
from privyseal.model.certificate import CertificateKind, format_serial
from privyseal.model.crl import CrlScope
from privyseal.model.durations import format_duration
from privyseal.store.moments import from_seconds
from privyseal.x509.algorithms import KeyType
from privyseal.x509.certificate import read_certificate
from privyseal.x509.csr import parse_request
from privyseal.x509.extensions import ext_key_usage_label
from privyseal.x509.keys import describe_key
from privyseal.x509.names import DistinguishedName

_KEY_HELP = "rsa:2048|3072|4096, ec:p256|p384|p521 or ed25519. RSA is what every device can verify."


@verb(
    "create",
    outputs=("table", "json", "pem"),
    examples=(
        "ca create contoso-root --root",
        "ca create contoso-issuing --parent contoso-root --eku client-auth --eku server-auth",
        "ca create lab-root --root --key ec:p384 --validity 10y --subject 'CN=Lab Root,O=Contoso,C=DE'",
        "ca create contoso-issuing --external-root",
        "ca create contoso-issuing --parent contoso-root --delta-crl 1d",
        "ca create contoso-devices --parent contoso-root --crl-shards 64",
    ),
)
@click.argument("name")
@click.option("--root", "is_root", is_flag=True, help="It signs itself.")
@click.option("--parent", metavar="CA", help="It is an issuing CA, signed by this one.")
@click.option("--external-root", is_flag=True, help="It is an issuing CA, signed by a CA that is not here.")
@click.option("--subject", metavar="DN", help="RFC 4514 name. Default: CN=<NAME in words>,O=<organization>.")
@click.option("--key", "key_type", type=KEY_TYPE, default=KeyType.RSA_3072.value, show_default=True, help=_KEY_HELP)
@click.option("--hash", "hash_name", type=click.Choice(("sha256", "sha384", "sha512")), help="For RSA keys only.")
@click.option("--validity", type=DURATION, help=f"Default: {ROOT_YEARS}y for a root, {ISSUING_YEARS}y below one.")
@click.option(
    "--path-length",
    type=click.IntRange(0, 8),
    metavar="N",
    help="CAs allowed below. Default: no limit; 0 below a root.",
)
@click.option("--eku", multiple=True, type=EXT_KEY_USAGE, help="Purposes that its certificates may have. Repeatable.")
@click.option("--crl-validity", type=DURATION, default="7d", show_default=True, help="How long a CRL is good for.")
@click.option("--crl-interval", type=DURATION, help="How often one is published. Default: half of its validity.")
@click.option("--delta-crl", type=DURATION, help="Publish delta CRLs as well, each good for so long. Default: none.")
@click.option("--delta-interval", type=DURATION, help="How often one is published. Default: half of its validity.")
@click.option("--crl-shards", type=int, default=0, metavar="N", help="Cut the CRL into N shards, 1 to 1024, for ever.")
@click.option("--label", "labels", multiple=True, metavar="LABEL", help="Roles are granted for labels. Repeatable.")
@click.option("--description", metavar="TEXT", help="At most 400 characters.")
@click.option("--dry-run", is_flag=True, help="Only show what would happen.")
def create(session: Session, name: str, is_root: bool, dry_run: bool, **given: Any) -> None:
    """Make a CA: its key, its certificate, its first CRL and the certificates that serve SCEP and OCSP.

    Say --root, --parent or --external-root. An issuing CA's purposes and validity stay inside its parent's, or
    nothing is made. A CA without --eku may certify any purpose that its parent allows. With --external-root, or
    below a CA whose key is elsewhere, a request is made that `ca csr` writes and `ca install` answers.
    """
    if [is_root, given["parent"] is not None, given["external_root"]].count(True) != 1:
        raise click.UsageError("say --root, --parent CA or --external-root", click.get_current_context())
    with session.application(keys=True) as application:
        made = submit(session, application, "ca.create", _parameters(name, is_root, given), dry_run=dry_run)
        if made is None:
            return
        if made["state"] == CaState.SIGNING_REQUIRED.value:
            _show_request(session, application, name)
            return
        record = application.authorities.get(name, made["version"])
        _show(session, application, record)
        session.done(
            f"made {record.kind.value} CA {record.name} v{record.version} ({record.state.value})",
            after=f"privyseal ca create NAME --parent {name}" if is_root
            else f"privyseal profile create wifi-device --issuer {name}",
        )  # fmt: skip


def _parameters(name: str, is_root: bool, given: Mapping[str, Any]) -> dict[str, Any]:
    texts = {
        "name": name,
        "kind": (CaKind.ROOT if is_root else CaKind.ISSUING).value,
        "parent": given["parent"],
        "subject": given["subject"],
        "key": given["key_type"].value,
        "hash": given["hash_name"],
        "crl_shards": str(given["crl_shards"]),
        "path_length": None if given["path_length"] is None else str(given["path_length"]),
        "description": given["description"],
    }
    for option in ("validity", "crl_validity", "crl_interval", "delta_crl", "delta_interval"):
        texts[option] = None if given[option] is None else format_duration(given[option])
    lists = {"eku": list(given["eku"]), "labels": list(given["labels"]), "external_root": given["external_root"]}
    return {key: value for key, value in texts.items() if value is not None} | lists


def _show_request(session: Session, application: Application, name: str) -> None:
    pending = application.authority_names.pending_of(name)
    if session.output == "pem":
        write_text(pem(pending.request, "CERTIFICATE REQUEST"))
    else:
        show_item(session, request_item(pending))
    session.done(
        f"made the key and the request of CA {name} v{pending.version}",
        after=f"privyseal ca csr {name} --out {name}.req",
    )


def request_item(pending: PendingAuthority) -> dict[str, Any]:
    """A request that waits, with the field names of a CA."""
    request = parse_request(pending.request)
    return {
        "name": pending.name,
        "version": pending.version,
        "kind": pending.kind.value,
        "state": CaState.SIGNING_REQUIRED.value,
        "subject": request.subject.to_text(),
        "key": describe_key(request.public_key),
        "path_length": pending.path_length,
        "ext_key_usage": sorted(map(ext_key_usage_label, pending.ext_key_usage)),
        "created_at": moment(pending.created_at),
    }


@verb("list", examples=("ca list", "ca list -o json"))
def list_all(session: Session) -> None:
    """List every version of every CA, each below the one that signed it."""
    if session.remote() is not None:
        remote.list_authorities(session)
        return
    with session.application() as application:
        records = application.authorities.all()
        items = [ca_item(application, record) for record in _in_order(records)]
        items += [request_item(pending) for pending in application.authority_names.pending()]
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
    if session.remote() is not None:
        remote.get_authority(session, name, version)
        return
    with session.application() as application:
        waiting = [item for item in application.authority_names.pending() if item.name == name]
        stored = any(record.name == name for record in application.authorities.all())
        if waiting and version in (0, waiting[0].version) and not (stored and version == 0):
            _show_request(session, application, name)
            return
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
    said = application.authority_names.get(record.name)
    latest = application.crls.newest(issuer.id)
    delta = None if record.crl.delta is None else application.crls.in_force(issuer.id, CrlScope(delta=True))
    now = application.clock.now()
    parents = {other.id: other.name for other in application.authorities.all()}
    services = [
        {"kind": kind.value, "not_after": moment(service.not_after)}
        for kind in (CertificateKind.RA, CertificateKind.OCSP)
        for service in application.authorities.services(record.id, kind, now=now)
    ]
    return {
        "name": record.name,
        "version": record.version,
        "kind": record.kind.value,
        "state": state_at(record.state, view.not_after, now).value,
        "since": moment(record.changed_at),
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
        "key_here": record.has_key,
        "description": said.description,
        "labels": sorted(said.labels),
        "versions": [
            f"v{other.version} {state_at(other.state, read_certificate(other.certificate).not_after, now).value}"
            for other in application.authorities.all()
            if other.name == record.name
        ],
        "renew": f"{said.renewal.mode.value} at {said.renewal.at_percent}%",
        "calendar": _calendar(application, issuer, said.renewal),
    }


def _calendar(application: Application, issuer: Issuer, policy: RenewalPolicy) -> dict[str, str]:
    """What comes when in the life of a version."""
    record, view = issuer.record, issuer.view
    found = {"ends": view.not_after}
    if record.state in IN_FORCE:
        found["renewal_begins"] = policy.due(view.not_before, view.not_after)
    if record.state is CaState.STAGED:
        found["tests_until"] = record.changed_at + STAGED_FOR
    if record.state is CaState.SUPERSEDED:
        found["rollback_until"] = record.changed_at + ROLLBACK_WITHIN
        row = application.database.read_one(
            "SELECT max(not_after) FROM certificates WHERE issuer_id = ? AND kind = 'end-entity' AND status = 'issued'",
            (record.books,),
        )
        if row is not None and row[0] is not None:
            found["last_certificate_ends"] = from_seconds(row[0])
    return {name: moment(at) for name, at in sorted(found.items(), key=lambda item: item[1])}


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
