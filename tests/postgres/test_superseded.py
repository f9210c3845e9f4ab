"""Who takes a lease over has the ledger refuse the runner before, statement by statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from changeover.executors import migrate
from changeover.executors.migrate import failures

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.postgres.conftest import Shop

    from changeover.migrations.records import MigrationFolder

    Release = Callable[..., MigrationFolder]

pytestmark = pytest.mark.postgres

NUMBERS = "CREATE TABLE numbers AS SELECT n AS id, 0 AS seen FROM generate_series(1, 1000) AS n"
KEY = "ALTER TABLE numbers ADD PRIMARY KEY (id)"
SEEN = """-- changeover: batch table=numbers key=id size=100
UPDATE numbers SET seen = 1 WHERE id BETWEEN $1 AND $2 AND pg_sleep(0.003) IS NOT NULL"""


def fenced(mine: int) -> str:
    return rf"number 9\) than this one \({mine}\)"


def test_a_runner_is_refused_at_its_next_statement_and_nobody_waits_for_its_turn(
    shop: Shop, release: Release
) -> None:
    folder = release({"expand/001_numbers.sql": NUMBERS, "expand/002_key.sql": KEY})

    def steal(event: dict[str, object]) -> None:
        if event["type"] == "migration-applied":
            migrate.supersede(shop.owner, 9)

    with pytest.raises(failures.RunnerFenced, match=fenced(7)):
        migrate.apply(shop.owner, folder, fence=7, report=steal)

    assert shop.value("SELECT count(*) FROM pg_index WHERE indrelid = 'numbers'::regclass") == 0
    with pytest.raises(failures.RunnerFenced, match=fenced(8)):
        migrate.apply(shop.owner, folder, fence=8)
    migrate.apply(shop.owner, folder, fence=9)
    assert shop.value("SELECT count(*) FROM pg_index WHERE indrelid = 'numbers'::regclass") == 1


def test_a_backfill_is_refused_at_its_next_batch(shop: Shop, release: Release) -> None:
    migrate.apply(
        shop.owner, release({"expand/001_numbers.sql": NUMBERS, "expand/002_key.sql": KEY})
    )
    folder = release({"backfill/001_seen.sql": SEEN})
    seen: list[int] = []

    def steal(event: dict[str, object]) -> None:
        if event["type"] == "batch" and not seen:
            seen.append(int(str(shop.value("SELECT count(*) FROM numbers WHERE seen = 1"))))
            migrate.supersede(shop.owner, 9)

    with pytest.raises(failures.RunnerFenced, match=fenced(7)):
        migrate.apply(shop.owner, folder, fence=7, phases=("backfill",), report=steal)

    assert seen
    assert shop.value("SELECT count(*) FROM numbers WHERE seen = 1") == seen[0] < 1000


def test_a_statement_that_does_not_end_is_told_and_not_waited_for(
    shop: Shop, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate.apply(shop.owner, release({"expand/001_numbers.sql": NUMBERS}), fence=7)
    monkeypatch.setattr("changeover.executors.migrate.superseding.TRIES", 1)
    with psycopg.connect(**shop.owner.parameters()) as at_work:  # type: ignore[arg-type]
        at_work.execute("SELECT FROM changeover.fence FOR SHARE")

        with pytest.raises(failures.ConnectionLost, match="kept it waiting"):
            migrate.supersede(shop.owner, 9)

    assert migrate.fence(shop.owner) == 7
