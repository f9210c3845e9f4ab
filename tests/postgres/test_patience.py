"""A statement is stopped where it takes far longer than it was rehearsed, forwards and back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from tests.postgres import moments
from tests.postgres.conftest import connect

from changeover.executors import migrate
from changeover.executors.migrate import failures, patience

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.postgres.conftest import Shop

    from changeover.migrations.records import MigrationFolder

    Release = Callable[..., MigrationFolder]

pytestmark = pytest.mark.postgres
SLOW = "1.0.0/expand/001_slow"
WAITS = """SELECT coalesce(max(extract(epoch FROM clock_timestamp() - state_change)), 0) * 1000
    FROM pg_stat_activity WHERE wait_event = 'virtualxid'"""


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let little be far longer than rehearsed."""
    monkeypatch.setattr(patience, "LEAST_MILLISECONDS", 200.0)


def test_a_statement_that_takes_far_longer_than_rehearsed_is_stopped_and_leaves_nothing(
    shop: Shop, release: Release
) -> None:
    folder = release(
        {"expand/001_slow.sql": "CREATE TABLE made (id int);\nSELECT pg_sleep(5);\nSELECT 1"}
    )
    rehearsed: Any = {(SLOW, "apply", number): 2.0 for number in (1, 2, 3)}

    with pytest.raises(failures.SlowerThanRehearsed) as caught:
        migrate.apply(shop.owner, folder, rehearsed=rehearsed)

    assert caught.value.message.endswith(
        "001_slow.sql:2: SELECT was stopped after 0.2 s; in its rehearsal it took 0.002 s. "
        f"Its transaction was rolled back: nothing of {SLOW} is applied"
    )
    assert caught.value.hint.endswith(
        "the same command goes on, changeover db rehearse 1.0.0 --phase expand measures it anew"
    )
    assert caught.value.exit_code == 1
    assert shop.value("SELECT to_regclass('made') IS NULL") is True
    assert [each.state for each in migrate.status(shop.owner, folder)] == ["pending"]


def test_a_statement_without_a_rehearsal_or_within_its_bound_is_left_alone_and_the_first_is_told(
    shop: Shop, release: Release
) -> None:
    folder = release(
        {
            "expand/001_slow.sql": "SELECT 1;\nSELECT pg_sleep(0.5);\nSELECT pg_sleep(0.5)",
            "expand/002_alone.sql": "DROP INDEX CONCURRENTLY IF EXISTS none",
        }
    )
    told: list[dict[str, object]] = []

    done = migrate.apply(
        shop.owner,
        folder,
        rehearsed={(SLOW, "apply", 1): 2.0, (SLOW, "apply", 3): 300.0},
        report=told.append,
    )

    assert done.done == (SLOW, "1.0.0/expand/002_alone")
    assert [each["says"] for each in told if each["type"] == "unrehearsed"] == [
        (
            f"2 statements of {SLOW}, 1.0.0/expand/002_alone never ran in a rehearsal as written now:"
            " the deadline of 10 min alone bounds what that takes"
        )
    ]


def test_a_statement_that_somebody_else_cancels_is_not_said_to_be_slow(
    shop: Shop, release: Release
) -> None:
    folder = release(
        {"expand/001_slow.sql": "SELECT pg_cancel_backend(pg_backend_pid());\nSELECT pg_sleep(3)"}
    )

    with pytest.raises(failures.DeadlinePassed):
        migrate.apply(shop.owner, folder, rehearsed={(SLOW, "apply", 1): 1.0})


def test_undoing_is_stopped_as_well_and_says_what_is_undone_and_what_is_not(
    shop: Shop, release: Release
) -> None:
    folder = release(
        {
            "contract/001_first.sql": "CREATE TABLE first (id int)",
            "contract/001_first.revert.sql": "CREATE TABLE kept (id int);\n"
            "DROP INDEX CONCURRENTLY IF EXISTS none;\nDROP TABLE first;\nSELECT pg_sleep(5)",
            "contract/002_second.sql": "CREATE TABLE second (id int)",
            "contract/002_second.revert.sql": "DROP TABLE second",
        }
    )
    first, second = "1.0.0/contract/001_first", "1.0.0/contract/002_second"
    migrate.apply(shop.owner, folder)

    with pytest.raises(failures.SlowerThanRehearsed) as caught:
        migrate.revert(shop.owner, folder, rehearsed={(first, "revert", 4): 2.0})

    assert caught.value.message.endswith(
        "001_first.revert.sql:4: SELECT was stopped after 0.2 s; in its rehearsal it took 0.002 s. "
        f"Its transaction was rolled back: {first} is undone by 2 of 4 statements;"
        f" {second} was before, and stays so"
    )
    assert caught.value.hint.endswith(
        "the same command goes on, changeover db revert 1.0.0 measures it anew, and undoes it"
    )
    states = {each.id: each.state for each in migrate.status(shop.owner, folder)}
    assert states == {first: "reverting", second: "reverted"}
    there = "SELECT to_regclass('first') IS NOT NULL AND to_regclass('kept') IS NOT NULL"
    assert shop.value(there) is True


INDEX = {
    "expand/001_table.sql": "CREATE TABLE many (id int); INSERT INTO many SELECT generate_series(1, 20);"
    " CREATE FUNCTION late(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS"
    " $$BEGIN PERFORM pg_sleep(0.1); RETURN n; END$$",
    "expand/002_index.sql": "CREATE INDEX CONCURRENTLY many_late ON many (late(id))",
}
BUILD: Any = ("1.0.0/expand/002_index", "apply", 1)


def test_an_index_that_is_built_far_longer_than_rehearsed_is_stopped_and_leaves_nothing(
    shop: Shop, release: Release
) -> None:
    folder = release(INDEX)

    with pytest.raises(failures.SlowerThanRehearsed, match="What it made is gone"):
        migrate.apply(shop.owner, folder, rehearsed={BUILD: 2.0})

    assert shop.value("SELECT to_regclass('many_late') IS NULL") is True
    assert [each.state for each in migrate.status(shop.owner, folder)] == ["applied", "partial"]
    shop.rows("TRUNCATE many")
    assert migrate.apply(shop.owner, folder, rehearsed={BUILD: 2.0}).done == (BUILD[0],)


def test_what_a_build_waits_for_others_is_not_counted(shop: Shop, release: Release) -> None:
    table, index = INDEX.items()
    migrate.apply(shop.owner, release(dict([table])))
    folder = release({index[0]: index[1].replace("late(id)", "id")})
    with connect(shop.owner) as reader, ThreadPoolExecutor(1) as aside:
        reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM many")
        built = aside.submit(migrate.apply, shop.owner, folder, rehearsed={BUILD: 2.0})
        moments.until(lambda: shop.value(WAITS) > 4 * patience.LEAST_MILLISECONDS)
        reader.execute("COMMIT")
        assert built.result().done == (BUILD[0],)
