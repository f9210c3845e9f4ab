"""Migrations tried on a clone of a proved backup, while the live database is not touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.postgres.backup.rehearsing import Rehearsing, rehearsing

from changeover.agent.failure import ActionError
from changeover.executors import migrate
from changeover.runner.rehearse import rehearsal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.postgres.backup.conftest import Site

__all__ = ["rehearsing"]
pytestmark = pytest.mark.postgres
NOTE = "ALTER TABLE people ADD COLUMN note text"
NOTE_BACK = "ALTER TABLE people DROP COLUMN note"
NAMED_BY_ROWS = """
DO $$ BEGIN EXECUTE 'CREATE TABLE made_' || (SELECT count(*) FROM people) || ' (id int)'; END $$;
DELETE FROM people WHERE id = 1 + (SELECT min(id) FROM people)"""
NAMED_BACK = """
DO $$ BEGIN EXECUTE (SELECT 'DROP TABLE ' || relname FROM pg_class WHERE relname LIKE 'made_%'); END $$"""


def only_live(site: Site) -> bool:
    return site.databases() == {site.shop.name}


def test_what_is_rehearsed_is_told_and_timed_and_the_live_database_is_as_it_was(
    site: Site, rehearsing: Callable[[dict[str, str]], Rehearsing]
) -> None:
    deployment = rehearsing(
        {
            "expand/001_note.sql": NOTE,
            "expand/001_note.revert.sql": NOTE_BACK,
            "expand/002_wide.sql": "ALTER TABLE people ALTER COLUMN age TYPE bigint",
            "expand/002_wide.revert.sql": "ALTER TABLE people ALTER COLUMN age TYPE int",
            "expand/003_made.sql": "CREATE TABLE made (id int)",
            "expand/003_made.revert.sql": "DROP TABLE made",
            "backfill/001_note.sql": "UPDATE people SET note = name",
        }
    )
    before = site.shop.rows("SELECT * FROM people ORDER BY id")

    says = deployment.rehearse()

    told = [event["says"] for event in deployment.events]
    assert "ACCESS EXCLUSIVE on people (500 rows, 0.1 MB) for" in told[0]
    assert told[0].endswith("readers and writers wait")
    assert told[1].endswith("writes people anew")
    assert "made" not in told[2].partition("took")[2]
    assert told[3].startswith("1.0.0/backfill/001_note 1/1 UPDATE took")
    assert [event["migration"] for event in deployment.events] == [
        "1.0.0/expand/001_note",
        "1.0.0/expand/002_wide",
        "1.0.0/expand/003_made",
        "1.0.0/backfill/001_note",
    ]
    known = migrate.recall(site.shop.owner)
    assert {place for place in known.measured if place[1] == "apply"} == {
        (event["migration"], "apply", 1) for event in deployment.events
    }
    assert {place for place in known.measured if place[1] == "revert"} == {
        (event["migration"], "revert", 1) for event in deployment.events[:3]
    }
    assert {name: undo.lossless for name, undo in known.undone.items()} == {
        event["migration"]: True for event in deployment.events[:3]
    }
    assert known.measured[("1.0.0/expand/001_note", "apply", 1)].locks[0].rows == 500
    assert [event["says"] for event in deployment.noted if event["type"] == "advice"] == [
        "second opinion: 2 notes of no weight here; plan shows all"
    ]
    assert "4 migrations in" in says
    assert "expand also backwards and forwards again" in says
    assert "backfill was not tried backwards: 1.0.0/backfill/001_note has no revert" in says
    assert site.shop.rows("SELECT * FROM people ORDER BY id") == before
    assert only_live(site)


@pytest.mark.parametrize(
    ("files", "message", "cause"),
    [
        (
            {"expand/001_note.sql": "ALTER TABLE people ADD COLUMN name int"},
            "001_note.sql:1: ALTER TABLE failed",
            "42701",
        ),
        (
            {
                "expand/001_note.sql": f"{NOTE};\nCREATE TABLE left_behind (id int)",
                "expand/001_note.revert.sql": NOTE_BACK,
            },
            "undoing expand does not bring the schema back",
            "+CREATE TABLE public.left_behind",
        ),
        (
            {
                "expand/001_note.sql": NOTE,
                "expand/001_note.verify.sql": "SELECT count(*) = 0 FROM people",
            },
            "came out wrong",
            "False",
        ),
        (
            {"expand/001_made.sql": NAMED_BY_ROWS, "expand/001_made.revert.sql": NAMED_BACK},
            "expand makes another schema the second time",
            "+CREATE TABLE public.made_499",
        ),
    ],
)
def test_what_fails_in_the_rehearsal_never_meets_the_live_database(
    site: Site,
    rehearsing: Callable[[dict[str, str]], Rehearsing],
    files: dict[str, str],
    message: str,
    cause: str,
) -> None:
    deployment = rehearsing(files)

    with pytest.raises(rehearsal.RehearsalRed) as caught:
        deployment.rehearse()

    assert caught.value.exit_code == 6
    assert caught.value.message.startswith("in the rehearsal: ")
    assert message in caught.value.message
    assert cause in str(caught.value.cause)
    assert "the live database was not touched" in caught.value.hint
    assert migrate.recall(site.shop.owner).measured == {}
    assert (
        site.shop.value(
            "SELECT count(*) FROM information_schema.columns WHERE table_name = 'people'"
        )
        == 3
    )
    assert only_live(site)


def test_undoing_that_loses_rows_is_told_and_remembered(
    site: Site, rehearsing: Callable[[dict[str, str]], Rehearsing]
) -> None:
    deployment = rehearsing(
        {
            "contract/001_name.sql": "ALTER TABLE people DROP COLUMN name",
            "contract/001_name.revert.sql": "ALTER TABLE people ADD COLUMN name text",
        }
    )

    says = deployment.rehearse("contract")

    assert "undoing contract leaves other rows in public.people" in says
    assert "leaves columns in another order in public.people" in says
    found = migrate.recall(site.shop.owner).undone["1.0.0/contract/001_name"]
    assert (found.lossless, found.because) == (False, "it leaves other rows in public.people")


def test_undoing_that_begins_to_count_anew_is_told_and_remembered(
    site: Site, rehearsing: Callable[[dict[str, str]], Rehearsing]
) -> None:
    identity = "ALTER TABLE people ALTER COLUMN id"
    deployment = rehearsing(
        {
            "contract/001_id.sql": f"{identity} DROP IDENTITY",
            "contract/001_id.revert.sql": f"{identity} ADD GENERATED ALWAYS AS IDENTITY",
        }
    )

    says = deployment.rehearse("contract")

    assert "undoing contract sets back public.people_id_seq" in says
    assert "leaves other rows" not in says
    found = migrate.recall(site.shop.owner).undone["1.0.0/contract/001_id"]
    assert (found.lossless, found.because) == (False, "it sets back public.people_id_seq")


def test_undoing_that_only_moves_a_column_loses_nothing_and_is_told(
    site: Site, rehearsing: Callable[[dict[str, str]], Rehearsing]
) -> None:
    deployment = rehearsing(
        {
            "contract/001_age.sql": "CREATE TABLE kept AS SELECT id, age FROM people;"
            " ALTER TABLE people DROP COLUMN name, DROP COLUMN age",
            "contract/001_age.revert.sql": "ALTER TABLE people ADD COLUMN age int,"
            " ADD COLUMN name text; UPDATE people SET name = 'person ' || id, age = id;"
            " DROP TABLE kept",
        }
    )

    deployment.rehearse("contract")

    found = migrate.recall(site.shop.owner).undone["1.0.0/contract/001_age"]
    moved = "it leaves columns in another order in public.people"
    assert (found.lossless, found.because) == (True, moved)


def test_rows_that_go_on_the_way_forward_are_counted(
    rehearsing: Callable[[dict[str, str]], Rehearsing],
) -> None:
    deployment = rehearsing({"backfill/001_old.sql": "DELETE FROM people WHERE age > 490"})

    assert "backfill leaves 10 rows fewer in public.people" in deployment.rehearse()


def test_a_clone_that_was_left_is_dropped_by_the_next_rehearsal(
    site: Site, rehearsing: Callable[[dict[str, str]], Rehearsing]
) -> None:
    deployment = rehearsing({"expand/001_note.sql": NOTE, "expand/001_note.revert.sql": NOTE_BACK})
    left = site.act("backup_rehearsal", backup="one")
    assert (left["restored"], left["database"] in site.databases()) == (False, True)

    deployment.rehearse()

    assert only_live(site)
    with pytest.raises(ActionError, match="clone of one is gone"):
        site.act("backup_rehearsed", backup="one")


def test_a_backup_whose_restored_database_is_gone_is_restored_for_the_rehearsal(
    site: Site, rehearsing: Callable[[dict[str, str]], Rehearsing]
) -> None:
    deployment = rehearsing({"expand/001_note.sql": NOTE, "expand/001_note.revert.sql": NOTE_BACK})
    site.act("backup_rehearsal_end", backup="one")
    assert only_live(site)

    made = site.act("backup_rehearsal", backup="one")
    assert made["restored"]

    assert "1 migration in" in deployment.rehearse()
    assert only_live(site)
