# SPDX-License-Identifier: Apache-2.0
"""The desk of a built installation: every act with the books that it needs, and who may come to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from privyseal.administration.access import CreateToken, GrantRole, RevokeRole, RevokeToken, SetFourEyes
from privyseal.administration.act import Act
from privyseal.administration.desk import Desk
from privyseal.administration.sign_in import SignIn
from privyseal.bootstrap import Application
from privyseal.bootstrap.authorities import authority_acts
from privyseal.bootstrap.publishing import Guard, ca_labels, publication_acts
from privyseal.bootstrap.revocation import revocation_acts
from privyseal.bootstrap.webhooks import webhook_acts
from privyseal.model.preview import Preview
from privyseal.store.access import AccessBook
from privyseal.store.approvals import ApprovalBook
from privyseal.store.tokens import TokenBook


class Administration:
    """What command line and API share: the desk, and the books about access."""

    def __init__(self, application: Application) -> None:
        self.access = AccessBook(application.database, application.committer)
        self.tokens = TokenBook(application.database, application.committer)
        self.approvals = ApprovalBook(application.database, application.committer)
        self.guard = Guard(application, self.access, self.tokens)
        self.sign_in = SignIn(self.tokens, self.access, application.clock)
        self.desk = Desk(
            self._acts(application),
            approvals=self.approvals,
            four_eyes=self.access,
            clock=application.clock,
            about=partial(labels_about, application),
            standing=self.sign_in.standing,
        )

    def _acts(self, application: Application) -> Iterator[Act]:
        yield GrantRole(self.access)
        yield RevokeRole(self.access)
        yield CreateToken(self.access, self.tokens, application.clock)
        yield RevokeToken(self.tokens)
        yield SetFourEyes(self.access)
        yield from publication_acts(application, self.access, self.guard)
        yield from (Labelled(application, act) for act in revocation_acts(application))
        yield from authority_acts(application)
        yield from webhook_acts(application)


def labels_about(application: Application, act: str, parameters: Mapping[str, Any]) -> Iterator[frozenset[str]]:
    """The labels of the CAs that an act names, or whose profile it replaces, where they exist."""
    noun, names = act.partition(".")[0], list[Any]()
    if noun == "ca":
        names = [parameters.get("name"), parameters.get("parent")]
    elif noun == "certificate" and parameters.get("serial"):
        names = [parameters.get("ca")]
    elif noun == "profile" and isinstance(body := parameters.get("profile"), Mapping):
        names = [profile.issuer for profile in application.profiles.all() if profile.name == body.get("name")]
    there = {known.name: known.labels for known in application.authority_names.all()}
    yield from (there[name] for name in names if isinstance(name, str) and name in there)


class Labelled:
    """An act about one certificate, with the labels of its CA: a grant that names labels reaches it by these."""

    def __init__(self, application: Application, act: Act) -> None:
        self._app = application
        self._act = act
        self.name = act.name
        self.permission = act.permission
        self.second_person = act.second_person
        self.perform = act.perform

    async def preview(self, parameters: Mapping[str, Any]) -> Preview:
        """See ``Act``."""
        preview = await self._act.preview(parameters)
        ca, serial = parameters.get("ca"), parameters.get("serial")
        return replace(preview, labels=ca_labels(self._app, str(ca))) if ca and serial else preview
