# SPDX-License-Identifier: Apache-2.0
"""``privyseal token`` and ``privyseal whoami``. A secret is printed once, or written to a file for its owner only."""

from __future__ import annotations

import os
from pathlib import Path

import click

from privyseal.cli.acting import acting, pending_error, settle
from privyseal.cli.output import show_item, show_list, write_text
from privyseal.cli.session import Session
from privyseal.cli.verb import verb
from privyseal.errors import InvalidValue, NameTaken
from privyseal.model.access import Role
from privyseal.model.api.access_shapes import PreviewShape, TokenWish
from privyseal.model.api.codec import encode

ROLES = click.Choice([role.value for role in Role])


@verb("whoami", examples=("whoami", "whoami -o json"))
def whoami(session: Session) -> None:
    """Say who you are for the server, or for the installation here, and what you may do."""
    with session.client() as client:
        who = encode(client.whoami())
    if session.output == "table":
        who["grants"] = [_said(grant) for grant in who["grants"]]
    show_item(session, who)


def _said(grant: dict[str, object]) -> str:
    labels = grant["labels"]
    return f"{grant['role']} for {', '.join(labels)}" if isinstance(labels, list) and labels else str(grant["role"])


@verb(
    "create",
    examples=(
        "token create ada-laptop --owner ada --role operator",
        "token create ci-1 --owner ada --role operator --label prod --life 30d --out ./ci.token",
    ),
)
@click.argument("name")
@click.option("--owner", metavar="PERSON", help="Who answers for it. Default: you.")
@click.option("--role", "roles", multiple=True, required=True, type=ROLES, help="What it may do. Repeatable.")
@click.option("--label", "labels", multiple=True, metavar="LABEL", help="Only for objects with this label. Repeatable.")
@click.option("--life", metavar="DURATION", help="Default 90d, at most 366d.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Write the secret there, for you alone.")
@acting
def create(
    session: Session,
    name: str,
    owner: str | None,
    roles: tuple[str, ...],
    labels: tuple[str, ...],
    life: str | None,
    out: Path | None,
    dry_run: bool,
    wait: bool,
) -> None:
    """Make an API token; its secret is shown this once and only its hash is stored.

    A token acts in the name of its owner, within the roles that the owner holds at that moment. While four eyes
    are on, somebody else has to approve it before the secret is good for anything.
    """
    if out is not None and out.exists():
        raise NameTaken(f"{out} exists already", mend=("choose another file with --out",))
    wish = TokenWish(name=name, owner=owner, roles=roles, labels=labels, life=life)
    with session.client() as client:
        made = client.create_token(wish, dry_run=dry_run)
        if isinstance(made, PreviewShape):
            settle(session, client, made, wait=False, done=str)
            return
        if out is not None:
            _write_secret(out, made.secret)
        token = made.token
        if session.output == "json":
            shown = encode(made)
            show_item(session, {**shown, "secret": None, "file": str(out)} if out is not None else shown)
        elif out is None:
            write_text(made.secret)
        if made.approval is not None:
            if not wait:
                raise pending_error(made.approval)
            settle(session, client, made.approval, wait=True, done=str)
    until = "" if token is None else f", good until {encode(token)['expires_at']}"
    session.done(f"made token {name}{until}; its secret is shown this once")
    if out is None:
        session.say("  keep  it in a file with mode 600, and name that: PRIVYSEAL_TOKEN_FILE=FILE")


def _write_secret(path: Path, secret: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{secret}\n")
    except OSError as error:
        # The secret is lost with the file, so the token is worth nothing to anybody.
        raise InvalidValue(f"{path} cannot be written: {error.strerror}; revoke the token and make another") from error


@verb("list", examples=("token list", "token list -o json"))
def list_all(session: Session) -> None:
    """List tokens, newest first: whose they are, what they may, when they end and were last used."""
    with session.client() as client:
        items = [encode(token) for token in client.tokens()]
    show_list(session, items, ("name", "owner", "roles", "labels", "expires_at", "last_used_at", "revoked_at"))


@verb("revoke", examples=("token revoke ci-1", "token revoke ci-1 --dry-run"))
@click.argument("name")
@acting
def revoke(session: Session, name: str, dry_run: bool, wait: bool) -> None:
    """End a token now. It does not come back; its name is not given again."""
    with session.client() as client:
        answer = client.revoke_token(name, dry_run=dry_run)
        settle(session, client, answer, wait=wait, done=lambda _: f"token {name} is revoked")
