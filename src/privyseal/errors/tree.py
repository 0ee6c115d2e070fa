# SPDX-License-Identifier: Apache-2.0
"""The root and the five branches of the error tree, which every module beside this one hangs its leaves on.

    PrivysealError
    +-- InputError           bytes or values from outside are not what they must be
    |   +-- MalformedDer, MalformedMessage, MalformedRequest, InvalidValue, ...
    +-- PolicyError          well formed, but a rule says no
    |   +-- KeyNotAcceptable, ValidityNotNested, LintFailed, VariableWithoutValue, ...
    +-- AccessError          who asks could not prove it, or may not
    |   +-- ChallengeUnknown, ChallengeUsed, RenewalTooEarly, ...
    +-- StateError           the object is not in a state that allows it, or is not there
    |   +-- NotFound, NameTaken, AlreadyRevoked, IssuerNotActive, ...
    +-- SetupError           this installation is not ready: configuration, keys, store, network

Codes share one number space with event ids: 6000s CA, 7000s directory, 8000s access, 9000s product.
"""

from __future__ import annotations

from typing import ClassVar


class PrivysealError(Exception):
    """What happened (the message), why, and at most three ways to mend it, safest first.

    ``what`` names the object and the actual value. ``why`` and ``mend`` default to the class's own
    text; pass them where the case knows better. No message ever carries a secret, a PEM or a stack.
    """

    code: ClassVar[int] = 0
    title: ClassVar[str] = ""
    default_why: ClassVar[str] = ""
    default_mend: ClassVar[tuple[str, ...]] = ()

    def __init__(self, what: str, *, why: str = "", mend: tuple[str, ...] = ()) -> None:
        super().__init__(what)
        self.what = what
        self.why = why or self.default_why
        self.mend = (mend or self.default_mend)[:3]


class InputError(PrivysealError):
    """Bytes or values from outside are not what they must be."""


class PolicyError(PrivysealError):
    """Well formed, but a rule says no."""


class AccessError(PrivysealError):
    """Who asks could not prove it, or may not."""


class StateError(PrivysealError):
    """The object is missing, or its state does not allow this."""


class SetupError(PrivysealError):
    """This installation is not ready: configuration, keys, store or network."""
