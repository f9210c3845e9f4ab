"""A point before each migration: recovered to, it has everything that came before, and nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.postgres.archived import Archived
from tests.postgres.own_server import fresh_shop, running_server

from changeover.agent.backup.store import Store
from changeover.agent.physical import recovery, state
from changeover.agent.postgres.tools import Server as Reached
from changeover.errors import Failed
from changeover.executors import migrate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.postgres.conftest import Shop

    from changeover.migrations.records import MigrationFolder

pytestmark = pytest.mark.postgres

LIVE = {"archive_mode": "on", "archive_command": "cp %p ../archive/%f"}
EXPAND = {f"expand/00{number}_t{number}.sql": f"CREATE TABLE t{number} ()" for number in (1, 2, 3)}


def test_a_point_has_all_before_its_migration_and_nothing_of_it(
    release: Callable[..., MigrationFolder], tmp_path: Path
) -> None:
    with running_server(settings=LIVE) as live, fresh_shop(live) as shop:
        reached = Reached(socket=str(live.directory), port=live.port)
        archive = Archived(stanza="main", repository="here", apart=False, server=reached, live=live)
        archive.log.mkdir()
        archive.log.chmod(0o777)
        archive.back_up()
        store = Store(root=tmp_path / "shop", app="shop", database=shop.owner.name, server=reached)
        store.root.mkdir()

        def name(migration: str, _: str) -> None:
            state.mark(store, migration.replace("/", "-"), "one", migration)

        migrate.apply(shop.owner, release(EXPAND), before=name)
        points = state.points(store)
        recovered = recovery.drill(store, archive, points[1]["name"])

    assert [point["before"] for point in points] == [f"1.0.0/expand/00{n}_t{n}" for n in (1, 2, 3)]
    assert recovered["migrations"] == {"applied": 1, "unfinished": 0}


def test_what_is_gone_on_with_has_its_point_already(
    shop: Shop, release: Callable[..., MigrationFolder]
) -> None:
    heard: list[tuple[str, str]] = []
    halting = {
        **EXPAND,
        "expand/002_t2.sql": "CREATE TABLE t2 (); CREATE INDEX CONCURRENTLY t2_id ON t2 (id)",
    }

    def hear(migration: str, direction: str) -> None:
        heard.append((migration.rpartition("_")[2], direction))

    with pytest.raises(Failed):
        migrate.apply(shop.owner, release(halting), before=hear)
    migrate.apply(shop.owner, release(EXPAND), before=hear)

    assert heard == [("t1", "apply"), ("t2", "apply"), ("t3", "apply")]
