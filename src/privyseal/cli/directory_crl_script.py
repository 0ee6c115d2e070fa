# SPDX-License-Identifier: Apache-2.0
"""``privyseal directory script-crl``: CRLs for an Enterprise Admin to publish. With --forest no directory is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from privyseal.bootstrap import Application
from privyseal.bootstrap.directory import open_first
from privyseal.cli.directory import chosen_directory
from privyseal.cli.directory_crls import CrlPlace, crl_places
from privyseal.cli.directory_publish import service_of
from privyseal.cli.directory_script import configuration_nc
from privyseal.cli.output import write_text
from privyseal.cli.session import Session
from privyseal.cli.values import write_result
from privyseal.cli.verb import verb
from privyseal.directory.changes import Change, Entry
from privyseal.directory.containers import Container, container_dn
from privyseal.directory.crl import crl_dns, plan_crls, point_name, read_crl
from privyseal.directory.naming import dn_key
from privyseal.directory.script import CrlFiles, ScriptFormat, certutil_crl_script, ldif_script, powershell_script
from privyseal.model.directory import DirectoryConfig


@verb(
    "script-crl",
    outputs=("table",),
    examples=(
        "directory script-crl --ca contoso-issuing --host pki --format certutil --out ./crls",
        "directory script-crl --ca contoso-issuing --forest contoso.com --format ldif",
    ),
)
@click.option("--ca", "ca", required=True, metavar="CA", help="The CA whose CRLs in force are published.")
@click.option("--host", default="privyseal", show_default=True, metavar="NAME", help="The container within CDP.")
@click.option("--directory", "directory", metavar="NAME", help="Default: the only one that is known.")
@click.option("--format", "form", type=click.Choice([form.value for form in ScriptFormat]), required=True)
@click.option("--forest", metavar="NAME", help="DNS name of the forest's root domain: a first publication there.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Write script and CRLs there.")
def script_crl(
    session: Session, ca: str, host: str, directory: str | None, form: str, forest: str | None, out: Path | None
) -> None:
    """Write the publication of a CA's CRLs as certutil lines, PowerShell or LDIF. Nothing is changed.

    certutil lines need the CRLs as files: take --out, and the script finds them beside it.
    """
    with session.application() as application:
        places = crl_places(application, ca)
        if forest is None:
            base, changes = _asked(application, chosen_directory(application, directory), places, host=host)
        else:
            base = configuration_nc(forest)
            changes = tuple(change for place in places for change in _first_time(place, host=host, base=base))
            changes = tuple(dict.fromkeys(changes))  # the host's container is made once
    files = {
        f"{point_name(place.name, place.key_index)}{'+' if read_crl(crl).delta else ''}.crl": crl
        for place in places
        for crl in place.crls
    }
    match ScriptFormat(form):
        case ScriptFormat.CERTUTIL:
            points = [CrlFiles(place.name, place.key_index, _files_of(files, place.crls)) for place in places]
            text = certutil_crl_script(points, host=host, configuration_nc=base)
        case ScriptFormat.POWERSHELL:
            text = powershell_script(changes)
        case ScriptFormat.LDIF:
            text = ldif_script(changes)
    if out is None:
        write_text(text)
        return
    out.mkdir(parents=True, exist_ok=True)
    script = out / {"certutil": "publish-crl.cmd", "powershell": "publish-crl.ps1", "ldif": "publish-crl.ldif"}[form]
    write_result(script, text.encode("utf-8"))
    for file, crl in files.items():
        write_result(out / file, crl)
    session.done(f"wrote {script}", after="let an Enterprise Admin run it, then: privyseal directory status")


def _files_of(files: Mapping[str, bytes], crls: Sequence[bytes]) -> tuple[str, ...]:
    return tuple(name for name, content in files.items() if content in crls)


def _asked(
    application: Application, config: DirectoryConfig, places: Sequence[CrlPlace], *, host: str
) -> tuple[str, tuple[Change, ...]]:
    port = open_first(config)
    try:
        planned = [
            service_of(application).plan_crls(
                port, place.crls, name=place.name, host=host, key_index=place.key_index
            )
            for place in places
        ]  # fmt: skip
    finally:
        port.close()
    changes = dict.fromkeys(change for one in planned for change in one.plan.changes)
    return planned[0].root.configuration_nc, tuple(changes)


def _first_time(place: CrlPlace, *, host: str, base: str) -> tuple[Change, ...]:
    """The changes for a forest whose CDP container holds nothing of this host yet."""
    container, index = container_dn(Container.CDP, base), place.key_index
    dns = crl_dns(place.name, host, configuration_nc=base, key_index=index)
    observed: dict[str, Entry | None] = {dn_key(dn): None for dn in dns}
    observed[dn_key(container)] = Entry(container, {})
    plan = plan_crls(place.crls, place.name, host=host, configuration_nc=base, observed=observed, key_index=index)
    return plan.changes
