# SPDX-License-Identifier: Apache-2.0
"""One run of the command line: which installation, who acts, in which form to answer. Results go to standard
output, talk to standard error. Nothing heavy is imported until an application is asked for.
"""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from privyseal.errors import NotRemote

if TYPE_CHECKING:
    from privyseal.bootstrap import Application
    from privyseal.client.client import Client
    from privyseal.config import Remote, Settings


@dataclass(slots=True)
class Session:
    """What the shared options said. Empty ``output`` means: the command's default."""

    home: Path | None = None
    passphrase_file: Path | None = None
    output: str = ""
    quiet: bool = False

    @property
    def actor(self) -> str:
        """Who acts, for the audit trail: from the user id, since variables can say anything."""
        try:
            return f"cli:{pwd.getpwuid(os.getuid()).pw_name}"
        except KeyError:
            return f"cli:uid-{os.getuid()}"

    @property
    def place(self) -> Path:
        """The installation's directory."""
        from privyseal.config import default_home

        return (self.home or default_home()).expanduser().absolute()

    def settings(self) -> Settings:
        """Raises NotInitialized, ConfigurationInvalid."""
        from privyseal.config import load_settings

        return load_settings(self.place)

    def passphrase(self) -> str:
        """From the named file, or asked for on a terminal. Raises PassphraseMissing, UnsafePermissions."""
        from privyseal.config import passphrase_file, read_passphrase

        found = passphrase_file(self.passphrase_file)
        if found is None and is_terminal(sys.stdin):
            import click

            return str(click.prompt("Passphrase of the keys", hide_input=True, err=True))
        return read_passphrase(found)

    @contextmanager
    def application(self, *, keys: bool = False) -> Iterator[Application]:
        """The installation, opened; with ``keys`` it can sign. Raises what opening raises.

        Raises NotRemote while a server is in use: a command that has no way to it must not act here instead.
        """
        if (found := self.remote()) is not None:
            raise NotRemote(f"the server {found.url} is in use, and this command does not speak to servers")
        settings = self.settings()
        passphrase = self.passphrase() if keys else None
        from privyseal.bootstrap import build

        application = build(settings, passphrase=passphrase)
        try:
            yield application
        finally:
            application.close()

    def remote(self) -> Remote | None:
        """The server whose API is used, or None for an installation here; ``--home`` always means one here."""
        from privyseal.config import remote_of

        return None if self.home is not None else remote_of()

    @contextmanager
    def client(self, *, keys: bool = False) -> Iterator[Client]:
        """The API of a server, or of the installation here without one; the same table and desk either way."""
        found = self.remote()
        if found is None:
            with self.application(keys=keys) as application:
                from privyseal.bootstrap.client import in_process

                client = in_process(application, actor=self.actor)
                try:
                    yield client
                finally:
                    client.close()
            return
        from privyseal.bootstrap.client import connect
        from privyseal.config import read_token

        client = connect(found.url, read_token(found), ca_file=found.ca_file)
        try:
            yield client
        finally:
            client.close()

    def say(self, text: str) -> None:
        """Talk: what changed, what comes next. Never part of the result."""
        if not self.quiet:
            print(printable(text), file=sys.stderr)

    def done(self, what: str, *, after: str = "") -> None:
        """Say what changed and the next likely command."""
        self.say(f"{tick(sys.stderr)} {what}")
        if after:
            self.say(f"  next  {after}")


def printable(text: str) -> str:
    """The text for a screen: a name from outside must not be able to move the cursor or colour anything."""
    return "".join(char if char.isprintable() or char == "\n" else f"\\x{ord(char):02x}" for char in text)


def is_terminal(stream: object) -> bool:
    """True when a person sits at the other end."""
    asked = getattr(stream, "isatty", None)
    return bool(asked and asked())


def tick(stream: object, *, good: bool = True) -> str:
    """A tick or a cross, in ASCII where the stream cannot carry more."""
    if carries_utf8(stream):
        return "✔" if good else "✗"
    return "ok" if good else "x"


def carries_utf8(stream: object) -> bool:
    """True when every character can be written to it."""
    return str(getattr(stream, "encoding", "") or "").lower().startswith("utf")
