# SPDX-License-Identifier: Apache-2.0
"""One line an event on standard error, as text for people or as JSON for machines; the time is in UTC."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from typing import Final

from privyseal.config import LogFormat

_CODE: Final = re.compile(r"\[(\d{4})\]")
_INCIDENT: Final = re.compile(r"([0-9a-f]{12}) ")
_FIELDS: Final = ("profile", "ca", "directory")
_LONGEST: Final = 8000
"""Characters of a message or trace; collectors cut longer lines somewhere in the middle."""


class JsonLines(logging.Formatter):
    """A JSON object for each record: time, level, event, message, and code, incident and trace where there are any."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        message = record.getMessage()
        item = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.name,
            "message": message[:_LONGEST],
            "process": record.process,
        }
        if code := _CODE.search(message):
            item["code"] = int(code[1])
        if incident := _INCIDENT.match(message):
            item["incident"] = incident[1]
        item |= {name: str(found)[:200] for name in _FIELDS if (found := getattr(record, name, None)) is not None}
        if record.exc_info:
            item["trace"] = self.formatException(record.exc_info)[-_LONGEST:]
        return json.dumps(item)


def log_to_stderr(form: LogFormat) -> None:
    """Send everything from INFO on to standard error; systemd and containers collect it from there."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form is LogFormat.JSON else _text())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


def _text() -> logging.Formatter:
    formatter = logging.Formatter("%(asctime)sZ %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    return formatter
