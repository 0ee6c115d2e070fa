# SPDX-License-Identifier: Apache-2.0
"""Half of ``privyseal ca set``: how often a CA publishes CRLs, and whether there are delta CRLs."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import click

from privyseal.bootstrap import Application
from privyseal.cli.authorities import ca_item
from privyseal.cli.crl_options import delta_rules
from privyseal.cli.output import show_item
from privyseal.cli.session import Session
from privyseal.model.authority import CaRecord, CaState, CrlRules, DeltaRules
from privyseal.model.crl import CrlFacts


def set_rules(
    session: Session,
    name: str,
    *,
    version: int,
    crl_validity: timedelta | None,
    crl_interval: timedelta | None,
    delta_crl: timedelta | None,
    delta_interval: timedelta | None,
    no_delta_crl: bool,
) -> None:
    """Change the rules of one version, publish what follows from them, and show the CA."""
    if no_delta_crl and (delta_crl is not None or delta_interval is not None):
        raise click.UsageError("say --delta-crl or --no-delta-crl, not both", click.get_current_context())
    with session.application(keys=True) as application:
        record = application.authorities.get(name, version)
        before = record.crl
        delta = None if no_delta_crl else _delta(before.delta, delta_crl, delta_interval)
        half = before.publish_every if crl_validity is None else crl_validity / 2
        rules = CrlRules(
            validity=crl_validity or before.validity,
            publish_every=crl_interval or half,
            delta=delta,
            shards=before.shards,
        )
        record, published = asyncio.run(_change(application, record, rules, actor=session.actor))
        show_item(session, ca_item(application, record))
    session.done(f"CA {record.name} v{record.version} publishes CRLs by its new rules")
    for facts in published:
        kind = "CRL" if facts.base_number is None else "delta CRL"
        session.say(f"  note  {kind} {facts.number} is published")


def _delta(before: DeltaRules | None, validity: timedelta | None, interval: timedelta | None) -> DeltaRules | None:
    if validity is None and before is not None:
        return DeltaRules(validity=before.validity, publish_every=interval or before.publish_every)
    return delta_rules(validity, interval)


async def _change(
    application: Application, record: CaRecord, rules: CrlRules, *, actor: str
) -> tuple[CaRecord, tuple[CrlFacts, ...]]:
    changed = await application.authorities.set_crl_rules(record, rules, actor=actor)
    if changed.state is CaState.STAGED:
        return changed, ()
    issuer = next(issuer for issuer in application.catalog.issuers() if issuer.record.id == changed.id)
    signer = application.catalog.signer(issuer.id)
    return changed, await application.status.publish_due(issuer, signer)
