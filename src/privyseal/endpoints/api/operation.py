# SPDX-License-Identifier: Apache-2.0
"""One operation of the API as a value: whatever is known of it is known here, and nothing is served that is not one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from privyseal.model.access import Actor, Permission


class Kind(Enum):
    """How the answer's content is wrapped."""

    ONE = "one"
    PAGE = "page"
    """``{"items": [...], "next_cursor": ...}``."""
    ACT = "act"
    """One, or 202 with an approval when a second person is needed; ``dry_run`` gives the preview."""
    ENTITY = "entity"
    """One, of which `$select` leaves parts out."""
    COLLECTION = "collection"
    """``{"value": [...], "@odata.nextLink": ...}``."""
    RAW = "raw"
    """Octets or text of a type of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryField:
    """One parameter of the query; what is not declared is refused."""

    name: str
    doc: str
    kind: type = str
    choices: tuple[str, ...] = ()
    least: int = 0
    most: int = 0
    longest: int = 256
    pattern: str = ""
    example: Any = None


LIMIT: Final = QueryField(name="limit", doc="At most so many.", kind=int, least=1, most=1000, example=50)
CURSOR: Final = QueryField(name="cursor", doc="`next_cursor` of the page before.", longest=512)
FIELDS: Final = QueryField(name="fields", doc="Only these fields of each item, separated by commas.", longest=512)
DRY_RUN: Final = QueryField(name="dry_run", doc="Say what would happen, and do nothing.", kind=bool)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, after all checks that an operation's row can tell."""

    actor: Actor
    path: Mapping[str, str]
    query: Mapping[str, Any]
    body: Any
    if_match: str
    incident: str
    operation_path: str
    """The operation's own, with its braces."""
    origin: str = ""
    """Scheme and host that the caller used, for links that must be absolute."""

    @property
    def dry_run(self) -> bool:
        """Nothing may be changed."""
        return bool(self.query.get("dry_run"))

    @property
    def limit(self) -> int:
        """Rows of a page."""
        return int(self.query.get("limit") or 50)


@dataclass(frozen=True, slots=True)
class Reply:
    """What an operation answers. ``content`` is a shape, JSON-ready data, or octets for RAW."""

    content: Any
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows, and where the next ones begin."""

    items: tuple[Any, ...]
    next_cursor: str | None
    count: int | None = None


Handler = Callable[[Call], Awaitable[Reply]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One row of the table."""

    id: str
    method: str
    path: str
    """Below /api/v1; ``{name}`` is one segment, ``:verb`` after it an act."""
    summary: str
    permission: Permission | None
    """None: whoever is signed in; only with ``open_because`` nobody needs to be."""
    handler: Handler
    answer: type | None
    example: Any
    kind: Kind = Kind.ONE
    status: int = 200
    query: tuple[QueryField, ...] = ()
    body: type | None = None
    body_example: Any = None
    body_limit: int = 256 * 1024
    open_because: str = ""
    if_match: bool = False
    may_match: bool = False
    """It heeds If-Match, and does without."""
    later: type | None = None
    """The shape of a 202 beside an approval: of what goes on after the answer."""
    previews: bool = False
    """It heeds ``dry_run`` though it is no act."""
    annotations: bool = False
    """Names with `@odata.` in the content are passed over."""
    keeps_secret: bool = False
    """The answer holds a secret: it is never stored, not even for a repeated Idempotency-Key."""
    shares_commits: bool = False
    """It commits, many of it are under way at once, and waiting for each other a moment saves all of them time."""
    path_patterns: Mapping[str, str] = field(default_factory=dict)
    path_examples: Mapping[str, str] = field(default_factory=dict)
    media: str = "application/json"

    @property
    def changes(self) -> bool:
        """It may have an effect."""
        return self.method != "GET"

    @property
    def heeds_dry_run(self) -> bool:
        """It can say what would happen, and do nothing."""
        return self.kind is Kind.ACT or self.previews

    @property
    def all_query(self) -> tuple[QueryField, ...]:
        """With those that its kind brings."""
        more: tuple[QueryField, ...] = ()
        if self.kind is Kind.PAGE:
            more = (LIMIT, CURSOR, FIELDS)
        elif self.heeds_dry_run:
            more = (DRY_RUN,)
        return (*self.query, *more)
