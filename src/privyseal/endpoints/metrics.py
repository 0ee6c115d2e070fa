# SPDX-License-Identifier: Apache-2.0
"""Metrics in the text form 0.0.4 of Prometheus, for the loopback only: they name CAs and profiles."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from privyseal.endpoints.http import Request, Response

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Kind(Enum):
    """What a metric does over time."""

    GAUGE = "gauge"
    COUNTER = "counter"


@dataclass(frozen=True, slots=True)
class Sample:
    """One value with its labels."""

    value: float
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric with all its samples."""

    name: str
    kind: Kind
    help: str
    samples: tuple[Sample, ...]


class MetricsEndpoint:
    """Answers a scrape."""

    def __init__(self, collect: Callable[[], Iterable[Metric]]) -> None:
        self._collect = collect

    async def __call__(self, request: Request, incident: str) -> Response:
        """Everything."""
        return Response(200, CONTENT_TYPE, exposition(self._collect()))


def exposition(metrics: Iterable[Metric]) -> bytes:
    """The text. A metric without samples is left out."""
    lines: list[str] = []
    for metric in metrics:
        if metric.samples:
            lines.append(f"# HELP {metric.name} {metric.help}")
            lines.append(f"# TYPE {metric.name} {metric.kind.value}")
            lines += [f"{metric.name}{_labels(sample)} {_number(sample.value)}" for sample in metric.samples]
    return ("\n".join(lines) + "\n").encode()


def _labels(sample: Sample) -> str:
    if not sample.labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in sample.labels) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
