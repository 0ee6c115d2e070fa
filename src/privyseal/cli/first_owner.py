# SPDX-License-Identifier: Apache-2.0
"""``privyseal access first-owner``: a one-use code for whoever shall administer by the API, printed on the machine."""

from __future__ import annotations

import asyncio

from privyseal.cli.output import moment, show_item
from privyseal.cli.session import Session
from privyseal.cli.verb import verb
from privyseal.model.first_owner import CODE_LIFE, code_digest, new_code


@verb("first-owner", examples=("access first-owner", "access first-owner -o json"))
def command(session: Session) -> None:
    """Print a code that makes whoever sends it the first owner, and gives them a token.

    It is good once, for 30 minutes, and until another one is printed; only its hash is stored. Works as the user who
    owns the installation's directory, on its machine, while nobody holds the role of owner for everything.
    """
    from privyseal.store.first_owner import FirstOwnerBook

    with session.application() as application:
        code, until = new_code(application.rng.bytes(20)), application.clock.now().replace(microsecond=0) + CODE_LIFE
        book = FirstOwnerBook(application.database, application.committer)
        asyncio.run(book.offer(code_digest(code), expires_at=until, actor=session.actor))
        listen = application.settings.api_listen
    show_item(session, {"code": code, "expires_at": moment(until)})
    session.done(f"good once, until {moment(until)}")
    place = f"https://{listen}" if listen else "https://SERVER"
    session.say(f'  next  POST {place}/api/v1/first-owner with {{"code": ..., "person": YOUR NAME}}')
