# SPDX-License-Identifier: Apache-2.0
"""``privyseal enrollment``: the log of attempts, and an operator's decision about those that wait."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from privyseal.bootstrap import Application
from privyseal.cli.output import moment, show_item, show_list
from privyseal.cli.session import Session
from privyseal.cli.verb import verb
from privyseal.model.enrollment import EnrollmentRecord, EnrollmentState
from privyseal.store.queries import serial_text

_STATES = click.Choice([state.value for state in EnrollmentState])
_GRANTED = frozenset({EnrollmentState.APPROVED, EnrollmentState.RUNNING, EnrollmentState.ISSUED})


def enrollment_item(application: Application, record: EnrollmentRecord) -> dict[str, Any]:
    """One attempt with stable field names."""
    return {
        "id": record.id,
        "at": moment(record.at),
        "state": record.state.value,
        "profile": record.profile,
        "protocol": record.protocol,
        "entity": record.entity or None,
        "transaction_id": record.transaction_id,
        "serial": serial_text(application.database, record.certificate_id),
        "code": record.code or None,
        "what": record.what or None,
    }


@verb(
    "list",
    examples=("enrollment list", "enrollment list --state waiting", "enrollment list --state refused -o json"),
)
@click.option("--state", type=_STATES, help="Only attempts in this state.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many.")
@click.option("--before", type=click.IntRange(0), default=0, metavar="ID", help="Begin below this id.")
def list_all(session: Session, state: str | None, limit: int, before: int) -> None:
    """List attempts to enroll, newest first: also those that were refused, with the error code."""
    with session.application() as application:
        records = application.enrollments.page(before=before, limit=limit, state=state or "")
        items = [enrollment_item(application, record) for record in records]
        show_list(session, items, ("id", "at", "state", "profile", "entity", "serial", "code", "what"))
        if len(records) == limit:
            session.say(f"  more  privyseal enrollment list --before {records[-1].id}")


@verb("get", examples=("enrollment get 17", "enrollment get 17 -o json"))
@click.argument("enrollment_id", metavar="ID", type=int)
def get(session: Session, enrollment_id: int) -> None:
    """Show one attempt. Its error code is explained by `privyseal explain CODE`."""
    with session.application() as application:
        record = application.enrollments.get(enrollment_id)
        show_item(session, enrollment_item(application, record))
        if record.state is EnrollmentState.WAITING:
            session.say(f"  next  privyseal enrollment approve {record.id}")
        elif record.code:
            session.say(f"  more  privyseal explain {record.code}")


@verb("approve", examples=("enrollment approve 17", "enrollment list --state waiting"))
@click.argument("enrollment_id", metavar="ID", type=int)
def approve(session: Session, enrollment_id: int) -> None:
    """Grant an enrollment that waits. The certificate is made when the client asks again (it polls)."""
    _decide(session, enrollment_id, EnrollmentState.APPROVED)


@verb("reject", examples=("enrollment reject 17",))
@click.argument("enrollment_id", metavar="ID", type=int)
def reject(session: Session, enrollment_id: int) -> None:
    """Refuse an enrollment that waits. The client is told when it asks again; its challenge is used up."""
    _decide(session, enrollment_id, EnrollmentState.REFUSED)


def _decide(session: Session, enrollment_id: int, state: EnrollmentState) -> None:
    with session.application() as application:
        before = application.enrollments.get(enrollment_id)
        already = before.state in _GRANTED if state is EnrollmentState.APPROVED else before.state is state
        if not already:
            asyncio.run(application.enrollments.decide(enrollment_id, state, actor=session.actor))
        show_item(session, enrollment_item(application, application.enrollments.get(enrollment_id)))
        if already:
            session.done(f"already so: enrollment {enrollment_id} is {before.state.value}")
        else:
            after = f"privyseal enrollment get {enrollment_id}"
            session.done(f"enrollment {enrollment_id} is {state.value}", after=after)
