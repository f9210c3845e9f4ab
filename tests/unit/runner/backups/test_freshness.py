"""`status` warns where what is written would be lost with the database."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from changeover.executors import backup as backups
from changeover.executors.backup.records import Proof
from changeover.runner import outlook
from changeover.runner.backups import freshness
from changeover.runner.fleet import survey

if TYPE_CHECKING:
    from tests.unit.runner.desk import Desk
    from tests.unit.runner.machines import Machines

NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
CREATE = "changeover backup create --env demo"


def backup(name: str, finished: str, **facts: object) -> dict[str, object]:
    proof: dict[str, object] = dict.fromkeys(Proof.__slots__, "") | {"seconds": {}}
    return {"backup": name, "finished": finished, "proved": proof, **facts}


NEW = backup("new", "2026-03-02T11:00:00Z")
OLD = backup("old", "2026-03-01T11:59:59Z")


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ([NEW, OLD], None),
        ([backup("day", "2026-03-01T12:00:00Z")], None),
        ([OLD], f"warning: the newest proved backup, old, is 1 d 1 s old: {CREATE}"),
        ([NEW | {"proved": None}], f"warning: no proved backup was taken of hello: {CREATE}"),
        (
            [backup("moment", "2026-03-02T11:00:00Z", recovered={"at": "2026-03-02T10:00:00Z"})],
            f"warning: no proved backup was taken of hello: {CREATE}",
        ),
    ],
)
def test_a_backup_that_is_old_or_missing_is_warned_of(
    desk: Desk, machines: Machines, known: list[dict[str, object]], said: str | None
) -> None:
    machines["three"].backups = known

    listed = backups.list_(backups.vault_of(desk.run().fleet))
    found = freshness.warning(listed, "hello", "demo", NOON)

    assert (found and found["says"]) == said


def test_status_ends_with_it_and_a_host_that_is_older_or_lost_fails_nothing(
    desk: Desk, machines: Machines
) -> None:
    states = list(survey.host_states(desk.run().fleet, desk.run().lease_hosts).values())

    machines["three"].older = True
    told = list(outlook.outlook(desk.context, states))
    machines["three"].on("backup_list", machines["three"].lose)
    lost = list(outlook.outlook(desk.context, states))

    assert [each["type"] for each in told[-2:]] == ["way-back", "backup-age"]
    assert told[-1]["says"] == f"warning: no proved backup was taken of hello: {CREATE}"
    assert lost[-1]["says"].endswith("was not seen: three does not answer SSH")


def test_status_tells_what_finishes_a_restore_that_was_cut_off(
    desk: Desk, machines: Machines
) -> None:
    states = list(survey.host_states(desk.run().fleet, desk.run().lease_hosts).values())
    machines["three"].unfinished = {
        "backup": "b1",
        "at": "2026-03-02T03:00:00Z",
        "deployment": "d",
        "live": True,
    }

    (told,) = [
        each
        for each in outlook.outlook(desk.context, states)
        if each["type"] == "restore-unfinished"
    ]

    assert told["command"] == "changeover backup restore b1 --env demo"
    assert "was cut off after b1 had become live" in told["says"]
