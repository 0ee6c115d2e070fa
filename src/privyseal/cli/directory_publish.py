# SPDX-License-Identifier: Apache-2.0
"""``privyseal directory plan|publish|remove|undo``: the plan is shown before anything is written, and each change
that was made stands in an undo file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from privyseal.adapters.ldap import LdapDirectory
from privyseal.bootstrap import Application
from privyseal.bootstrap.directory import connector, controllers, open_first
from privyseal.cli.acts import submit
from privyseal.cli.directory import chosen_directory
from privyseal.cli.directory_choice import Choice, Chosen, check_one_version, choose, choosing, confirm, confirming
from privyseal.cli.output import show_item, write_text
from privyseal.cli.session import Session
from privyseal.cli.values import read_given, write_result
from privyseal.cli.verb import verb
from privyseal.directory.changes import Change
from privyseal.directory.containers import Target
from privyseal.directory.describe import after_writing, before_writing, certificate_label, describe
from privyseal.directory.receipts import Receipt
from privyseal.directory.undo_file import UndoFile, read_undo_file, write_undo_file
from privyseal.errors import ControllersDisagree, NotConfirmed, PlanStale, PrivysealError
from privyseal.model.directory import DirectoryConfig
from privyseal.repository.proof import check_proofs, prove
from privyseal.repository.service import Applied, Planned, PublicationService, log_on_certificates

UNDO = click.option("--undo-file", metavar="FILE", help="Where to write what was done. Default: in the home directory.")
YES = click.option("--yes", is_flag=True, help="Do not ask. Needed where nobody sits at a terminal.")
PLAN = click.option("--plan", "agreed", metavar="FINGERPRINT", help="Refuse any plan but this one.")


def service_of(application: Application) -> PublicationService:
    """The publication service over the stored receipts."""
    return PublicationService(application.receipts, application.clock.now)


@verb(
    "plan",
    examples=(
        "directory plan",
        "directory plan --ca contoso-issuing SubCA NTAuthCA",
        "directory plan --cert partner-root.pem RootCA -o json",
    ),
)
@choosing
@confirming
def plan(session: Session, targets: tuple[Target, ...], directory: str | None, **options: Any) -> None:
    """Show what `directory publish` would change: exact DNs, in order. Nothing is written.

    TARGET is RootCA, SubCA, NTAuthCA or EnrollmentServices, as certutil spells them. Without any, root CAs go
    to RootCA and issuing CAs to SubCA; the others are never chosen by themselves.
    """
    with session.application() as application:
        chosen = choose(application, Choice(targets=targets, **options))
        port = open_first(chosen_directory(application, directory))
        try:
            planned = service_of(application).plan(port, [item.wanted for item in chosen])
        finally:
            port.close()
        _show_plan(session, planned, {item.wanted.target for item in chosen})


def _show_plan(session: Session, planned: Planned, targets: Iterable[Target]) -> None:
    if session.output == "json":
        show_item(session, _plan_item(planned))
    else:
        for number, change in enumerate(planned.plan.changes, 1):
            write_text(f"{number}. {describe(change)}")
        for text in planned.plan.left:
            write_text(f"   left alone: {text}")
        if not planned.plan.changes:
            write_text("nothing to change: the directory is as it shall be")
    for text in before_writing(targets):
        session.say(f"  note  {text}")
    session.say(f"  plan  {planned.plan.fingerprint[:16]}, made on {planned.root.dns_host_name}")


def _plan_item(planned: Planned) -> dict[str, Any]:
    return {
        "controller": planned.root.dns_host_name,
        "forest": planned.root.forest,
        "fingerprint": planned.plan.fingerprint,
        "changes": [{"dn": change.dn, "change": describe(change)} for change in planned.plan.changes],
        "left": list(planned.plan.left),
    }


@verb(
    "publish",
    examples=(
        "directory publish",
        "directory publish --ca contoso-issuing NTAuthCA",
        "directory publish --cert partner-root.pem RootCA --yes",
        "directory publish --ca contoso-issuing EnrollmentServices --enrollment-host pki.contoso.com "
        "--i-understand-enrollment-services",
    ),
)
@choosing
@confirming
@PLAN
@YES
@UNDO
def publish(
    session: Session,
    targets: tuple[Target, ...],
    directory: str | None,
    agreed: str | None,
    yes: bool,
    undo_file: str | None,
    **options: Any,
) -> None:
    """Publish CA certificates to Active Directory: our own, or any with --cert. Safe to run again.

    Of a CA all versions are published that are staged, in force or superseded, but superseded ones to NTAuthCA only
    with --ca-version. Values are added, never replaced. The plan is shown and asked about; each change is read back and
    receipted, and an undo file is written. At the end stands what members must do to see it.
    """
    with session.application() as application:
        chosen = choose(application, Choice(targets=targets, **options))
        config = chosen_directory(application, directory)
        port = open_first(config)
        try:
            planned = service_of(application).plan(port, [item.wanted for item in chosen])
            wanted = {item.wanted.target: None for item in chosen}
            if Target.NTAUTH_CA in wanted and planned.plan.changes:
                _guard(session, application, config.name, chosen=chosen, planned=planned)
            run = Run(session, application, config=config, port=port, undo_file=undo_file)
            applied = run.carry_out(planned, targets=wanted, agreed=agreed, yes=yes)
            if applied is not None:
                run.look_elsewhere(applied)
        finally:
            port.close()
        for text in after_writing(wanted):
            session.say(f"  next  {text}")
        session.say("  next  privyseal directory verify")


def _guard(
    session: Session, application: Application, directory: str, *, chosen: tuple[Chosen, ...], planned: Planned
) -> None:
    """Say who could become anybody. Raises ApprovalPending while four eyes are on: then the approval publishes."""
    from privyseal.administration.publication import publication_parameters
    from privyseal.bootstrap.administration import Administration

    books = Administration(application)
    if books.desk.needs_two():
        wanted = [item.wanted for item in chosen]
        given = publication_parameters(directory, wanted, fingerprint=planned.plan.fingerprint)
        submit(session, application, "directory.publish", given)
    for item in chosen:
        if item.wanted.target is Target.NTAUTH_CA:
            for text in books.guard.of_certificate(item.wanted.certificate):
                session.say(f"  tier0 {text}")


@verb(
    "remove",
    examples=(
        "directory remove --ca contoso-issuing NTAuthCA",
        "directory remove --cert partner-root.pem RootCA --yes",
    ),
)
@choosing
@click.option("--keep-empty", is_flag=True, help="Leave an empty object; a delegated account may not delete.")
@PLAN
@YES
@UNDO
def remove(
    session: Session,
    targets: tuple[Target, ...],
    directory: str | None,
    keep_empty: bool,
    agreed: str | None,
    yes: bool,
    undo_file: str | None,
    **options: Any,
) -> None:
    """Take CA certificates out of the directory again, as far as a receipt says that we put them there.

    What others published stays. Members drop the certificates at their next policy refresh. Where a CA has more than
    one version, --ca-version says which.
    """
    choice = Choice(targets=targets, removing=True, **options)
    if not choice.targets or not (choice.cas or choice.certificates):
        raise click.UsageError("say --ca CA or --cert FILE, and the TARGET", click.get_current_context())
    with session.application() as application:
        check_one_version(application, choice)
        chosen = choose(application, choice)
        by_certificate: dict[bytes, list[Target]] = {}
        for item in chosen:
            by_certificate.setdefault(item.wanted.certificate, []).append(item.wanted.target)
        config = chosen_directory(application, directory)
        port = open_first(config)
        try:
            run = Run(session, application, config=config, port=port, undo_file=undo_file)
            for certificate, places in by_certificate.items():
                planned = service_of(application).plan_removal(port, certificate, targets=places, keep_empty=keep_empty)
                applied = run.carry_out(planned, targets=(), agreed=agreed, yes=yes)
                if applied is not None:
                    run.look_elsewhere(applied)
        finally:
            port.close()


@verb("undo", examples=("directory undo undo-20261122T160000Z.json", "directory undo undo.json --yes"))
@click.argument("file")
@click.option("--directory", "directory", metavar="NAME", help="Default: the only one that is known.")
@YES
@UNDO
def undo(session: Session, file: str, directory: str | None, yes: bool, undo_file: str | None) -> None:
    """Take back the changes that an undo file lists, the last one first, as far as they still stand.

    What others have added since stays. The changes of the undoing stand in an undo file as well.
    """
    done = read_undo_file(read_given(file, limit=1 << 26).decode("utf-8", "replace"))
    with session.application() as application:
        config = chosen_directory(application, directory)
        port = open_first(config)
        try:
            planned = service_of(application).plan_undo(port, done.changes)
            if planned.root.forest != done.forest:
                raise PlanStale(
                    f"the undo file is about forest {done.forest}; directory {config.name} is {planned.root.forest}",
                    mend=("say the directory that the file belongs to: --directory NAME",),
                )
            _check_alone(application, planned)
            run = Run(session, application, config=config, port=port, undo_file=undo_file)
            run.carry_out(planned, targets=(), agreed=None, yes=yes)
        finally:
            port.close()


def _check_alone(application: Application, planned: Planned) -> None:
    """Raise NotConfirmed where undoing would let a CA log people on, and that takes two."""
    from privyseal.bootstrap.administration import Administration

    base = planned.root.configuration_nc
    back = log_on_certificates(planned.plan.changes, configuration_nc=base)
    if back and Administration(application).desk.needs_two():
        raise NotConfirmed(
            f"undoing would put {certificate_label(back[0])} back into NTAuthCertificates, which takes a second person",
            why="while four eyes are on, nobody alone decides who may log people on",
            mend=("publish it, so that it can be approved: privyseal directory publish --cert FILE NTAuthCA",),
        )


class Run:
    """One command that writes: shows the plan, asks, applies, keeps the undo file, and says how far it went."""

    def __init__(
        self,
        session: Session,
        application: Application,
        *,
        config: DirectoryConfig,
        port: LdapDirectory,
        undo_file: str | None,
    ) -> None:
        self._session = session
        self._application = application
        self._config = config
        self._port = port
        self._undo_file = undo_file
        self._settle()

    def _settle(self) -> None:
        """First of all find out what became of changes whose answer never came: they may be ours."""
        work = service_of(self._application).settle(self._port, self._port.root_dse(), actor=self._session.actor)
        for receipt in asyncio.run(work):
            self._session.say(f"  settled  {receipt.result}, by an earlier run: {describe(receipt.change)}")

    def carry_out(
        self, planned: Planned, *, targets: Iterable[Target], agreed: str | None, yes: bool
    ) -> Applied | None:
        """Raises what refused the next change, after the undo file of those before it was written."""
        session, changes = self._session, planned.plan.changes
        if agreed is not None and (len(agreed) < 8 or not planned.plan.fingerprint.startswith(agreed.lower())):
            raise PlanStale(f"the plan is now {planned.plan.fingerprint[:16]}, not {agreed[:16]}")
        for text in before_writing(targets):
            session.say(f"  note  {text}")
        for number, change in enumerate(changes, 1):
            session.say(f"  {number}. {describe(change)}")
        for text in planned.plan.left:
            session.say(f"  left alone: {text}")
        if not changes:
            show_item(session, {**_plan_item(planned), "done": [], "undo_file": None})
            session.done("nothing to change: the directory is as it shall be")
            return None
        confirm(f"Make {len(changes)} change(s) on {planned.root.dns_host_name}?", yes=yes)
        service = service_of(self._application)
        applied = asyncio.run(service.apply(self._port, planned, actor=session.actor, said=self._say))
        written = self._write_undo(planned, applied.done)
        if applied.fault is not None:
            for change in applied.left:
                session.say(f"  not done  {describe(change)}")
            if written:
                session.say(f"  undo  privyseal directory undo {written}")
            raise applied.fault
        show_item(session, {**_plan_item(planned), "done": [receipt.result for receipt in applied.receipts],
                            "undo_file": written})  # fmt: skip
        session.done(f"{len(applied.done)} change(s) made and read back on {planned.root.dns_host_name}")
        if written:
            session.say(f"  undo  privyseal directory undo {written}")
        return applied

    def _say(self, receipt: Receipt) -> None:
        usn = "" if receipt.usn is None else f" (USN {receipt.usn})"
        self._session.say(f"  {receipt.result:<7} {describe(receipt.change)}{usn}")

    def _write_undo(self, planned: Planned, done: tuple[Change, ...]) -> str | None:
        if not done:
            return None
        now = self._application.clock.now()
        path = Path(self._undo_file) if self._undo_file else self._default_undo(f"{now:%Y%m%dT%H%M%SZ}")
        content = UndoFile(
            forest=planned.root.forest, controller=planned.root.dns_host_name, at=now, changes=done
        )  # fmt: skip
        write_result(path, write_undo_file(content).encode())
        return str(path)

    def _default_undo(self, stamp: str) -> Path:
        home = self._session.place
        names = (f"undo-{self._config.name}-{stamp}{more}.json" for more in ("", *(f"-{n}" for n in range(2, 1000))))
        return next(home / name for name in names if not (home / name).exists())

    def look_elsewhere(self, applied: Applied) -> None:
        """Say which of the other controllers do not show it yet; replication is not our fault, so nothing is raised."""
        try:
            names = controllers(self._config, self._port)
            proofs = prove(names, applied.done, connect=connector(self._config), now=self._application.clock.now)
            check_proofs(proofs)
        except ControllersDisagree as behind:
            self._session.say(f"  note  {behind.what}")
        except PrivysealError as error:
            self._session.say(f"  note  other controllers could not be looked for: {error.what}")
        else:
            self._session.say(f"  note  {len(proofs)} controller(s) show it")
