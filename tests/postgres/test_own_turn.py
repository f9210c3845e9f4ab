"""The ledger's row of an app's own migrator, and the data checks that it is held to."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from changeover.executors import migrate
from changeover.executors.migrate.failures import RunnerBusy, RunnerFenced
from changeover.migrations import checks_file

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres.conftest import Shop

    from changeover.migrations.checks import Checks

pytestmark = pytest.mark.postgres
BEGUN = migrate.Begun(
    release="2.0.0",
    bundle="b1",
    command=("npm", "run", "migrate"),
    schema_before="s1",
    backup="one",
    undo_proved=True,
    deployment="one",
    host="app1",
)
FAILED = migrate.Ended(
    release="2.0.0", state="failed", how="executed", exit=1, seconds=2.5, schema_after="s2"
)


@pytest.fixture
def checks(tmp_path: Path) -> Checks:
    path = tmp_path / "migrator.checks.yml"
    text = "rows: {counted: 1}\nnot_null: [counted.name]\n"
    return checks_file.read(text, path)


def test_a_run_that_goes_on_with_one_that_failed_keeps_its_beginning(shop: Shop) -> None:
    assert migrate.own_rows(shop.owner) == {}
    with migrate.own_turn(shop.owner, fence=3) as turn:
        turn.begin(BEGUN)
        turn.end(FAILED)
    again = dataclasses.replace(
        BEGUN, bundle="b2", schema_before="s2", backup="two", deployment="two"
    )
    with migrate.own_turn(shop.owner, fence=4) as turn:
        turn.begin(again)
        under_way = migrate.own_rows(shop.owner)["2.0.0"]
        turn.end(dataclasses.replace(FAILED, state="applied", exit=0, schema_after="s3"))
    found = migrate.own_rows(shop.owner)["2.0.0"]

    assert (under_way.undo_proved, found.undo_proved) == (False, False)
    assert (under_way.state, under_way.exit, under_way.schema_after) == ("running", None, "")
    assert (found.schema_before, found.backup, found.schema_after) == ("s1", "one", "s3")
    assert (found.state, found.exit, found.bundle, found.deployment) == ("applied", 0, "b2", "two")


def test_a_run_that_is_taken_over_keeps_the_proof_of_its_rehearsal(shop: Shop) -> None:
    with migrate.own_turn(shop.owner, fence=3) as turn:
        turn.begin(BEGUN)
        turn.begin(dataclasses.replace(BEGUN, schema_before="half"))

    assert migrate.own_rows(shop.owner)["2.0.0"].undo_proved is True


def test_another_build_of_what_stands_keeps_its_beginning_until_it_is_undone(shop: Shop) -> None:
    again = dataclasses.replace(
        BEGUN, bundle="b2", schema_before="s2", backup="two", deployment="two"
    )
    seen = []
    with migrate.own_turn(shop.owner, fence=3) as turn:
        assert not turn.found(again)
        turn.begin(BEGUN)
        turn.end(dataclasses.replace(FAILED, state="applied", exit=0))
        assert turn.found(again)
        seen.append(migrate.own_rows(shop.owner)["2.0.0"])
        for state in ("applied", "undone"):
            turn.begin(again)
            turn.end(dataclasses.replace(FAILED, state=state))
            seen.append(migrate.own_rows(shop.owner)["2.0.0"])
        turn.begin(again)
        seen.append(migrate.own_rows(shop.owner)["2.0.0"])

    assert (seen[0].bundle, seen[0].deployment, seen[0].how) == ("b2", "two", "executed")
    assert (seen[0].schema_after, seen[0].exit) == ("s2", 0)
    begun = [(each.schema_before, each.backup) for each in seen]
    assert begun == [("s1", "one"), ("s1", "one"), ("s1", "one"), ("s2", "two")]
    assert seen[0].started_at == seen[2].started_at < seen[3].started_at


def test_while_it_runs_nobody_else_migrates_and_a_newer_deployment_ends_its_right(
    shop: Shop,
) -> None:
    with migrate.own_turn(shop.owner, fence=3) as turn:
        turn.begin(BEGUN)
        with (
            pytest.raises(RunnerBusy),
            migrate.own_turn(shop.owner, fence=4, deadline_seconds=0),
        ):
            pass
        shop.rows("UPDATE changeover.fence SET number = 4, runner = 'newer'")
        with pytest.raises(RunnerFenced):
            turn.end(FAILED)

    assert migrate.own_rows(shop.owner)["2.0.0"].state == "running"


def test_what_compares_with_before_is_left_out_where_others_write(
    shop: Shop, checks: Checks
) -> None:
    shop.rows("CREATE TABLE counted (name text)")
    shop.rows(f"ALTER TABLE counted OWNER TO {shop.owner.user}")
    with migrate.own_turn(shop.owner) as turn:
        before = turn.note(checks)
        shop.rows("INSERT INTO counted VALUES ('one'), (NULL)")
        alone, beside = turn.take(checks, before), turn.take(checks, None)

    assert [(str(each.check), each.green) for each in beside] == [("not_null counted.name", False)]
    assert [each.green for each in alone] == [False, False]
    assert [line.partition(": ")[2] for line in migrate.own_red(checks, alone)] == [
        "rows counted: +1: 0 before, 2 after, +2",
        "not_null counted.name: 1 row with NULL",
    ]


def test_a_database_is_full_by_the_rows_of_others_alone(shop: Shop) -> None:
    shop.rows("CREATE TABLE legacy (name text)")
    seen = [migrate.full(shop.owner)]
    with migrate.own_turn(shop.owner) as turn:
        seen.append(migrate.full(shop.owner))
        shop.rows("INSERT INTO legacy VALUES ('one')")
        seen.append(migrate.full(shop.owner))
        turn.begin(BEGUN)
        seen.append(migrate.full(shop.owner))

    assert seen == [False, False, True, False]
