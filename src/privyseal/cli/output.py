# SPDX-License-Identifier: Apache-2.0
"""Results on standard output: JSON with stable names, PEM, DER, or a table for people. No talk here."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from privyseal.cli.session import Session, carries_utf8, is_terminal, printable

Item = Mapping[str, Any]


def moment(value: datetime) -> str:
    """ISO 8601 in UTC, whole seconds, with Z."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def pem(encoded: bytes, label: str = "CERTIFICATE") -> str:
    """One PEM block (RFC 7468): lines of 64 characters."""
    text = base64.b64encode(encoded).decode("ascii")
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


def write_text(text: str) -> None:
    """Text as it is; a line end is added where it lacks one."""
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")


def write_bytes(content: bytes) -> None:
    """Octets as they are."""
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def write_json(value: object) -> None:
    """One JSON document."""
    write_text(json.dumps(value, indent=2, ensure_ascii=not carries_utf8(sys.stdout)))


def show_item(session: Session, item: Item) -> None:
    """One object: JSON, or a line for each field that has a value."""
    if session.output == "json":
        write_json(item)
        return
    shown = [(name.replace("_", " "), _text(value)) for name, value in item.items() if value not in (None, "", [])]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        lines = value.splitlines() or [""]
        write_text(f"{name:<{width}}  {lines[0]}")
        for line in lines[1:]:
            write_text(f"{'':<{width}}  {line}")


def show_list(session: Session, items: Sequence[Item], columns: Sequence[str]) -> None:
    """Many objects: JSON with every field, or a table of ``columns``."""
    if session.output == "json":
        write_json(items)
        return
    if not items:
        session.say("nothing to show")
        return
    titles = [column.replace("_", " ") for column in columns]
    rows = [[_text(item.get(column)) for column in columns] for item in items]
    if is_terminal(sys.stdout):
        _rich_table(titles, rows)
        return
    widths = [max(len(row[at]) for row in [titles, *rows]) for at in range(len(columns))]
    for row in [[title.upper() for title in titles], *rows]:
        write_text("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def _rich_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD if carries_utf8(sys.stdout) else box.ASCII, pad_edge=False)
    for title in titles:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # as text: a name may hold what looks like markup
    Console().print(table)


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(inner)}" for name, inner in value.items() if inner not in (None, ""))
    if isinstance(value, list | tuple):
        return ", ".join(_text(inner) for inner in value)
    return printable(str(value))
