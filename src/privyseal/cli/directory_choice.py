# SPDX-License-Identifier: Apache-2.0
"""What shall be published: from --ca, --cert and targets on the command line to certificates, each for one target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import click

from privyseal.bootstrap import Application
from privyseal.cli.directory import OWN_TICKETS
from privyseal.cli.inspecting import first_certificate
from privyseal.cli.values import Parsed, read_given
from privyseal.directory.containers import Target
from privyseal.directory.desired import EnrollmentService
from privyseal.errors import NotConfirmed
from privyseal.model.authority import CaKind, CaRecord, CaState
from privyseal.repository.service import Wanted

F = TypeVar("F", bound=Callable[..., Any])
TARGET: Final[Parsed[Target]] = Parsed("target", Target.parse)
_FITTING: Final = {
    CaKind.ROOT: (Target.ROOT_CA,),
    CaKind.ISSUING: (Target.SUB_CA, Target.NTAUTH_CA, Target.ENROLLMENT_SERVICES),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """What the options said."""

    targets: tuple[Target, ...]
    cas: tuple[str, ...]
    certificates: tuple[str, ...]
    allow_expired: bool = False
    enrollment_host: str | None = None
    understood: bool = False

    @property
    def is_empty(self) -> bool:
        """Nothing was named."""
        return not (self.targets or self.cas or self.certificates)


@dataclass(frozen=True, slots=True)
class Chosen:
    """One certificate for one target, and what it is called here."""

    name: str
    wanted: Wanted


def _note_ccache(context: click.Context, _: click.Parameter, said: bool) -> None:
    context.meta[OWN_TICKETS] = said


def choosing(function: F) -> F:
    """The options that name certificates and targets."""
    for option in reversed(
        (
            click.argument("targets", nargs=-1, type=TARGET, metavar="[TARGET]..."),
            click.option("--ca", "cas", multiple=True, metavar="CA", help="One of our CAs. Default: all. Repeatable."),
            click.option("--cert", "certificates", multiple=True, metavar="FILE", help="A CA certificate of anybody."),
            click.option("--directory", "directory", metavar="NAME", help="Default: the only one that is known."),
            click.option(
                "--ccache",
                is_flag=True,
                expose_value=False,
                callback=_note_ccache,
                help="Log in with your own Kerberos tickets (kinit), not as the stored account.",
            ),
        )
    ):
        function = option(function)
    return function


def confirming(function: F) -> F:
    """The options that only what writes has."""
    for option in reversed(
        (
            click.option("--allow-expired", is_flag=True, help="Publish a CA that has expired all the same."),
            click.option("--enrollment-host", metavar="HOST", help="For EnrollmentServices: the host that answers."),
            click.option(
                "--i-understand-enrollment-services",
                "understood",
                is_flag=True,
                help="Members will try to enroll from that host.",
            ),
        )
    ):
        function = option(function)
    return function


def choose(application: Application, choice: Choice) -> tuple[Chosen, ...]:
    """Each certificate with each target that fits it. Without targets: roots as RootCA, issuing CAs as SubCA.

    NTAuthCA and EnrollmentServices are never chosen unless they are named.
    """
    if choice.certificates and not choice.targets:
        raise click.UsageError("say the TARGET for --cert, such as RootCA or SubCA", click.get_current_context())
    pairs = [
        (path, _certificate(path), target) for path in choice.certificates for target in choice.targets
    ]  # fmt: skip
    if choice.cas or not choice.certificates:
        pairs += _ours(application, choice)
    return tuple(Chosen(name, _wanted(certificate, target, choice)) for name, certificate, target in pairs)


def _certificate(path: str) -> bytes:
    content = read_given(path)
    # What is no certificate goes on as it came: the check that names the target says what is wrong with it.
    return first_certificate(content).encoded if b"-----BEGIN" in content[:4096] else content


def _ours(application: Application, choice: Choice) -> list[tuple[str, bytes, Target]]:
    records = _records(application, choice.cas)
    pairs = [
        (record.name, record.certificate, target)
        for record in records
        for target in (_FITTING[record.kind] if choice.targets else _FITTING[record.kind][:1])
        if not choice.targets or target in choice.targets
    ]
    used = {target for _, _, target in pairs}
    for target in choice.targets:
        if target not in used:
            kind = CaKind.ROOT if target is Target.ROOT_CA else CaKind.ISSUING
            raise click.UsageError(f"none of these CAs is for {target.value}: that takes one of kind {kind.value}")
    if choice.cas and (idle := set(choice.cas) - {name for name, _, _ in pairs}):
        raise click.UsageError(f"no target that was named is for CA {', '.join(sorted(idle))}")
    return pairs


def _records(application: Application, names: Sequence[str]) -> list[CaRecord]:
    if names:
        return [application.authorities.get(name) for name in dict.fromkeys(names)]
    # A staged successor is published before it is used: members need hours to see it.
    over = (CaState.RETIRED, CaState.REVOKED)
    found = [record for record in application.authorities.all() if record.state not in over]
    if not found:
        raise click.UsageError("there is no CA here yet; say --cert FILE", click.get_current_context())
    return found


def _wanted(certificate: bytes, target: Target, choice: Choice) -> Wanted:
    service = None
    if target is Target.ENROLLMENT_SERVICES and choice.understood:
        if not choice.enrollment_host:
            raise click.UsageError("EnrollmentServices needs --enrollment-host HOST", click.get_current_context())
        service = EnrollmentService(dns_host_name=choice.enrollment_host, confirmed=True)
    return Wanted(target=target, certificate=certificate, allow_expired=choice.allow_expired, service=service)


def confirm(question: str, *, yes: bool) -> None:
    """Ask on a terminal; elsewhere --yes must have been said. Raises NotConfirmed, Abort."""
    import sys

    from privyseal.cli.session import is_terminal

    if yes:
        return
    if not is_terminal(sys.stdin):
        raise NotConfirmed(
            "nothing was written: there is no terminal to ask at",
            why="changes of a directory are seen by every member of the forest",
            mend=("look at the plan: privyseal directory plan", "say it: --yes"),
        )
    click.confirm(question, abort=True, err=True)
