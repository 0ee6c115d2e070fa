# SPDX-License-Identifier: Apache-2.0
"""Every error code tells what, why and how to mend it, has a runbook, and some test raises it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import ClassVar

from privyseal import errors
from privyseal.errors import PrivysealError
from tests.architecture.sources import all_sources
from tests.outside.tools import ROOT

CATEGORIES = {
    "PrivysealError",
    "InputError",
    "PolicyError",
    "AccessError",
    "StateError",
    "SetupError",
}
RUNBOOKS = ROOT / "src" / "privyseal" / "runbooks"
Errors = Iterable[type[PrivysealError]]


def error_classes() -> list[type[PrivysealError]]:
    """All classes with a code, in the order of the file."""
    found = [item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, PrivysealError)]
    return [item for item in found if item.__name__ not in CATEGORIES]


def faults_of_text(classes: Errors) -> list[str]:
    """What the classes lack."""
    faults, seen = [], dict[int, str]()
    for item in classes:
        name = item.__name__
        if not 6000 <= item.code <= 9999:
            faults.append(f"{name}: code {item.code} is outside 6000-9999")
        if item.code in seen:
            faults.append(f"{name}: code {item.code} is that of {seen[item.code]}")
        seen[item.code] = name
        if not item.title or item.title.endswith("."):
            faults.append(f"{name}: the title is empty or ends with a full stop")
        if not item.default_why:
            faults.append(f"{name}: why is empty")
        if not 1 <= len(item.default_mend) <= 3 or not all(item.default_mend):
            faults.append(f"{name}: mend has {len(item.default_mend)} entries; one to three")
        if re.search(
            r"-----BEGIN|contact your administrator|please|!", f"{item.default_why} {item.default_mend}", re.I
        ):
            faults.append(f"{name}: the tone is not ours")
    return faults


def test_every_error_tells_what_why_and_how_to_mend() -> None:
    assert faults_of_text(error_classes()) == []


def test_an_error_that_tells_nothing_is_found() -> None:
    class Mute(PrivysealError):
        code: ClassVar[int] = errors.MalformedDer.code

    faults = " ".join(faults_of_text([errors.MalformedDer, Mute]))
    assert all(word in faults for word in ("is that of MalformedDer", "title", "why", "mend"))


def test_every_error_has_a_runbook() -> None:
    assert missing_runbooks(error_classes(), {path.name for path in RUNBOOKS.glob("*.md")}) == []


def test_an_error_without_runbook_is_found() -> None:
    assert missing_runbooks([errors.MalformedDer], {"9999.md"}) == ["MalformedDer: 6001.md", "9999.md: no such code"]


def missing_runbooks(classes: Errors, present: set[str]) -> list[str]:
    """Runbooks that are missing, and those of codes that do not exist (any more)."""
    wanted = {f"{item.code}.md": item.__name__ for item in classes}
    lost = [f"{wanted[name]}: {name}" for name in sorted(wanted.keys() - present)]
    return lost + [f"{name}: no such code" for name in sorted(present - wanted.keys()) if name[0].isdigit()]


def test_every_error_is_raised_by_some_test() -> None:
    tests = "\n".join(
        source.text
        for source in all_sources()
        if source.path.startswith("tests/") and not source.path.startswith("tests/architecture/")
    )
    unseen = [
        f"{item.__name__} ({item.code})"
        for item in error_classes()
        if not re.search(rf"\b({item.__name__}|{item.code})\b", tests)
    ]
    assert not unseen, f"no test names these: {', '.join(unseen)}"


def unprovoked(classes: Errors, doors: str) -> list[str]:
    """Codes from 7040 to 7079 that no text of tests/doors names, by class or number."""
    return [
        f"{item.__name__} ({item.code})"
        for item in classes
        if 7040 <= item.code < 7080 and not re.search(rf"\b({item.__name__}|{item.code})\b", doors)
    ]


def test_every_error_of_the_doors_is_brought_about_by_the_real_thing() -> None:
    doors = "\n".join(source.text for source in all_sources() if source.path.startswith("tests/doors/"))
    assert unprovoked(error_classes(), doors) == []


def test_an_error_of_the_doors_that_only_texts_name_is_found() -> None:
    assert unprovoked([errors.RadiusSilent, errors.MalformedDer], "no word of it") == ["RadiusSilent (7040)"]
    assert unprovoked([errors.RadiusSilent], "7040") == unprovoked([errors.RadiusSilent], "RadiusSilent") == []
