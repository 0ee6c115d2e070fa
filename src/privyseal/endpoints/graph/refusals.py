# SPDX-License-Identifier: Apache-2.0
"""Our errors in the form that Graph gives them: {"error": {"code", "message", "innerError"}}."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from privyseal.endpoints.api.face import Face
from privyseal.endpoints.api.problems import status_of
from privyseal.endpoints.graph.shapes import GraphError, GraphErrorBody, GraphInnerError
from privyseal.endpoints.http import Response
from privyseal.errors import ApprovalPending, PrivysealError, TooManyRequests, UnexpectedFault
from privyseal.model.api.codec import encode

_WORDS: Final[Mapping[int, str]] = {
    400: "BadRequest",
    401: "InvalidAuthenticationToken",
    403: "Forbidden",
    404: "ResourceNotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    412: "PreconditionFailed",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    422: "BadRequest",
    428: "PreconditionRequired",
    429: "TooManyRequests",
    500: "InternalServerError",
    503: "ServiceUnavailable",
}


def graph_answer(error: PrivysealError, incident: str, *, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Response:
    """The HTTP answer of an error. What waits for approval is a conflict, so that no script takes it for done."""
    status = 409 if isinstance(error, ApprovalPending) else status_of(error)
    shape = GraphError(
        error=GraphErrorBody(
            code="ApprovalPending" if isinstance(error, ApprovalPending) else _WORDS[status],
            message=error.what,
            innerError=GraphInnerError(request_id=incident, code=error.code, cause=error.why, remedies=error.mend),
        )
    )
    if status == HTTPStatus.UNAUTHORIZED:
        headers = (*headers, (b"www-authenticate", b'Bearer realm="privyseal"'))
    if isinstance(error, TooManyRequests):
        headers = (*headers, (b"retry-after", str(error.seconds).encode()))
    more = ((b"request-id", incident.encode()), (b"cache-control", b"no-store"))
    return Response(status, "application/json", json.dumps(encode(shape)).encode(), (*headers, *more))


def graph_fault(incident: str) -> Response:
    """For a fault of ours: the incident and nothing of the inside."""
    return graph_answer(UnexpectedFault(f"incident {incident}; the trace is in the server's log"), incident)


def _example(status: int) -> dict[str, Any]:
    inner = {"request_id": "6b0307b6c623", "code": 9007, "cause": "why that is so", "remedies": ["what to do"]}
    return {"error": {"code": _WORDS[status], "message": "the object, the actual value, what is allowed",
                      "innerError": inner}}  # fmt: skip


GRAPH: Final = Face(
    prefix="/beta",
    title="Privyseal, in the form of Microsoft Graph",
    error=GraphError,
    error_media="application/json",
    error_example=_example,
    refuse=graph_answer,
)
