# SPDX-License-Identifier: Apache-2.0
"""The top loop: every error leaves here as what, why, mend and an exit code. A stack never reaches the screen."""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from privyseal.cli.exits import Exit, exit_code
from privyseal.cli.session import Session, printable
from privyseal.cli.tree import root
from privyseal.errors import FileNotAccessible, PrivysealError, UnexpectedFault

LOG_NAME: Final = "privyseal.log"


def run(arguments: Sequence[str]) -> int:
    """Run one command line; the exit code."""
    session = Session()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name in another script is no reason to fail
    try:
        result = root().main(list(arguments), prog_name="privyseal", standalone_mode=False, obj=session)
        sys.stdout.flush()
        return result if isinstance(result, int) else Exit.DONE
    except click.Abort:
        return Exit.INTERRUPTED
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except click.ClickException as error:
        _report_usage(error, session)
        return error.exit_code
    except PrivysealError as error:
        _report(error, session)
        return exit_code(error)
    except PermissionError as error:
        fault = FileNotAccessible(f"{error.filename} cannot be reached: {error.strerror}")
        _report(fault, session)
        return exit_code(fault)
    except BrokenPipeError:
        # Whoever read our output has enough; Python must not complain again when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return Exit.FAILED
    except Exception:
        incident = _incident()
        where = _write_trace(session, incident)
        _report(
            UnexpectedFault(
                f"incident {incident}; the trace is in {where}",
                mend=(f"look for {incident} in {where}", "report it, with the trace"),
            ),
            session,
            incident=incident,
        )
        return Exit.FAILED


def _report(error: PrivysealError, session: Session, *, incident: str = "") -> None:
    if session.output == "json":
        body: dict[str, Any] = {
            "code": error.code,
            "title": error.title,
            "what": error.what,
            "why": error.why,
            "mend": list(error.mend),
        }
        if incident:
            body["incident"] = incident
        print(json.dumps(body), file=sys.stderr)
        return
    lines = [f"error[{error.code:04}] {error.title}", f"  what  {error.what}", f"  why   {error.why}"]
    lines += [f"  mend  {way}" for way in error.mend]
    lines += [f"  more  privyseal explain {error.code}"]
    print(printable("\n".join(lines)), file=sys.stderr)


def _report_usage(error: click.ClickException, session: Session) -> None:
    if session.output == "json":
        body = {"code": 0, "title": "Wrong usage", "what": error.format_message(), "why": "", "mend": ["see --help"]}
        print(json.dumps(body), file=sys.stderr)
    else:
        error.show(sys.stderr)


def _incident() -> str:
    from privyseal.adapters.clock import SystemRng

    return f"inc_{SystemRng().bytes(6).hex()}"


def _write_trace(session: Session, incident: str) -> Path:
    """Append the trace to the log of the installation, or beside it all when there is none."""
    from privyseal.adapters.clock import SystemClock

    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    path = session.place / LOG_NAME
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError:
        path = Path(tempfile.gettempdir()) / f"privyseal-{incident}.log"
        descriptor = os.open(path, flags, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(f"{SystemClock().now():%Y-%m-%dT%H:%M:%SZ} {incident}\n{traceback.format_exc()}\n")
    return path
