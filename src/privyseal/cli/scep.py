# SPDX-License-Identifier: Apache-2.0
"""``privyseal scep``: URLs for clients, and challenges. A challenge is shown once and stored as a hash."""

from __future__ import annotations

import asyncio
import base64
from datetime import timedelta
from typing import Final

import click

from privyseal.cli.entities import refuse_disabled
from privyseal.cli.output import moment, show_item, write_text
from privyseal.cli.profiles import chosen_entity
from privyseal.cli.session import Session
from privyseal.cli.values import DURATION
from privyseal.cli.verb import verb
from privyseal.errors import InvalidValue, OperationUnsupported
from privyseal.model.challenge import challenge_hash
from privyseal.model.profile import CertificateProfile

_NDES_TAIL: Final = "certsrv/mscep/mscep.dll/pkiclient.exe"
_LONGEST: Final = timedelta(days=90)


@verb("url", examples=("scep url wifi-device", "scep url wifi-device -o json"))
@click.argument("profile")
def url(session: Session, profile: str) -> None:
    """Print the URLs at which a profile is enrolled: the plain one, and the shape that NDES clients expect."""
    with session.application() as application:
        found = application.profiles.get(profile)
        _require_scep(found)
        plain = f"{application.settings.public_url}/scep/{found.name}"
    if session.output == "json":
        show_item(session, {"profile": found.name, "url": plain, "ndes_url": f"{plain}/{_NDES_TAIL}"})
    else:
        write_text(plain)
        write_text(f"{plain}/{_NDES_TAIL}")
        session.say("  the second is for clients that were made for NDES")


@verb(
    "create",
    examples=(
        "scep challenge create --profile wifi-device --device LAPTOP-042",
        "scep challenge create --profile logon --user ada --ttl 24h -o json",
    ),
)
@click.option("--profile", required=True, metavar="NAME", help="The challenge is good for this profile only.")
@click.option("--device", metavar="NAME", help="The device it is for.")
@click.option("--user", metavar="NAME", help="The user it is for.")
@click.option("--ttl", type=DURATION, default="1h", show_default=True, help="How long it can be used; at most 90d.")
def create_challenge(session: Session, profile: str, device: str | None, user: str | None, ttl: timedelta) -> None:
    """Make a one-time password for one enrollment of one device or user under one profile.

    It is printed once and cannot be shown again: only its hash is stored. Who has it can enroll as this
    device or user until it is used or expires.
    """
    if ttl > _LONGEST:
        raise InvalidValue("--ttl is longer than 90d; a challenge is a password and lives short")
    with session.application() as application:
        form = application.catalog.form(profile)
        _require_scep(form.profile)
        entity = application.entities.named(*chosen_entity(device, user))
        refuse_disabled(entity)
        form.names(entity)  # a variable without a value is told to the operator now, not to the device later
        # 160 random bits, in letters that no URL, shell or MDM form has to escape.
        secret = base64.b32encode(application.rng.bytes(20)).decode("ascii").lower()
        expires = application.clock.now().replace(microsecond=0) + ttl
        asyncio.run(
            application.entities.create_challenge(
                challenge_hash(secret),
                profile=form.profile.name,
                entity=entity,
                expires_at=expires,
                actor=session.actor,
            )
        )
        address = f"{application.settings.public_url}/scep/{form.profile.name}"
    if session.output == "json":
        show_item(
            session,
            {
                "challenge": secret,
                "profile": form.profile.name,
                entity.kind.value: entity.name,
                "expires_at": moment(expires),
                "scep_url": address,
            },
        )
    else:
        write_text(secret)
    session.done(f"made a challenge for {entity.kind.value} {entity.name}, good once until {moment(expires)}")
    session.say(f"  at    {address}")


def _require_scep(profile: CertificateProfile) -> None:
    if not profile.scep.enabled:
        raise OperationUnsupported(
            f"profile {profile.name} is not served by SCEP",
            why="it was made with --no-scep",
            mend=(f"privyseal profile get {profile.name}",),
        )
