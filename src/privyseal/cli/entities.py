# SPDX-License-Identifier: Apache-2.0
"""``privyseal device`` and ``privyseal user``: end entities and what is vouched for about them."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from privyseal.administration.revocation import UnblockEntity
from privyseal.bootstrap import Application
from privyseal.cli.acts import submit
from privyseal.cli.output import show_item, show_list
from privyseal.cli.remote import get_entity, list_entities
from privyseal.cli.session import Session
from privyseal.cli.verb import Verb, verb
from privyseal.errors import EntityDisabled
from privyseal.model.directory import DirectoryBinding
from privyseal.model.entity import ATTRIBUTES, EndEntity, EntityKind

_MORE = {
    EntityKind.DEVICE: "--dns-name laptop-042.contoso.com --sid S-1-5-21-1004336348-1177238915-682003330-1104",
    EntityKind.USER: "--principal-name ada@contoso.com --mail ada@contoso.com --display-name 'Ada Lovelace'",
}
_PRINCIPALS = {EntityKind.DEVICE: "laptop-042.contoso.com", EntityKind.USER: "ada@contoso.com"}
_NAMES = {EntityKind.DEVICE: "LAPTOP-042", EntityKind.USER: "ada"}


def entity_item(entity: EndEntity) -> dict[str, Any]:
    """A device or user with stable field names."""
    attributes = {name: entity.attributes.get(name) for name in sorted(ATTRIBUTES[entity.kind] - {"name"})}
    binding = entity.binding
    blocked = {"blocked_profiles": sorted(entity.blocked)}
    bound = {"directory": binding and binding.directory, "object_sid": binding and binding.sid.text}
    return {"kind": entity.kind.value, "name": entity.name, "enabled": entity.enabled, **attributes, **bound, **blocked}


def _attribute_options(kind: EntityKind) -> list[click.Parameter]:
    return [
        click.Option((f"--{name.replace('_', '-')}", f"attribute_{name}"), metavar="VALUE", help=_explain(kind, name))
        for name in sorted(ATTRIBUTES[kind] - {"name"})
    ]


def _binding_options(kind: EntityKind) -> list[click.Parameter]:
    example = "pc1.contoso.com" if kind is EntityKind.DEVICE else "ada@contoso.com"
    return [
        click.Option(("--principal",), metavar="NAME", help=f"Its account in a directory, such as {example}."),
        click.Option(("--directory",), metavar="NAME", help="Which directory. Default: the only one that is known."),
    ]


def _account(
    application: Application, kind: EntityKind, principal: str | None, *, directory: str | None
) -> tuple[dict[str, str], DirectoryBinding | None]:
    """What the account says, and the binding to it; nothing when no principal was named."""
    if principal is None:
        if directory is not None:
            raise click.UsageError("--directory needs --principal NAME", click.get_current_context())
        return {}, None
    # Imported here: nobody else needs what talks to a directory.
    from privyseal.cli.directory_accounts import find_account
    from privyseal.ra.naming import account_attributes

    account, binding = find_account(application, kind, principal, directory=directory)
    said = account_attributes(kind, account)
    return {name: value for name, value in said.items() if value}, binding


def _explain(kind: EntityKind, name: str) -> str:
    extra = {"sid": " Such as S-1-5-21-1-2-3-1104.", "principal_name": " Such as name@contoso.com."}
    return f"Value of {{{{{kind.value}.{name}}}}}.{extra.get(name, '')}"


def _attributes(options: dict[str, Any]) -> dict[str, str]:
    return {
        name.removeprefix("attribute_"): value
        for name, value in options.items()
        if name.startswith("attribute_") and value is not None
    }


def _change(
    session: Session,
    application: Application,
    kind: EntityKind,
    name: str,
    *,
    attributes: dict[str, str],
    enabled: bool | None = None,
) -> None:
    """What people say of it, over the desk: a name that a CA in NTAuth certifies may take two people."""
    said = {} if enabled is None else {"enabled": enabled}
    if attributes or said:
        given = {"kind": kind.value, "name": name, "attributes": attributes, **said}
        submit(session, application, "entity.change", given)


def _create(kind: EntityKind) -> Verb:
    word, name = kind.value, _NAMES[kind]

    @verb(
        "create",
        examples=(
            f"{word} create {name}",
            f"{word} create {name} {_MORE[kind]}",
            f"{word} create {name} --principal {_PRINCIPALS[kind]} --directory contoso",
        ),
    )
    @click.argument("name")
    def create(session: Session, name: str, principal: str | None, directory: str | None, **options: Any) -> None:
        """Make a device or user known. Its attributes fill the variables of profiles.

        What stands here is what certificates say: give only what you vouch for. No certificate is made yet.
        With --principal it is bound to an account of the directory, by the account's SID, and takes its
        attributes from there; profiles with names from the directory look it up each time.
        """
        with session.application() as application:
            said, binding = _account(application, kind, principal, directory=directory)
            given = _attributes(options)
            if binding is None:
                submit(session, application, "entity.create", {"kind": word, "name": name, "attributes": given})
            else:
                known = {**said, "name": name}
                asyncio.run(application.entities.create(kind, known, actor=session.actor, binding=binding))
                _change(session, application, kind, name, attributes=given)
            entity = application.entities.named(kind, name.strip())
            show_item(session, entity_item(entity))
            session.done(
                f"made {word} {entity.name}",
                after=f"privyseal scep challenge create --profile NAME --{word} {entity.name}",
            )

    create.params[1:1] = [*_binding_options(kind), *_attribute_options(kind)]
    return create


def _list(kind: EntityKind) -> Verb:
    word = kind.value

    @verb("list", examples=(f"{word} list", f"{word} list --after {_NAMES[kind]} --limit 50 -o json"))
    @click.option("--after", default="", metavar="NAME", help="Begin after this name.")
    @click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="At most so many.")
    def list_all(session: Session, after: str, limit: int) -> None:
        """List devices or users in order of name, a page at a time.

        Speaks to a server when one is in use; --after is for an installation here.
        """
        attributes = ("dns_name", "sid") if kind is EntityKind.DEVICE else ("principal_name", "sid")
        if session.remote() is not None and not after:
            list_entities(session, kind, limit=limit, columns=("name", "enabled", *attributes))
            return
        with session.application() as application:
            found = application.entities.page(kind, after=after, limit=limit)
            show_list(session, [entity_item(entity) for entity in found], ("name", "enabled", *attributes))
            if len(found) == limit:
                session.say(f"  more  privyseal {word} list --after {found[-1].name}")

    return list_all


def _get(kind: EntityKind) -> Verb:
    @verb("get", examples=(f"{kind.value} get {_NAMES[kind]}", f"{kind.value} get {_NAMES[kind]} -o json"))
    @click.argument("name")
    def get(session: Session, name: str) -> None:
        """Show one device or user: its attributes, and whether it may get certificates.

        Speaks to a server when one is in use.
        """
        if session.remote() is not None:
            get_entity(session, kind, name)
            return
        with session.application() as application:
            show_item(session, entity_item(application.entities.named(kind, name)))

    return get


def _set(kind: EntityKind) -> Verb:
    word, name = kind.value, _NAMES[kind]
    first = _MORE[kind].split(" --")[0]

    @verb("set", examples=(f"{word} set {name} {first}", f"{word} set {name} --disable"))
    @click.argument("name")
    @click.option("--enable/--disable", "enabled", default=None, help="Whether it may get certificates.")
    def change(
        session: Session,
        name: str,
        enabled: bool | None,
        principal: str | None,
        directory: str | None,
        **options: Any,
    ) -> None:
        """Change attributes; an empty value removes one. Disabling stops new certificates and renewals.

        Certificates that exist stay as they are: they keep their names, and disabling does not revoke them.
        """
        attributes = _attributes(options)
        if not attributes and enabled is None and principal is None:
            raise click.UsageError("say what to change", click.get_current_context())
        with session.application() as application:
            said, binding = _account(application, kind, principal, directory=directory)
            entity = application.entities.named(kind, name)
            if binding is not None:
                actor = session.actor
                asyncio.run(application.entities.change(entity, said, enabled=None, actor=actor, binding=binding))
            _change(session, application, kind, name, attributes=attributes, enabled=enabled)
            entity = application.entities.named(kind, name)
            show_item(session, entity_item(entity))
            after = "" if entity.enabled else f"privyseal certificate list --{word} {name} --status valid"
            session.done(f"changed {word} {entity.name}", after=after)

    change.params[2:2] = [*_binding_options(kind), *_attribute_options(kind)]
    return change


def _unblock(kind: EntityKind) -> Verb:
    word, name = kind.value, _NAMES[kind]

    @verb("unblock", examples=(f"{word} unblock {name}", f"{word} unblock {name} --profile wifi-device"))
    @click.argument("name")
    @click.option("--profile", "profiles", multiple=True, metavar="NAME", help="Default: all that are blocked.")
    def unblock(session: Session, name: str, profiles: tuple[str, ...]) -> None:
        """Let a device or user have certificates again after one was revoked for a reason that keeps it out.

        It enrolls or renews at its next check-in. What was revoked stays revoked.
        """
        with session.application() as application:
            act = UnblockEntity(application.entities)
            parameters = {"kind": kind.value, "name": name, "profiles": list(profiles)}
            show_item(session, asyncio.run(act.perform(parameters, actor=session.actor)))
        session.done(f"{word} {name} may enroll again")

    return unblock


def refuse_disabled(entity: EndEntity) -> None:
    """Raise EntityDisabled, with the command that mends it."""
    if not entity.enabled:
        raise EntityDisabled(
            f"{entity.kind.value} {entity.name} is disabled",
            mend=(f"privyseal {entity.kind.value} set {entity.name} --enable",),
        )


create_device, create_user = _create(EntityKind.DEVICE), _create(EntityKind.USER)
list_devices, list_users = _list(EntityKind.DEVICE), _list(EntityKind.USER)
get_device, get_user = _get(EntityKind.DEVICE), _get(EntityKind.USER)
set_device, set_user = _set(EntityKind.DEVICE), _set(EntityKind.USER)
unblock_device, unblock_user = _unblock(EntityKind.DEVICE), _unblock(EntityKind.USER)
