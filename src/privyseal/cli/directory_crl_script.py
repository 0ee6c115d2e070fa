# SPDX-License-Identifier: Apache-2.0
"""``privyseal directory script-crl``: CRLs for an Enterprise Admin to publish. With --forest no directory is asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from privyseal.bootstrap import Application
from privyseal.bootstrap.directory import open_first
from privyseal.cli.directory import chosen_directory
from privyseal.cli.directory_crls import crls_in_force
from privyseal.cli.directory_publish import service_of
from privyseal.cli.directory_script import configuration_nc
from privyseal.cli.output import write_text
from privyseal.cli.session import Session
from privyseal.cli.values import write_result
from privyseal.cli.verb import verb
from privyseal.directory.changes import Change, Entry
from privyseal.directory.containers import Container, container_dn
from privyseal.directory.crl import crl_dns, plan_crls, read_crl
from privyseal.directory.desired import ca_name
from privyseal.directory.naming import dn_key, sanitized_name
from privyseal.directory.script import ScriptFormat, certutil_crl_script, ldif_script, powershell_script
from privyseal.model.directory import DirectoryConfig
from privyseal.x509.certificate import read_certificate


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
        record = application.authorities.get(ca)
        crls = crls_in_force(application, record)
        name = ca_name(read_certificate(record.certificate))
        if forest is None:
            config = chosen_directory(application, directory)
            base, changes = _asked(application, config, crls, name=name, host=host)
        else:
            base = configuration_nc(forest)
            changes = _first_time(crls, name, host=host, base=base)
    files = [f"{sanitized_name(name)}{'+' if read_crl(crl).delta else ''}.crl" for crl in crls]
    match ScriptFormat(form):
        case ScriptFormat.CERTUTIL:
            text = certutil_crl_script(files, name, host=host, configuration_nc=base)
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
    for file, crl in zip(files, crls, strict=True):
        write_result(out / file, crl)
    session.done(f"wrote {script}", after="let an Enterprise Admin run it, then: privyseal directory status")


def _asked(
    application: Application, config: DirectoryConfig, crls: Sequence[bytes], *, name: str, host: str
) -> tuple[str, tuple[Change, ...]]:
    port = open_first(config)
    try:
        planned = service_of(application).plan_crls(port, crls, name=name, host=host)
    finally:
        port.close()
    return planned.root.configuration_nc, planned.plan.changes


def _first_time(crls: Sequence[bytes], name: str, *, host: str, base: str) -> tuple[Change, ...]:
    """The changes for a forest whose CDP container holds nothing of this host yet."""
    container = container_dn(Container.CDP, base)
    observed: dict[str, Entry | None] = {dn_key(dn): None for dn in crl_dns(name, host, configuration_nc=base)}
    observed[dn_key(container)] = Entry(container, {})
    return plan_crls(crls, name, host=host, configuration_nc=base, observed=observed).changes
