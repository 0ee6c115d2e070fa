# SPDX-License-Identifier: Apache-2.0
"""What shall be published: from --ca, --cert and targets on the command line to certificates, each for one target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import click

from privyseal.bootstrap import Application
from privyseal.ca.lifecycle import state_at
from privyseal.cli.directory import OWN_TICKETS
from privyseal.cli.inspecting import first_certificate
from privyseal.cli.values import Parsed, read_given
from privyseal.directory.containers import Target
from privyseal.directory.desired import EnrollmentService
from privyseal.errors import AuthorityStateUnfit, NotConfirmed
from privyseal.model.authority import IN_FORCE, CaKind, CaRecord, CaState
from privyseal.repository.service import Wanted
from privyseal.x509.certificate import read_certificate

F = TypeVar("F", bound=Callable[..., Any])
TARGET: Final[Parsed[Target]] = Parsed("target", Target.parse)
_FITTING: Final = {
    CaKind.ROOT: (Target.ROOT_CA,),
    CaKind.ISSUING: (Target.SUB_CA, Target.NTAUTH_CA, Target.ENROLLMENT_SERVICES),
}
# Whose certificates log people on. Never a version that issues no more, nor a CA whose key is elsewhere, by itself.
_POWERFUL: Final = frozenset({Target.NTAUTH_CA, Target.ENROLLMENT_SERVICES})
_AT_WORK: Final = IN_FORCE | {CaState.STAGED}
_ENDED: Final = frozenset({CaState.RETIRED, CaState.REVOKED})


@dataclass(frozen=True, slots=True)
class Choice:
    """What the options said."""

    targets: tuple[Target, ...]
    cas: tuple[str, ...]
    certificates: tuple[str, ...]
    ca_version: int | None = None
    removing: bool = False
    """To be taken out, not to be published."""
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
            click.option("--ca-version", type=click.IntRange(1, 9999), metavar="N", help="Only this version of --ca."),
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
    if choice.ca_version is not None and len(set(choice.cas)) != 1:
        raise click.UsageError("--ca-version needs one --ca", click.get_current_context())
    pairs = [
        (path, _certificate(path), target) for path in choice.certificates for target in choice.targets
    ]  # fmt: skip
    if choice.cas or not choice.certificates:
        pairs += _ours(application, choice)
    return tuple(Chosen(name, _wanted(certificate, target, choice)) for name, certificate, target in pairs)


def check_one_version(application: Application, choice: Choice) -> None:
    """Raises UsageError where --ca alone leaves open which version's certificates shall go."""
    for name in choice.cas:
        known = [f"{record.version} ({record.state.value})" for record in _versions(application, name)]
        if choice.ca_version is None and len(known) > 1:
            raise click.UsageError(f"CA {name} has versions {', '.join(known)}: say --ca-version N")


def _certificate(path: str) -> bytes:
    content = read_given(path)
    # What is no certificate goes on as it came: the check that names the target says what is wrong with it.
    return first_certificate(content).encoded if b"-----BEGIN" in content[:4096] else content


def _ours(application: Application, choice: Choice) -> list[tuple[str, bytes, Target]]:
    records = _records(application, choice)
    pairs = [
        (f"{record.name}-v{record.version}", record, target)
        for record in records
        for target in (_FITTING[record.kind] if choice.targets else _FITTING[record.kind][:1])
        if not choice.targets or target in choice.targets
        if target not in _POWERFUL or _may_have_power(record, choice)
    ]
    used = {target for _, _, target in pairs}
    for target in choice.targets:
        if target not in used:
            kind = CaKind.ROOT if target is Target.ROOT_CA else CaKind.ISSUING
            raise click.UsageError(f"none of these CAs is for {target.value}: that takes one of kind {kind.value}")
    if choice.cas and (idle := set(choice.cas) - {record.name for _, record, _ in pairs}):
        raise click.UsageError(f"no target that was named is for CA {', '.join(sorted(idle))}")
    return [(shown, record.certificate, target) for shown, record, target in pairs]


def _may_have_power(record: CaRecord, choice: Choice) -> bool:
    return choice.removing or choice.ca_version is not None or (
        record.state in _AT_WORK and (record.has_key or record.name in choice.cas)
    )  # fmt: skip


def _records(application: Application, choice: Choice) -> list[CaRecord]:
    """Versions that members need: a staged one is published before it is used, since it takes hours to be seen."""
    version = choice.ca_version or 0
    if version or (choice.removing and choice.cas):
        found = [application.authorities.get(name, version) for name in dict.fromkeys(choice.cas)]
    else:
        names = dict.fromkeys(choice.cas or [record.name for record in application.authorities.all()])
        by_name = [_versions(application, name) for name in names]
        # Who names a CA that is over hears so; who names none is not kept from publishing the rest.
        found = [
            record for known in by_name for record in _alive(application, known) or (known[-1:] if choice.cas else [])
        ]
    if not found:
        raise click.UsageError("there is no CA here yet; say --cert FILE", click.get_current_context())
    for record in found:
        if not choice.removing and record.state in _ENDED:
            raise AuthorityStateUnfit(
                f"CA {record.name} v{record.version} is {record.state.value}; it is not published any more"
            )
    return found


def _alive(application: Application, versions: Sequence[CaRecord]) -> list[CaRecord]:
    now = application.clock.now()
    states = [state_at(record.state, read_certificate(record.certificate).not_after, now) for record in versions]
    return [
        record
        for record, state in zip(versions, states, strict=True)
        if state not in _ENDED and state is not CaState.EXPIRED
    ]


def _versions(application: Application, name: str) -> list[CaRecord]:
    application.authorities.get(name)  # raises NotFound
    return [record for record in application.authorities.all() if record.name == name]


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
