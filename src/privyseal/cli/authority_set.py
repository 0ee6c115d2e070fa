# SPDX-License-Identifier: Apache-2.0
"""``privyseal ca set``: what can be changed of a CA: what is said of its name, and when it publishes CRLs."""

from __future__ import annotations

from typing import Any

import click

from privyseal.cli.acts import submit
from privyseal.cli.authority_crls import set_rules
from privyseal.cli.output import show_item
from privyseal.cli.session import Session
from privyseal.cli.values import DURATION
from privyseal.cli.verb import verb
from privyseal.model.authority_name import RenewalMode


@verb(
    "set",
    examples=(
        "ca set contoso-issuing --renew auto --at 66%",
        "ca set contoso-issuing --label berlin --label wifi --description 'Wi-Fi and VPN'",
        "ca set contoso-issuing --crl-validity 14d --crl-interval 1d",
        "ca set contoso-issuing --delta-crl 1d --delta-interval 4h",
        "ca set contoso-issuing --no-delta-crl",
    ),
)
@click.argument("name")
@click.option("--description", metavar="TEXT", help="At most 400 characters.")
@click.option("--label", "labels", multiple=True, metavar="LABEL", help="Roles are granted for labels. Repeatable.")
@click.option("--no-labels", is_flag=True, help="Take every label away.")
@click.option("--renew", type=click.Choice([mode.value for mode in RenewalMode]), help="Who renews it.")
@click.option("--at", metavar="PERCENT", help="Share of its life from which it is renewed: 50% to 95%.")
@click.option("--version", "version", type=int, default=0, metavar="N", help="For CRLs. Default: the one in force.")
@click.option("--crl-validity", type=DURATION, help="How long a CRL is good for.")
@click.option("--crl-interval", type=DURATION, help="How often one is published. Default: half of a new validity.")
@click.option("--delta-crl", type=DURATION, help="Publish delta CRLs as well, each good for so long.")
@click.option("--delta-interval", type=DURATION, help="How often one is published. Default: half of its validity.")
@click.option("--no-delta-crl", is_flag=True, help="No more delta CRLs; refused while certificates name them.")
@click.option("--dry-run", is_flag=True, help="Only show what would happen to labels and renewal.")
def command(
    session: Session, name: str, labels: tuple[str, ...], no_labels: bool, version: int, dry_run: bool, **given: Any
) -> None:
    """Change description and labels of a CA, who renews it when, and when it publishes CRLs.

    With `--renew auto` the server stages the next version at that share of its life, and activates it as
    soon as every gate has passed; with `remind` it waits for you. With delta CRLs a revocation makes a small
    one at once, and the CRL keeps its hour; relying parties that know no delta CRLs see it in the next CRL,
    or at once by OCSP. Shards are chosen when a CA is made, since certificates name them.
    """
    said: dict[str, Any] = {key: given.pop(key) for key in ("description", "renew", "at")}
    said = {key: value for key, value in said.items() if value is not None}
    if labels or no_labels:
        said["labels"] = list(labels)
    about_crls = any(value not in (None, False) for value in given.values())
    if not said and not about_crls:
        raise click.UsageError("say what to change", click.get_current_context())
    if said:
        with session.application() as application:
            result = submit(session, application, "ca.set", {"name": name} | said, dry_run=dry_run)
        if result is not None:
            show_item(session, result)
            session.done(f"changed CA {name}")
    if about_crls and not dry_run:
        set_rules(session, name, version=version, **given)
