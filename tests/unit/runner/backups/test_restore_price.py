"""What a restore would leave behind, told by `plan`, `deploy`, `finalize` and `status` before anybody decides."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.runner.machine import NEW, OLD

from changeover.executors.backup.records import Proof
from changeover.plan import finalization
from changeover.plan import order as planning
from changeover.plan.situation import Situation, Target
from changeover.runner import outlook
from changeover.runner.backups import restore_price
from changeover.runner.deployment import finish, stages
from changeover.runner.fleet import survey
from changeover.verdict import Verdict

if TYPE_CHECKING:
    from tests.unit.runner.desk import Desk
    from tests.unit.runner.machines import Machines

    from changeover.estimate import Estimate

RESTORE = Verdict(kind="restore", because="it takes away")
INSTANT = Verdict(kind="instant", because="it only adds")
CONTRACT = "3.0.0/contract/001_names"
ESTIMATE: dict[str, Any] = {
    "since": "2026-03-01T00:00:00Z",
    "seconds": 7200.0,
    "wal_bytes": 5_000_000,
    "uncounted": "",
    "rows_written": 26,
    "rows_deleted": 3,
    "tables": {
        "public.orders": {"inserted": 4, "updated": 0, "deleted": 3, "is": "there"},
        "public.users": {"inserted": 2, "updated": 20, "deleted": 0, "is": "new"},
    },
}
SITUATION = Situation(
    environment="demo",
    app="hello",
    live=OLD,
    live_version="1.0.0",
    app_hosts=("one", "two"),
    all_hosts=("one", "two", "three"),
    database_hosts=("three",),
    verdict=RESTORE,
)
TARGET = Target(
    version="3.0.0",
    colour=NEW,
    digest="b" * 64,
    bundle="hello-3.0.0.bundle",
    guide={},
    drain_seconds=20,
)


def backup(name: str, finished: str, *, proved: bool = True) -> dict[str, Any]:
    proof: dict[str, Any] = dict.fromkeys(Proof.__slots__, "") | {"seconds": {}}
    return {"backup": name, "finished": finished, "proved": proof if proved else None}


@pytest.fixture(autouse=True)
def backups(machines: Machines) -> None:
    """Have three backups: one from before the migrations, and a proved one from after them."""
    machines["three"].estimate = ESTIMATE
    machines["three"].backups = [
        backup("newest", "2026-03-09T00:00:00Z", proved=False),
        backup("later", "2026-03-05T00:00:00Z"),
        backup("earlier", "2026-02-05T00:00:00Z"),
    ]


def planned(desk: Desk, **found: object) -> planning.Plan:
    situation = dataclasses.replace(SITUATION, **found)  # type: ignore[arg-type]
    return planning.deploy(restore_price.priced(desk.run(), situation), TARGET)


def status(desk: Desk, machines: Machines) -> dict[str, Any]:
    """Return what status tells of the way back once the contract migration has run."""
    machines.contracted = [CONTRACT]
    states = survey.host_states(desk.run().fleet, desk.run().lease_hosts).values()
    told = outlook.outlook(desk.context, list(states))
    return next(each for each in told if each["type"] == "way-back")


def test_a_plan_whose_way_back_is_a_restore_says_what_that_comes_to(desk: Desk) -> None:
    made = planned(desk)

    lines = [
        "way back: restore: it takes away",
        "  a restore leaves behind what is written after the backup that this deployment makes",
        "  in the 2 h since later the server counted 26 rows inserted or changed, 3 rows deleted, migrations' own among them",
        "    public.users: 2 inserted, 20 changed (made since)",
        "    public.orders: 4 inserted, 3 deleted",
        "  5.0 MB of log were written since later, by the whole server: about 2.5 MB an hour",
        "  so an hour later a restore would leave about 13 rows behind",
    ]
    assert "\n".join(lines) in stages.words(made)
    assert "\n".join(f"  {line}" for line in lines) in stages.brief(made)
    told = made.as_json()["situation"]["price"]
    assert (told["backup"], told["rows_written"], told["rows_deleted"]) == ("later", 26, 3)
    assert (told["rows_an_hour"], told["wal_bytes_an_hour"]) == (13, 2_500_000)
    assert told["tables"][0]["table"] == "public.orders"
    assert made.digest == planning.deploy(SITUATION, TARGET).digest, "writes are no drift"


def test_where_only_finalize_makes_it_a_restore_it_stands_with_finalize(desk: Desk) -> None:
    said = stages.words(planned(desk, verdict=INSTANT, afterwards=RESTORE))

    assert (
        "after finalize: restore: it takes away\n"
        "  a restore leaves behind what is written after the backup that finalize makes\n"
    ) in said


def test_nobody_is_asked_where_no_way_back_is_a_restore(desk: Desk, machines: Machines) -> None:
    for kind in ("instant", "refused"):
        afterwards = RESTORE if kind == "refused" else INSTANT
        verdict = Verdict(kind=kind, because="")
        made = planned(desk, verdict=verdict, afterwards=afterwards)
        assert made.situation.price is None

    assert machines.order == []


def test_finalize_says_it_before_the_question(desk: Desk) -> None:
    priced = restore_price.priced(desk.run(), dataclasses.replace(SITUATION, pending=(CONTRACT,)))
    made = finalization.finalize(priced, (OLD,), "finalize")

    said = finish.words(stages.Stage(run=desk.run(), plan=made))

    assert said.endswith(
        "  way back: restore: it takes away\n"
        "    a restore leaves behind what is written after the backup that finalize makes\n"
        "    in the 2 h since later the server counted 26 rows inserted or changed, 3 rows deleted, migrations' own among them\n"
        "      public.users: 2 inserted, 20 changed (made since)\n"
        "      public.orders: 4 inserted, 3 deleted\n"
        "    5.0 MB of log were written since later, by the whole server: about 2.5 MB an hour\n"
        "    so an hour later a restore would leave about 13 rows behind"
    )


def test_status_tells_the_backup_from_before_its_price_and_the_command(
    desk: Desk, machines: Machines
) -> None:
    event = status(desk, machines)

    assert (event["kind"], event["price"]["backup"], event["price"]["rows_written"]) == (
        "restore",
        "earlier",
        26,
    )
    assert event["command"] == "changeover rollback --to 1.0.0 --restore-db earlier --env demo"
    assert event["says"].splitlines()[1:] == [
        (
            "  going back to earlier (2 h old) leaves at most about 26 rows behind, inserted or changed since by the"
            " server's counts, migrations' own among them, and brings 3 deleted ones back; 5.0 MB of log were"
            " written by the whole server"
        ),
        "    public.users: 2 inserted, 20 changed (made since)",
        "    public.orders: 4 inserted, 3 deleted",
        "  changeover rollback --to 1.0.0 --restore-db earlier --env demo",
        "  changeover backup price earlier --env demo counts the rows one by one",
    ]

    for name in ("one", "two"):
        machines[name].placed = [NEW]
    assert status(desk, machines)["command"] == (
        "changeover backup restore earlier --env demo, then changeover rollback --to 1.0.0 --env demo"
    )


def test_a_status_without_a_backup_from_before_says_so_and_where_another_moment_is(
    desk: Desk, machines: Machines
) -> None:
    machines["three"].backups.pop()

    event = status(desk, machines)

    assert (event["command"], event["price"]["backup"]) == (None, None)
    assert event["says"].endswith(
        "\n  what a restore would leave behind is not known: there is no proved backup from before its"
        " migrations"
    )
    variables = desk.project.variables
    variables.write_text(f"{variables.read_text()}\nchangeover_physical_backups: true\n")
    said = status(desk, machines)["says"]
    assert said.endswith("changeover backup restore --at NAME --env demo")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("fenced", "the agent of three is older: changeover provision --env demo --limit three"),
        ("query-failed", "three: the database refused a statement"),
    ],
)
def test_what_keeps_the_price_from_being_told_is_told_in_its_place(
    desk: Desk, machines: Machines, word: str, said: str
) -> None:
    message = "the database refused a statement"
    machines["three"].on("backup_estimate", lambda: machines["three"].refuse(word, message))

    event = status(desk, machines)

    assert (event["kind"], event["price"]["rows_written"]) == ("restore", None)
    assert f"how many rows is not known: {said}" in event["says"]
    assert event["command"].endswith("--restore-db earlier --env demo"), "the way back is known"
    assert f"comes to is not known: {said}" in stages.words(planned(desk))


def test_a_database_host_that_is_lost_on_the_way_fails_no_status_and_no_plan(
    desk: Desk, machines: Machines
) -> None:
    machines["three"].on("backup_list", machines["three"].lose)

    event = status(desk, machines)

    assert event["kind"] == "restore"
    assert event["says"].endswith("is not known: three does not answer SSH")
    assert "is not known: three does not answer SSH" in stages.words(planned(desk))


def estimate(desk: Desk, machines: Machines, **facts: object) -> Estimate:
    machines["three"].estimate = ESTIMATE | facts
    return restore_price.ahead(desk.run())


def test_a_server_that_has_no_counts_tells_its_log_alone(desk: Desk, machines: Machines) -> None:
    none: dict[str, object] = {
        "uncounted": "counts-reset",
        "rows_written": None,
        "rows_deleted": None,
        "tables": {},
    }

    found = estimate(desk, machines, **none)

    assert found.ahead("finalize") == (
        (
            "a restore leaves behind what is written after the backup that finalize makes; how many rows that"
            " comes to is not known: the server has forgotten what it counted before later: its statistics"
            " were reset, or it crashed"
        ),
        "5.0 MB of log were written since later, by the whole server: about 2.5 MB an hour",
    )
    assert "; 5.0 MB of log were written by the whole server" in found.behind()


def test_what_minutes_tell_is_not_said_of_an_hour(desk: Desk, machines: Machines) -> None:
    found = estimate(desk, machines, seconds=599.0)

    assert (found.rows_an_hour, found.wal_bytes_an_hour) == (None, None)
    assert found.ahead("finalize")[-1] == (
        "that is too short a time to tell what it comes to in an hour"
    )


def test_the_least_written_of_many_tables_are_counted(desk: Desk, machines: Machines) -> None:
    facts = {"inserted": 1, "updated": 0, "deleted": 0, "is": "there"}
    tables = {f"public.t{number}": facts for number in range(8)}
    gone = {"public.old": facts | {"inserted": 0, "deleted": 9, "is": "gone"}}

    lines = list(estimate(desk, machines, tables=tables | gone).by_table())

    assert (lines[0], lines[-1], len(lines)) == (
        "public.old: gone, with 9 rows",
        "and 4 more tables",
        6,
    )
