# SPDX-License-Identifier: Apache-2.0
"""Errors as problem+json (RFC 9457): the same code, cause and remedies as on the command line; no stack, no secret."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

from privyseal import errors
from privyseal.endpoints.api.face import Face
from privyseal.endpoints.http import Response
from privyseal.errors import PrivysealError
from privyseal.model.api.access_shapes import Fault, Problem, Remedy
from privyseal.model.api.codec import encode

PROBLEM_TYPE: Final = "application/problem+json"
# First match along the class's ancestry wins.
STATUS: Final[Mapping[type[PrivysealError], int]] = MappingProxyType(
    {
        errors.NotSignedIn: 401,
        errors.TokenRefused: 401,
        errors.TokenExpired: 401,
        errors.MethodRefused: 405,
        errors.NotFound: 404,
        errors.NotIssued: 404,
        errors.ChangedMeanwhile: 412,
        errors.MessageTooLarge: 413,
        errors.ContentTypeRefused: 415,
        errors.IfMatchNeeded: 428,
        errors.TooManyRequests: 429,
        errors.UnexpectedFault: 500,
        errors.InputError: 400,
        errors.PolicyError: 422,
        errors.AccessError: 403,
        errors.StateError: 409,
        errors.SetupError: 503,
        errors.PrivysealError: 500,
    }
)
_COMMAND: Final = re.compile(r"privyseal [^;]+$")


def status_of(error: PrivysealError) -> int:
    """The HTTP status of an error."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def problem(error: PrivysealError, incident: str) -> Problem:
    """The shape of an error."""
    faults = error.faults if isinstance(error, errors.BodyInvalid) else ()
    status = status_of(error)
    return Problem(
        type=f"/problems/{error.code}",
        title=error.title,
        status=status,
        detail=error.what,
        code=error.code,
        cause=error.why,
        remedies=tuple(_remedy(text) for text in error.mend),
        retryable=status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE),
        correlation_id=incident,
        retry_after=error.seconds if isinstance(error, errors.TooManyRequests) else None,
        errors=tuple(Fault(pointer=pointer, detail=text) for pointer, text in faults),
    )


def problem_answer(error: PrivysealError, incident: str, *, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Response:
    """The HTTP answer of an error."""
    shape = problem(error, incident)
    if shape.status == HTTPStatus.UNAUTHORIZED:
        headers = (*headers, (b"www-authenticate", b'Bearer realm="privyseal"'))
    if shape.retry_after is not None:
        headers = (*headers, (b"retry-after", str(shape.retry_after).encode()))
    body = json.dumps(encode(shape)).encode()
    return Response(shape.status, PROBLEM_TYPE, body, (*headers, (b"cache-control", b"no-store")))


def fault_answer(incident: str) -> Response:
    """For a fault of ours: the incident and nothing of the inside."""
    return problem_answer(errors.UnexpectedFault(f"incident {incident}; the trace is in the server's log"), incident)


def problem_example(code: int) -> dict[str, Any]:
    """What such an error looks like."""
    return {
        "type": "/problems/9007" if code == 404 else f"/problems/{8300 + code % 100}",
        "title": HTTPStatus(code).phrase,
        "status": code,
        "detail": "the object, the actual value, and what is allowed",
        "code": 9007,
        "cause": "why that is so",
        "remedies": [{"text": "what to do", "command": "privyseal explain 9007"}],
        "retryable": code in (429, 503),
        "correlation_id": "6b0307b6c623",
        "retry_after": 2 if code == 429 else None,
        "errors": [],
    }


def _remedy(text: str) -> Remedy:
    found = _COMMAND.search(text)
    return Remedy(text=text, command=found.group() if found else None)


API: Final = Face(
    prefix="/api/v1",
    title="Privyseal",
    error=Problem,
    error_media=PROBLEM_TYPE,
    error_example=problem_example,
    refuse=problem_answer,
)
