# SPDX-License-Identifier: Apache-2.0
"""Option values with a meaning of their own, read by the parsers of the model; and files written for the caller."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from privyseal.errors import InputError, InvalidValue
from privyseal.model.durations import parse_duration
from privyseal.model.revocation import CrlReason
from privyseal.x509.algorithms import KeyType
from privyseal.x509.extensions import EXT_KEY_USAGE_NAMES, KeyUsage, parse_ext_key_usage

T = TypeVar("T")


class Parsed(click.ParamType[T]):
    """A value that a function of ours reads; what it refuses is wrong usage of this option."""

    def __init__(self, name: str, parse: Callable[[str], T]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The parsed value."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except InputError as error:
            self.fail(error.what, param, ctx)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """Its name, in capitals."""
        return self.name.upper()


DURATION: Final[Parsed[timedelta]] = Parsed("duration", parse_duration)
KEY_TYPE: Final[Parsed[KeyType]] = Parsed("type", KeyType.parse)
EXT_KEY_USAGE: Final[Parsed[str]] = Parsed("purpose", parse_ext_key_usage)
EXT_KEY_USAGE_HELP: Final = f"One of {', '.join(EXT_KEY_USAGE_NAMES)}, or a dotted OID."
KEY_USAGE: Final[Parsed[KeyUsage]] = Parsed("usage", KeyUsage.parse)
REASON: Final = click.Choice([reason.label for reason in CrlReason])


def write_result(path: str | Path, content: bytes) -> None:
    """Write a file that holds no secret. Raises InvalidValue."""
    try:
        Path(path).write_bytes(content)
    except OSError as error:
        raise InvalidValue(f"{path} cannot be written: {error.strerror}") from error


def read_given(path: str | Path, *, limit: int = 1 << 20) -> bytes:
    """The octets of a file that the caller names; ``-`` is standard input. Raises InvalidValue."""
    try:
        with click.open_file(str(path), "rb") as file:
            content: bytes = file.read(limit + 1)
    except OSError as error:
        raise InvalidValue(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > limit:
        raise InvalidValue(f"{path} is larger than {limit} octets")
    return content
