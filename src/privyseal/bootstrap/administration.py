# SPDX-License-Identifier: Apache-2.0
"""The desk of a built installation: every act with the books that it needs, and who may come to it."""

from __future__ import annotations

from collections.abc import Iterator

from privyseal.administration.access import CreateToken, GrantRole, RevokeRole, RevokeToken, SetFourEyes
from privyseal.administration.act import Act
from privyseal.administration.desk import Desk
from privyseal.administration.sign_in import SignIn
from privyseal.bootstrap import Application
from privyseal.bootstrap.authorities import authority_acts
from privyseal.bootstrap.revocation import revocation_acts
from privyseal.store.access import AccessBook
from privyseal.store.approvals import ApprovalBook
from privyseal.store.tokens import TokenBook


class Administration:
    """What command line and API share: the desk, and the books about access."""

    def __init__(self, application: Application) -> None:
        self.access = AccessBook(application.database, application.committer)
        self.tokens = TokenBook(application.database, application.committer)
        self.approvals = ApprovalBook(application.database, application.committer)
        self.sign_in = SignIn(self.tokens, self.access, application.clock)
        self.desk = Desk(
            self._acts(application), approvals=self.approvals, four_eyes=self.access, clock=application.clock
        )

    def _acts(self, application: Application) -> Iterator[Act]:
        yield GrantRole(self.access)
        yield RevokeRole(self.access)
        yield CreateToken(self.access, self.tokens, application.clock)
        yield RevokeToken(self.tokens)
        yield SetFourEyes(self.access)
        yield from revocation_acts(application)
        yield from authority_acts(application)
