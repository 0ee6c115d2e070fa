# SPDX-License-Identifier: Apache-2.0
"""``privyseal directory verify|status|import``: what every controller really shows. Nothing is written there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import click

from privyseal.adapters.ldap import LdapDirectory
from privyseal.bootstrap import Application
from privyseal.bootstrap.directory import connector, controllers, open_first
from privyseal.bootstrap.directory_looking import known_authorities, look_everywhere
from privyseal.bootstrap.sightings import note_ntauth, ntauth_in, ntauth_of
from privyseal.cli.directory import chosen_directory
from privyseal.cli.directory_choice import Choice, choose, choosing
from privyseal.cli.directory_crls import CRL_COLUMNS, crl_rows
from privyseal.cli.directory_deliveries import delivery_summary
from privyseal.cli.directory_publish import service_of
from privyseal.cli.exits import Exit
from privyseal.cli.output import moment, show_list, write_json
from privyseal.cli.session import Session
from privyseal.cli.verb import verb
from privyseal.directory.changes import AddValue, Change
from privyseal.directory.containers import BASE_CRL, CA_CERTIFICATE, DELTA_CRL
from privyseal.directory.describe import certificate_label, value_label
from privyseal.directory.naming import dn_key
from privyseal.directory.receipts import ownership
from privyseal.directory.status import ControllerView, Found, classify, differences, drift, external_cas
from privyseal.repository.proof import Proof, expected, prove

_PROVEN = {name.lower(): name for name in (CA_CERTIFICATE, BASE_CRL, DELTA_CRL)}


@verb(
    "verify",
    examples=("directory verify", "directory verify --ca contoso-issuing NTAuthCA", "directory verify -o json"),
)
@choosing
def verify(session: Session, targets: tuple[Any, ...], directory: str | None, **options: Any) -> None:
    """Read back, on every controller that is named or found, what was published; exit code 1 when some is missing.

    Without TARGET, --ca and --cert it is everything that receipts say we published; before there are any, what
    `directory publish` would.
    """
    choice = Choice(targets=targets, **options)
    with session.application() as application:
        config = chosen_directory(application, directory)
        port = open_first(config)
        try:
            wanted = _published(application, port) if choice.is_empty else ()
            if not wanted:
                chosen = choose(application, choice)
                planned = service_of(application).plan(port, [item.wanted for item in chosen])
                wanted = expected(planned.desired)
            names, trusted = controllers(config, port), ntauth_of(port)
        finally:
            port.close()
        _notice(session, application, trusted, directory=config.name)
        proofs = prove(names, wanted, connect=connector(config), now=application.clock.now)
    items = [_proof_item(proof, change) for proof in proofs for change in wanted]
    show_list(session, items, ("controller", "shown", "certificate", "dn", "usn", "fault"))
    missing = sum(not item["shown"] for item in items)
    if missing:
        session.say(f"{missing} of {len(items)} not shown; replication takes time, and members read one controller")
        click.get_current_context().exit(Exit.FAILED)
    session.done(f"{len(wanted)} value(s) shown by {len(proofs)} controller(s)")


def _notice(session: Session, application: Application, found: tuple[bytes, ...], *, directory: str) -> None:
    """A CA of ours that others put into NTAuth switches four eyes on like one that we put there."""
    for name in sorted(asyncio.run(note_ntauth(application, found, directory=directory, actor=session.actor))):
        session.say(f"  note  CA {name} stands in NTAuth, put there by others; four eyes follow it from now on")


def _published(application: Application, port: LdapDirectory) -> tuple[Change, ...]:
    """Every certificate and CRL that receipts leave as ours, under the DN as it was written."""
    receipts = application.receipts.receipts(port.root_dse().forest)
    spelled = {dn_key(receipt.change.dn): receipt.change.dn for receipt in receipts}
    owned = sorted(ownership(receipts).values)
    return tuple(AddValue(spelled[key], _PROVEN[name], value) for key, name, value in owned if name in _PROVEN)


def _proof_item(proof: Proof, change: Change) -> dict[str, Any]:
    value = b"" if not isinstance(change, AddValue) else change.value
    return {
        "controller": proof.controller,
        "shown": change not in proof.missing,
        "certificate": value_label(getattr(change, "attribute", CA_CERTIFICATE), value),
        "fingerprint_sha256": sha256(value).hexdigest(),
        "dn": change.dn,
        "usn": proof.highest_usn,
        "server_time": proof.server_time and moment(proof.server_time),
        "asked_at": moment(proof.at),
        "fault": proof.fault and f"{proof.fault.code}: {proof.fault.what}",
    }


@verb("status", examples=("directory status", "directory status --directory contoso -o json"))
@click.option("--directory", "directory", metavar="NAME", help="Default: the only one that is known.")
def status(session: Session, directory: str | None) -> None:
    """Show every CA certificate in the containers, on each controller: whose it is, and what is wrong with it.

    ours: of a CA here. external: of others, imported to be watched. foreign: nobody told us. What controllers
    do not hold alike, and what we published and is gone, is said below the table. CRLs in the CDP container follow.
    """
    with session.application() as application:
        config = chosen_directory(application, directory)
        seen, delivered = look_everywhere(config, now=application.clock.now), delivery_summary(application, config.name)
        ours, known = ownership(application.receipts.receipts(seen.forest)), known_authorities(application)
        crls = crl_rows(application, seen.views)
        _notice(session, application, ntauth_in(seen.views), directory=config.name)
    found = [(view, item) for view in seen.views for item in classify(view, known, ours=ours)]
    rows = [_found_item(view, item) for view, item in found]
    different = [
        {
            "dn": item.dn,
            "certificate": certificate_label(item.certificate),
            "present_on": list(item.present_on),
            "missing_on": list(item.missing_on),
        }
        for item in differences(seen.views)
    ]
    gone = [
        {"controller": view.controller, "dn": item.dn, "certificate": certificate_label(item.value)}
        for view in seen.views
        for item in drift(view, ours)
    ]
    if session.output == "json":
        write_json(
            {
                "forest": seen.forest,
                "controllers": [
                    {"controller": view.controller, "highest_usn": view.highest_usn, "asked_at": moment(view.at)}
                    for view in seen.views
                ],
                "unreachable": [{"controller": name, "code": it.code, "what": it.what} for name, it in seen.faults],
                "certificates": rows,
                "crls": crls,
                "differences": different,
                "gone": gone,
                "deliveries": delivered,
            }
        )
    else:
        columns = ("controller", "container", "name", "owner", "not_after", "problems", "usn_changed", "when_changed")
        show_list(session, rows, columns)
        if crls:
            show_list(session, crls, CRL_COLUMNS)
    for text in _delivery_notes(delivered):
        session.say(f"  note  {text}")
    for name, fault in seen.faults:
        session.say(f"  note  {name} could not be asked: {fault.what} ({fault.code})")
    for item in different:
        session.say(f"  note  {item['certificate']} is not on {', '.join(item['missing_on'])}: {item['dn']}")
    for lost in gone:
        session.say(f"  note  {lost['certificate']}, published by us, is gone from {lost['controller']}: {lost['dn']}")


def _delivery_notes(delivered: dict[str, Any]) -> Iterator[str]:
    """What to know of certificates at accounts, where there are any."""
    states = ("present", "to_add", "to_remove", "to_hold", "held")
    if any(delivered[state] for state in states):
        yield ", ".join(f"{delivered[state]} {state.replace('_', ' ')}" for state in states) + " at accounts"
    for fault in delivered["faults"]:
        yield f"{fault['waiting']} of them wait because of {fault['code']}: {fault['what']}"


def _found_item(view: ControllerView, item: Found) -> dict[str, Any]:
    return {
        "controller": view.controller,
        "container": item.container.value,
        "name": item.name,
        "owner": item.owner.value,
        "not_before": item.not_before and moment(item.not_before),
        "not_after": item.not_after and moment(item.not_after),
        "problems": list(item.problems),
        "receipted": item.receipted,
        "usn_changed": item.usn_changed,
        "when_changed": item.when_changed and moment(item.when_changed),
        "dn": item.dn,
        "fingerprint_sha256": item.digest.hex(),
    }


@verb("import", examples=("directory import", "directory import --directory contoso -o json"))
@click.option("--directory", "directory", metavar="NAME", help="Default: the only one that is known.")
def import_found(session: Session, directory: str | None) -> None:
    """Remember every CA of others that stands in the containers, so that its expiry is watched.

    From then on it is shown as external instead of foreign. It gains no trust here, and nothing is issued by it.
    """
    with session.application() as application:
        config = chosen_directory(application, directory)
        seen, known = look_everywhere(config, now=application.clock.now), known_authorities(application)
        ours = ownership(application.receipts.receipts(seen.forest))
        found = external_cas([item for view in seen.views for item in classify(view, known, ours=ours)])
        work = application.directories.import_externals(found, directory=config.name, actor=session.actor)
        new = asyncio.run(work)
        items = [
            {
                "name": item.name,
                "not_after": moment(item.not_after),
                "fingerprint_sha256": sha256(item.certificate).hexdigest(),
                "directory": item.directory,
            }
            for item in application.directories.externals()
        ]
    show_list(session, items, ("name", "not_after", "directory", "fingerprint_sha256"))
    session.done(f"{new} new CA(s) of others are watched, {len(items)} in all")
