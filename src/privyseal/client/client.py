# SPDX-License-Identifier: Apache-2.0
"""The typed client of the REST API. What the server refuses is raised as the same error that the server raised."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NoReturn, TypeVar
from urllib.parse import quote, urlencode

from privyseal import errors
from privyseal.client.transport import Received, Transport
from privyseal.errors import BodyInvalid, PrivysealError, ServerAnsweredWrongly
from privyseal.model.api.access_shapes import (
    ApprovalShape,
    Denial,
    FirstOwnerWish,
    FourEyesShape,
    FourEyesWish,
    GrantShape,
    GrantWish,
    PreviewShape,
    Problem,
    RevokedRole,
    TokenMade,
    TokenShape,
    TokenWish,
    WhoAmI,
)
from privyseal.model.api.codec import decode, encode
from privyseal.model.api.shapes import (
    AuthorityShape,
    CertificateShape,
    EntityShape,
    Health,
    Issued,
    IssueWish,
    ProfileShape,
    RevokeWish,
)
from privyseal.model.api.webhook_shapes import (
    EventDeliveryShape,
    ReplayWish,
    WebhookGone,
    WebhookMade,
    WebhookQueued,
    WebhookShape,
    WebhookWish,
)
from privyseal.model.entity import EntityKind

T = TypeVar("T")
_PREFIX: Final = "/api/v1"
_MOST_PAGES: Final = 100_000


class Client:
    """One server, or this machine's installation; see ``privyseal.bootstrap.client`` for how to get one."""

    def __init__(self, transport: Transport, chance: Callable[[int], bytes]) -> None:
        self._transport = transport
        self._chance = chance

    def close(self) -> None:
        """Give connections back."""
        self._transport.close()

    # --- who ---------------------------------------------------------------------------------------

    def whoami(self) -> WhoAmI:
        """Who the server takes us for."""
        return self._get(WhoAmI, "/whoami")

    def health(self) -> Health:
        """Whether the server can work; needs no token."""
        return self._get(Health, "/health")

    def roles(self) -> Iterator[GrantShape]:
        """Who holds which role."""
        return self._pages(GrantShape, "/roles")

    def grant_role(self, wish: GrantWish, *, dry_run: bool = False) -> GrantShape | ApprovalShape | PreviewShape:
        """Give a person a role."""
        return self._act(GrantShape, "POST", "/roles", wish=wish, dry_run=dry_run)

    def revoke_role(
        self, person: str, role: str, *, dry_run: bool = False
    ) -> RevokedRole | ApprovalShape | PreviewShape:
        """Take a role away."""
        return self._act(RevokedRole, "DELETE", f"/roles/{_part(person)}/{_part(role)}", dry_run=dry_run)

    def four_eyes(self) -> FourEyesShape:
        """The setting."""
        return self._get(FourEyesShape, "/four-eyes")

    def set_four_eyes(
        self, wish: FourEyesWish, *, dry_run: bool = False
    ) -> FourEyesShape | ApprovalShape | PreviewShape:
        """Set it."""
        return self._act(FourEyesShape, "POST", "/four-eyes", wish=wish, dry_run=dry_run)

    def tokens(self) -> Iterator[TokenShape]:
        """Newest first."""
        return self._pages(TokenShape, "/tokens")

    def create_token(self, wish: TokenWish, *, dry_run: bool = False) -> TokenMade | PreviewShape:
        """Make a token; with four eyes its secret is good once somebody else has approved."""
        made = self._act(TokenMade, "POST", "/tokens", wish=wish, dry_run=dry_run, pending=TokenMade)
        if isinstance(made, ApprovalShape):
            raise ServerAnsweredWrongly("the server made a token and did not tell its secret")
        return made

    def revoke_token(self, name: str, *, dry_run: bool = False) -> TokenShape | ApprovalShape | PreviewShape:
        """At once."""
        return self._act(TokenShape, "DELETE", f"/tokens/{_part(name)}", dry_run=dry_run)

    def first_owner(self, wish: FirstOwnerWish) -> TokenMade:
        """Become the first owner, by the code that was printed on the machine; needs no token."""
        return self._post(TokenMade, "/first-owner", wish)

    # --- approvals ---------------------------------------------------------------------------------

    def approvals(self, *, state: str = "") -> Iterator[ApprovalShape]:
        """Newest first."""
        return self._pages(ApprovalShape, "/approvals", state=state)

    def approval(self, approval_id: int) -> ApprovalShape:
        """One request."""
        return self._get(ApprovalShape, f"/approvals/{approval_id}")

    def approve(self, approval_id: int) -> ApprovalShape:
        """Approve and do it."""
        return self._post(ApprovalShape, f"/approvals/{approval_id}:approve")

    def deny(self, approval_id: int, *, reason: str) -> ApprovalShape:
        """Refuse it."""
        return self._post(ApprovalShape, f"/approvals/{approval_id}:deny", Denial(reason=reason))

    def cancel(self, approval_id: int) -> ApprovalShape:
        """Take one's own request back."""
        return self._post(ApprovalShape, f"/approvals/{approval_id}:cancel")

    # --- what is administered ----------------------------------------------------------------------

    def authorities(self) -> Iterator[AuthorityShape]:
        """Every version of every CA."""
        return self._pages(AuthorityShape, "/authorities")

    def authority(self, name: str, *, version: int = 0) -> AuthorityShape:
        """One; without ``version`` the one in force."""
        return self._get(AuthorityShape, f"/authorities/{_part(name)}", version=version or "")

    def profiles(self) -> Iterator[ProfileShape]:
        """In order of name."""
        return self._pages(ProfileShape, "/profiles")

    def profile(self, name: str) -> ProfileShape:
        """One, in its newest revision."""
        return self._get(ProfileShape, f"/profiles/{_part(name)}")

    def devices(self) -> Iterator[EntityShape]:
        """In order of name."""
        return self.entities(EntityKind.DEVICE)

    def entities(self, kind: EntityKind) -> Iterator[EntityShape]:
        """Devices or users, in order of name."""
        return self._pages(EntityShape, f"/{kind.value}s")

    def entity(self, kind: EntityKind, name: str) -> EntityShape:
        """One device or user."""
        return self._get(EntityShape, f"/{kind.value}s/{_part(name)}")

    def certificates(self, where: str = "", *, limit: int = 500) -> Iterator[CertificateShape]:
        """What a search finds, newest first; pages of ``limit`` are fetched as they are needed."""
        return self._pages(CertificateShape, "/certificates", where=where, limit=limit)

    def certificate(self, serial: str, *, ca: str = "") -> CertificateShape:
        """One, with its PEM."""
        return self._get(CertificateShape, f"/certificates/{_part(serial)}", ca=ca)

    def issue(self, wish: IssueWish) -> Issued:
        """Issue; sent again with the same key when the answer is lost, so that there is one certificate."""
        return self._post(Issued, "/certificates", wish)

    def revoke(self, serial: str, wish: RevokeWish, *, ca: str = "") -> CertificateShape:
        """For good."""
        query = f"?{urlencode({'ca': ca})}" if ca else ""
        return self._post(CertificateShape, f"/certificates/{_part(serial)}:revoke{query}", wish)

    # --- webhooks ----------------------------------------------------------------------------------

    def webhooks(self) -> Iterator[WebhookShape]:
        """In order of name."""
        return self._pages(WebhookShape, "/webhooks")

    def create_webhook(self, wish: WebhookWish) -> WebhookMade:
        """The secret is in it, this once."""
        return self._post(WebhookMade, "/webhooks", wish)

    def delete_webhook(self, name: str, *, dry_run: bool = False) -> WebhookGone | ApprovalShape | PreviewShape:
        """With what waits for it."""
        return self._act(WebhookGone, "DELETE", f"/webhooks/{_part(name)}", dry_run=dry_run)

    def webhook_deliveries(self, name: str, *, state: str = "") -> Iterator[EventDeliveryShape]:
        """Newest first."""
        return self._pages(EventDeliveryShape, f"/webhooks/{_part(name)}/deliveries", state=state)

    def test_webhook(self, name: str, *, dry_run: bool = False) -> WebhookQueued | ApprovalShape | PreviewShape:
        """Queue a test."""
        return self._act(WebhookQueued, "POST", f"/webhooks/{_part(name)}:test", dry_run=dry_run)

    def replay_webhook(
        self, name: str, *, delivery: int | None, dry_run: bool = False
    ) -> WebhookQueued | ApprovalShape | PreviewShape:
        """Queue again."""
        wish = ReplayWish(delivery=delivery)
        return self._act(WebhookQueued, "POST", f"/webhooks/{_part(name)}:replay", wish=wish, dry_run=dry_run)

    # --- carrying ----------------------------------------------------------------------------------

    def _get(self, kind: type[T], path: str, **query: Any) -> T:
        given = {name: value for name, value in query.items() if value not in ("", None)}
        target = f"{path}?{urlencode(given)}" if given else path
        return _read(kind, self._send("GET", target))

    def _post(self, kind: type[T], path: str, wish: Any = None) -> T:
        return _read(kind, self._send("POST", path, wish))

    def _act(
        self,
        kind: type[T],
        method: str,
        path: str,
        *,
        wish: Any = None,
        dry_run: bool,
        pending: type[Any] = ApprovalShape,
    ) -> T | ApprovalShape | PreviewShape:
        answer = self._send(method, f"{path}?dry_run=true" if dry_run else path, wish)
        if dry_run:
            return _read(PreviewShape, answer)
        return _read(pending if answer.status == 202 else kind, answer)

    def _pages(self, kind: type[T], path: str, **query: Any) -> Iterator[T]:
        cursor = ""
        for _ in range(_MOST_PAGES):
            given = {name: value for name, value in {"limit": 500, **query, "cursor": cursor}.items() if value != ""}
            page = _json(self._send("GET", f"{path}?{urlencode(given)}"))
            for item in page["items"]:
                yield decode(kind, item, lenient=True)
            cursor = page["next_cursor"] or ""
            if not cursor:
                return

    def _send(self, method: str, path: str, wish: Any = None) -> Received:
        headers: dict[str, str] = {}
        if method == "POST":
            headers["Idempotency-Key"] = self._chance(16).hex()
        body = b""
        if wish is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(encode(wish)).encode()
        answer = self._transport.send(method, _PREFIX + path, headers=headers, body=body)
        if answer.status >= 300:
            raise_problem(answer)
        return answer


def raise_problem(answer: Received) -> NoReturn:
    """The error that the server told, as an error of the same class."""
    try:
        told = decode(Problem, json.loads(answer.body), lenient=True)
    except (ValueError, BodyInvalid) as error:
        raise ServerAnsweredWrongly(f"the server answered {answer.status}, and not with a problem of ours") from error
    known: Mapping[int, type[PrivysealError]] = {
        item.code: item
        for item in vars(errors).values()
        if isinstance(item, type) and issubclass(item, PrivysealError) and item.code
    }
    mend = tuple(remedy.text for remedy in told.remedies)
    kind = known.get(told.code)
    if kind is None:
        raise ServerAnsweredWrongly(f"[{told.code}] {told.detail}", why=told.cause, mend=mend)
    raise kind(told.detail, why=told.cause, mend=mend)


def _read(kind: type[T], answer: Received) -> T:
    try:
        return decode(kind, _json(answer), lenient=True)
    except BodyInvalid as error:
        raise ServerAnsweredWrongly(f"the server's answer cannot be read: {error.what}") from error


def _json(answer: Received) -> Any:
    try:
        return json.loads(answer.body)
    except ValueError as error:
        raise ServerAnsweredWrongly(f"the server answered {answer.status}, but not with JSON") from error


def _part(text: str) -> str:
    return quote(text, safe="")
