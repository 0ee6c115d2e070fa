# SPDX-License-Identifier: Apache-2.0
"""Database password, tokens and secrets of webhooks are in no log, answer, audit row or table, and no URL holds one."""

from __future__ import annotations

import logging
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from privyseal.config import CONFIG_NAME, with_store
from privyseal.model.access import Role
from privyseal.store.schema import metadata
from tests.api import ApiHouse
from tests.command_line import run_line
from tests.installation import PASSPHRASE, Installation, Installations, new_home
from tests.outside.postgresql import shared_server
from tests.stores import POSTGRESQL, engine_of_new_installations

PASSWORD = "hush-0123456789-hush"


def everything_said(records: list[logging.LogRecord]) -> str:
    return "\n".join(f"{one.getMessage()} {one.args} {one.exc_text} {one.__dict__}" for one in records)


def everything_stored(installation: Installation) -> str:
    return "\n".join(repr(installation.rows(f"SELECT * FROM {table}")) for table in metadata.tables)


def test_a_database_password_is_nowhere_whatever_becomes_of_the_server(
    installations: Installations, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with engine_of_new_installations(POSTGRESQL):
        home = new_home(tmp_path)
    server = shared_server()
    config, password, passphrase = home / CONFIG_NAME, home / "db.pass", tmp_path / "passphrase"
    for path, text in ((password, PASSWORD), (passphrase, PASSPHRASE)):
        path.write_text(text)
        path.chmod(0o600)
    good = next(line.split('"')[1] for line in config.read_text().splitlines() if line.startswith("store_url"))
    parts = urlsplit(good)
    nobody = urlunsplit(parts._replace(query=f"host={tmp_path}"))
    no_database = server.url("no-such-database")
    answers: list[str] = []
    with caplog.at_level(logging.DEBUG):
        for url in (good, nobody, no_database):
            config.write_text(with_store(config.read_text(), url=url, password_file="db.pass"))
            for words in ("status", "doctor", "ca list", "audit list", "store check", "certificate list -o json"):
                answer = run_line("--home", str(home), "--passphrase-file", str(passphrase), *words.split())
                answers += [answer.out, answer.err]
        config.write_text(with_store(config.read_text(), url=good, password_file="db.pass"))
        installation = installations.open(home)
        ApiHouse(installation).token("otto", Role.OWNER)
        stored = everything_stored(installation)
        told = repr(installation.app) + repr(installation.app.settings) + repr(vars(installation.app.database))
    assert any("9005" in answer for answer in answers), "no command met the absent server"
    written = "\n".join(
        path.read_bytes().decode("latin-1") for path in home.rglob("*") if path.is_file() and path != password
    )
    for place in (*answers, everything_said(caplog.records), stored, told, written):
        assert PASSWORD not in place


def test_tokens_and_secrets_of_webhooks_are_nowhere_but_in_the_answer_that_made_them(
    installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    api = ApiHouse(installation)
    with caplog.at_level(logging.DEBUG):
        owner = api.token("otto", Role.OWNER)
        key = {"idempotency-key": "once"}
        wish = {"name": "ci", "owner": "otto", "roles": ["viewer"], "labels": [], "life": "1d"}
        made = api.call("POST", "/tokens", token=owner, body=wish, headers=key)
        assert made.status == 201, made.body
        hook = {"name": "hook", "url": "https://hooks.example.com/", "events": ["*"]}
        webhook = api.call("POST", "/webhooks", token=owner, body=hook, headers={"idempotency-key": "twice"})
        assert webhook.status == 201, webhook.body
        secrets = (owner, made.data["secret"], webhook.data["secret"])
        api.call("GET", "/whoami", token=made.data["secret"] + "x")
        answers = [
            api.call("GET", path, token=owner)
            for path in ("/tokens", "/tokens/ci", "/webhooks", "/webhooks/hook", "/audit-records?limit=1000")
        ]
        answers.append(api.call("GET", f"/certificates?access_token={owner}"))
        answers.append(api.call("GET", f"/certificates?token={owner}", token=owner))
        installation.work()
    assert [answer.status for answer in answers] == [200] * 5 + [401, 400]
    stored, said = everything_stored(installation), everything_said(caplog.records)
    for secret in secrets:
        assert secret not in stored and secret not in said
        for answer in answers:
            assert secret not in answer.body.decode()
