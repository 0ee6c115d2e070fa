# SPDX-License-Identifier: Apache-2.0
"""The house rules that a machine can check, each a function from a file to its findings. No rule looks at two files."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from tests.architecture.sources import Source

Rule = Callable[[Source], Iterator[str]]

FILE_LINES: Final = 400
FUNCTION_LINES: Final = 60
DOCSTRING_LINES: Final = 5
PROTOCOL_METHODS: Final = 6
LONG_DOCSTRINGS: Final = {"src/privyseal/errors/tree.py": "it draws the error tree"}
VAGUE_NAMES: Final = {"util", "utils", "helper", "helpers", "common", "base", "manager", "managers", "misc"}

# Clock and chance are passed in as values; only adapters may ask the system for them.
CLOCK_AND_CHANCE: Final = re.compile(
    r"(datetime\.)?(datetime|date)\.(now|utcnow|today)|time\.time(_ns)?|os\.u?random|os\.getrandom"
    r"|secrets\.\w+|random\.\w+|(uuid\.)?uuid[147]|(\w+\.)*random_serial_number"
)
# Every other `.sign(` would be a second road to a signature.
# The SCEP clients (ours and the probing one) sign requests with a device's key, never with one of a CA.
MAY_SIGN: Final = re.compile(
    r"ca/issuance\.py|adapters/(keys(/.*|_\w+|)|scep_client)\.py|protocols/scep/(client|codec)\.py"
)
# libkrb5 and libldap take ticket cache, keytab and "read no ldaprc" from the environment of the process only.
MAY_TOUCH_THE_ENVIRONMENT: Final = {"config.py", "adapters/ldap_kerberos.py"}
MAY_CATCH_ALL: Final = {"endpoints/app.py", "worker.py", "cli/main.py"}
# Paths of somebody's machine and hosts of registries; in two pieces, so that this file does not find itself.
NOT_OURS: Final = re.compile(
    "|".join(
        re.escape(first) + second
        for first, second in [
            ("/wo", r"rk/(main|shared|\.)"),
            ("/ro", r"ot/"),
            ("/ho", r"me/[a-z]"),
            ("/tm", r"p/(w|h\d)/"),
            ("/op", r"t/(wheels|pypi)"),
            ("../sha", r"red"),
            ("pypi", r"\.org"),
            ("python", r"hosted\.org"),
            ("npm", r"js\.(org|com)"),
            ("crates", r"\.io"),
            ("proxy.go", r"lang\.org"),
            ("deb.deb", r"ian\.org"),
            ("snapshot.deb", r"ian\.org"),
        ]
    )
)


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _imported_from(source: Source) -> dict[str, str]:
    """Local name -> where it comes from, so that ``from os import urandom as r`` hides nothing."""
    names: dict[str, str] = {}
    for node in source.nodes():
        if isinstance(node, ast.ImportFrom) and node.module:
            names.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
        elif isinstance(node, ast.Import):
            names.update({alias.asname: alias.name for alias in node.names if alias.asname})
    return names


def _full_name(node: ast.AST, names: Mapping[str, str]) -> str:
    first, _, rest = _dotted(node).partition(".")
    full = names.get(first, first)
    return f"{full}.{rest}" if rest else full


def files_are_short(source: Source) -> Iterator[str]:
    lines = source.text.count("\n")
    if source.is_python and lines > FILE_LINES:
        yield f"{lines} lines; at most {FILE_LINES}"


def functions_are_short(source: Source) -> Iterator[str]:
    for node in source.nodes():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            lines = node.end_lineno - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield f"{node.name} has {lines} lines; at most {FUNCTION_LINES}"


def modules_say_what_they_are(source: Source) -> Iterator[str]:
    if not source.is_python:
        return
    text = ast.get_docstring(source.tree)
    if not text:
        yield "no module docstring"
    elif len(text.splitlines()) > DOCSTRING_LINES and source.path not in LONG_DOCSTRINGS:
        yield f"module docstring of {len(text.splitlines())} lines; at most {DOCSTRING_LINES}"


def files_name_their_licence(source: Source) -> Iterator[str]:
    if source.is_python or source.is_shell:
        head = source.text.splitlines()[:2]
        if "# SPDX-License-Identifier: Apache-2.0" not in head[: 2 if source.is_shell else 1]:
            yield "the SPDX line is missing"


def names_are_not_vague(source: Source) -> Iterator[str]:
    for part in source.path.split("/"):
        if part.partition(".")[0] in VAGUE_NAMES:
            yield f"{part} says nothing about what is in it"


def clock_and_chance_are_passed_in(source: Source) -> Iterator[str]:
    if not source.in_package or source.in_package.startswith("adapters/"):
        return
    names = _imported_from(source)
    for node in source.nodes():
        if isinstance(node, ast.Attribute | ast.Name) and CLOCK_AND_CHANCE.fullmatch(full := _full_name(node, names)):
            yield f"{full} in line {node.lineno}: take it as a value"


def only_the_road_signs(source: Source) -> Iterator[str]:
    if not source.in_package or MAY_SIGN.fullmatch(source.in_package):
        return
    for node in source.nodes():
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "sign":
            yield f".sign( in line {node.lineno}: only ca/issuance.py and the key adapters sign"


def environment_is_read_in_one_place(source: Source) -> Iterator[str]:
    if not source.in_package or source.in_package in MAY_TOUCH_THE_ENVIRONMENT:
        return
    names = _imported_from(source)
    for node in source.nodes():
        if isinstance(node, ast.Attribute | ast.Name):
            full = _full_name(node, names)
            if full in {"os.environ", "os.environb", "os.getenv", "os.putenv"}:
                yield f"{full} in line {node.lineno}: only config.py reads the environment"


def _is_broad(kinds: Sequence[ast.expr]) -> bool:
    return any(_dotted(kind) in {"Exception", "BaseException"} for kind in kinds)


def faults_are_not_swallowed(source: Source) -> Iterator[str]:
    if not source.in_package or source.in_package in MAY_CATCH_ALL:
        return
    for node in source.nodes():
        if isinstance(node, ast.ExceptHandler):
            kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type] if node.type else []
            if not kinds or _is_broad(kinds):
                yield f"broad except in line {node.lineno}"
        elif isinstance(node, ast.Call) and _dotted(node.func).endswith("suppress") and _is_broad(node.args):
            yield f"broad suppress in line {node.lineno}"


def trust_is_not_a_boolean(source: Source) -> Iterator[str]:
    if not source.in_package:
        return
    for node in source.nodes():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns:
            judges = re.match(r"_*(verify|check|authenticate)", node.name)
            if judges and re.search(r"\b(bool|TypeGuard|TypeIs)\b", ast.unparse(node.returns)):
                yield f"{node.name} returns a boolean; let it raise"


def scripts_do_not_hide_failures(source: Source) -> Iterator[str]:
    if source.is_shell:
        for number, line in enumerate(source.text.splitlines(), 1):
            if re.search(r"\|\|\s*(true|:)(\s|;|\)|$)|^\s*set \+e", line):
                yield f"line {number} hides a failure: {line.strip()}"


def ports_are_small(source: Source) -> Iterator[str]:
    for node in source.nodes():
        if isinstance(node, ast.ClassDef) and any(_dotted(base).endswith("Protocol") for base in node.bases):
            methods = [item for item in node.body if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)]
            if len(methods) > PROTOCOL_METHODS and source.in_package:
                yield f"{node.name} has {len(methods)} methods; at most {PROTOCOL_METHODS}"


def files_name_no_machine_and_no_registry(source: Source) -> Iterator[str]:
    for number, line in enumerate(source.text.splitlines(), 1):
        if found := NOT_OURS.search(line):
            yield f"line {number} holds {found.group()}"


def exceptions_to_checks_have_a_reason(source: Source) -> Iterator[str]:
    if source.is_python:
        for number, line in enumerate(source.text.splitlines(), 1):
            if re.search(r"#\s*(type:\s*ignore|noqa)(\[[^]]*\]|:\s*[A-Z0-9, ]+)?\s*$", line):
                yield f"line {number} switches a check off without saying why"


def errors_live_in_one_tree(source: Source) -> Iterator[str]:
    if not source.in_package or source.in_package.startswith("errors/"):
        return
    for node in source.nodes():
        if isinstance(node, ast.ClassDef):
            bases = [_dotted(base) for base in node.bases]
            if any(base.endswith(("Error", "Exception")) for base in bases):
                yield f"{node.name}: exceptions are defined in privyseal.errors"


RULES: Final[Mapping[str, Rule]] = {
    rule.__name__: rule
    for rule in (
        files_are_short,
        functions_are_short,
        modules_say_what_they_are,
        files_name_their_licence,
        names_are_not_vague,
        clock_and_chance_are_passed_in,
        only_the_road_signs,
        environment_is_read_in_one_place,
        faults_are_not_swallowed,
        trust_is_not_a_boolean,
        scripts_do_not_hide_failures,
        ports_are_small,
        files_name_no_machine_and_no_registry,
        exceptions_to_checks_have_a_reason,
        errors_live_in_one_tree,
    )
}
