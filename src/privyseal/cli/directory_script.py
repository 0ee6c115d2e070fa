# SPDX-License-Identifier: Apache-2.0
"""``privyseal directory script|delegate``: what an Enterprise Admin reads and runs. Works without the LDAP library:
with --forest no directory is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from privyseal.bootstrap import Application
from privyseal.bootstrap.directory import open_first
from privyseal.cli.directory import chosen_directory
from privyseal.cli.directory_choice import TARGET, Choice, Chosen, choose, choosing, confirming
from privyseal.cli.directory_publish import service_of
from privyseal.cli.output import write_text
from privyseal.cli.session import Session
from privyseal.cli.values import write_result
from privyseal.cli.verb import verb
from privyseal.directory.changes import Change, Entry
from privyseal.directory.containers import Container, Target, container_dn
from privyseal.directory.delegate import DelegationFormat, write_delegation
from privyseal.directory.desired import desired_values, needs_reading
from privyseal.directory.naming import dn_key, parent_dn, sanitized_name
from privyseal.directory.plan import plan_publication
from privyseal.directory.script import (
    Publication,
    ScriptFormat,
    certutil_script,
    ldif_script,
    powershell_script,
    removal_of,
)
from privyseal.errors import InvalidValue
from privyseal.model.directory import DirectoryConfig
from privyseal.repository.accounts import look_up_account
from privyseal.x509.general_names import GeneralName, NameKind
from privyseal.x509.sid import Sid

_FOREST = click.option("--forest", metavar="NAME", help="DNS name of the forest's root domain; then nothing is asked.")


@verb(
    "script",
    outputs=("table",),
    examples=(
        "directory script --format certutil --out ./publish",
        "directory script --forest contoso.com --format powershell NTAuthCA --ca contoso-issuing",
        "directory script --forest contoso.com --format ldif --remove",
    ),
)
@choosing
@confirming
@click.option("--format", "form", type=click.Choice([form.value for form in ScriptFormat]), required=True)
@_FOREST
@click.option("--new-ntauth", is_flag=True, help="With --forest: NTAuthCertificates does not exist there yet.")
@click.option("--remove", "removing", is_flag=True, help="Write what takes it out again. certutil has both.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Write script and certificates there.")
def script(
    session: Session,
    targets: tuple[Target, ...],
    directory: str | None,
    form: str,
    forest: str | None,
    new_ntauth: bool,
    removing: bool,
    out: Path | None,
    **options: Any,
) -> None:
    """Write the plan as a script for an Enterprise Admin: certutil lines, PowerShell or LDIF. Nothing is changed.

    It goes to standard output, or with --out to a directory, next to the certificates that certutil lines need.
    """
    with session.application() as application:
        chosen = choose(application, Choice(targets=targets, removing=removing, **options))
        if forest is None:
            base, changes = _asked(application, chosen_directory(application, directory), chosen)
        else:
            base = configuration_nc(forest)
            changes = _assumed(application, chosen, base, new_ntauth=new_ntauth)
    files = [f"{sanitized_name(item.name)}.cer" for item in chosen]
    publications = [
        Publication(item.wanted.target, item.wanted.certificate, file)
        for item, file in zip(chosen, files, strict=True)
    ]  # fmt: skip
    text = _written(ScriptFormat(form), publications, removal_of(changes) if removing else changes, base=base)
    if out is None:
        write_text(text)
        return
    out.mkdir(parents=True, exist_ok=True)
    name = {"certutil": "publish.cmd", "powershell": "publish.ps1", "ldif": "publish.ldif"}[form]
    write_result(out / name, text.encode("utf-8"))
    for item in publications:
        write_result(out / item.file, item.certificate)
    session.done(f"wrote {out / name}", after="let an Enterprise Admin run it, then: privyseal directory verify")


def _written(form: ScriptFormat, publications: Sequence[Publication], changes: Sequence[Change], *, base: str) -> str:
    match form:
        case ScriptFormat.CERTUTIL:
            return certutil_script(publications, configuration_nc=base)
        case ScriptFormat.POWERSHELL:
            return powershell_script(changes)
        case ScriptFormat.LDIF:
            return ldif_script(changes)


def configuration_nc(forest: str) -> str:
    """The configuration partition of a forest by the DNS name of its root domain. Raises InvalidName."""
    GeneralName(NameKind.DNS, forest).to_der()
    return "CN=Configuration," + ",".join(f"DC={label}" for label in forest.split("."))


def _asked(
    application: Application, config: DirectoryConfig, chosen: Sequence[Chosen]
) -> tuple[str, tuple[Change, ...]]:
    port = open_first(config)
    try:
        planned = service_of(application).plan(port, [item.wanted for item in chosen])
    finally:
        port.close()
    return planned.root.configuration_nc, planned.plan.changes


def _assumed(application: Application, chosen: Sequence[Chosen], base: str, *, new_ntauth: bool) -> tuple[Change, ...]:
    """The changes for a forest whose containers are there and hold nothing of it yet."""
    now = application.clock.now()
    desired = tuple(
        value
        for item in chosen
        for value in desired_values(
            item.wanted.certificate,
            item.wanted.target,
            configuration_nc=base,
            now=now,
            allow_expired=item.wanted.allow_expired,
            service=item.wanted.service,
        )
    )
    observed: dict[str, Entry | None] = {}
    for dn in needs_reading(desired):
        observed[dn_key(dn)] = None
        observed[dn_key(parent_dn(dn))] = Entry(parent_dn(dn), {})
    ntauth = container_dn(Container.NTAUTH, base)
    if not new_ntauth and dn_key(ntauth) in observed:
        observed[dn_key(ntauth)] = Entry(ntauth, {"objectclass": (b"certificationAuthority",)})
    return plan_publication(desired, observed).changes


@verb(
    "delegate",
    outputs=("table",),
    examples=(
        "directory delegate --account svc-pki@contoso.com --format dsacls",
        "directory delegate --account svc-pki@contoso.com --format dsacls --accounts-below OU=Staff,DC=contoso,DC=com",
        "directory delegate --account S-1-5-21-1-2-3-1104 --forest contoso.com --format samba RootCA SubCA",
    ),
)
@click.argument("targets", nargs=-1, type=TARGET, metavar="[TARGET]...")
@click.option("--account", required=True, metavar="NAME", help="The service account; with --forest its SID.")
@click.option("--format", "form", type=click.Choice([form.value for form in DelegationFormat]), required=True)
@click.option("--directory", "directory", metavar="NAME", help="Default: the only one that is known.")
@click.option(
    "--accounts-below", "below", multiple=True, metavar="DN", help="Also userCertificate of accounts there. Repeatable."
)
@_FOREST
def delegate(
    session: Session,
    targets: tuple[Target, ...],
    account: str,
    form: str,
    directory: str | None,
    below: tuple[str, ...],
    forest: str | None,
) -> None:
    """Write the commands that give a service account just the rights to publish. Nothing is changed.

    TARGET is RootCA, SubCA or NTAuthCA; without any, the first two, or none with --accounts-below.
    Rights on NTAuthCA make the account Tier 0.
    """
    wanted = targets or (() if below else (Target.ROOT_CA, Target.SUB_CA))
    if forest is not None:
        if not account.upper().startswith("S-1-"):
            raise InvalidValue(f"with --forest nobody is asked, so {account!r} must be a SID")
        base, sid = configuration_nc(forest), Sid.parse(account.upper())
    else:
        with session.application() as application:
            port = open_first(chosen_directory(application, directory))
            try:
                base, sid = port.root_dse().configuration_nc, look_up_account(port, account).sid
            finally:
                port.close()
    write_text(write_delegation(wanted, sid, configuration_nc=base, form=DelegationFormat(form), accounts_below=below))
    session.say("  next  let an Enterprise Admin read and run it")
