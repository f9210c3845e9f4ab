"""Servers that migrations are not trusted to, and how each is refused."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from tests.postgres.moments import until
from tests.postgres.own_server import fresh_shop, running_server

from changeover.executors import migrate
from changeover.executors.migrate import failures, server
from changeover.executors.preflight import Finding, Server, database_findings
from changeover.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.postgres.conftest import Shop

    from changeover.inventory import Environment
    from changeover.migrations.records import MigrationFolder

    Release = Callable[..., MigrationFolder]

pytestmark = pytest.mark.postgres


def test_a_good_server_says_what_it_is(shop: Shop) -> None:
    facts = migrate.probe(shop.owner)

    assert facts.version.startswith("15.")
    assert facts.number >= 150000
    assert facts.primary
    assert not facts.ssl
    assert facts.size_bytes > 1_000_000


def test_a_log_that_its_archive_does_not_take_is_told_before_a_deployment() -> None:
    settings = {"archive_mode": "on", "archive_command": "test -e taken"}  # in the data's folder
    environment = cast(
        "Environment",
        SimpleNamespace(name="shop", hosts_in=lambda _: [SimpleNamespace(name="db1")]),
    )

    def told() -> list[Finding]:
        found = migrate.probe(shop.owner)
        said = Server(version=found.version, size_bytes=1, unarchived=found.unarchived)
        return [each for each in database_findings(environment, said) if each.id != "database"]

    with running_server(settings=settings) as archiving, fresh_shop(archiving) as shop:
        assert told() == []
        archiving.run("SELECT pg_switch_wal()")
        until(told)
        (found,) = told()
        assert (found.id, found.status, found.host) == ("log-archive", "warn", "db1")
        assert "000000010000000000000001 is not taken" in found.message

        (archiving.data / "taken").touch()
        # the archiver rests for a minute, and is woken by a file more
        archiving.run("SELECT pg_create_restore_point('more'), pg_switch_wal()")
        until(lambda: not told())


def test_a_wrong_password_is_refused_without_being_shown(shop: Shop) -> None:
    wrong = dataclasses.replace(shop.owner, password=Secret("not-the-password"))

    with pytest.raises(failures.DatabaseRefused) as caught:
        migrate.probe(wrong)

    told = str(caught.value.as_event())
    assert caught.value.exit_code == 6
    assert f"{shop.name} on test-db refuses {shop.owner.user}" in told
    assert "password authentication failed" in told
    assert "not-the-password" not in told


def test_an_unknown_database_is_refused(shop: Shop) -> None:
    with pytest.raises(failures.DatabaseRefused) as caught:
        migrate.probe(dataclasses.replace(shop.owner, name="elsewhere"))
    assert 'database "elsewhere" does not exist' in str(caught.value.cause)


def test_a_closed_port_is_told_apart(shop: Shop, unused_port: int) -> None:
    with pytest.raises(failures.DatabaseUnreachable) as caught:
        migrate.probe(dataclasses.replace(shop.owner, port=unused_port))
    assert caught.value.exit_code == 6
    assert "Connection refused" in str(caught.value.cause)


def test_an_old_server_is_refused(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "OLDEST", 160000)
    with pytest.raises(failures.ServerTooOld, match=r"runs PostgreSQL 15\..*; 16 is the oldest"):
        migrate.probe(shop.owner)


def test_an_owner_without_rights_is_told_so(shop: Shop, release: Release) -> None:
    folder = release({"expand/001_one.sql": "SELECT 1"})
    with pytest.raises(failures.LedgerUnusable, match="cannot make the ledger") as caught:
        migrate.apply(shop.app, folder)
    assert "permission denied for database" in str(caught.value.cause)


def test_a_ledger_of_a_later_version_is_left_alone(shop: Shop, release: Release) -> None:
    folder = release({"expand/001_one.sql": "SELECT 1"})
    migrate.apply(shop.owner, folder)
    shop.rows("COMMENT ON SCHEMA changeover IS 'ledger format 2'")
    with pytest.raises(failures.LedgerUnusable, match="a format this version does not know"):
        migrate.apply(shop.owner, folder)
