"""Planning: which steps, in which order, and what makes two plans the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from changeover import steps
from changeover.plan import finalization, order
from changeover.plan.situation import Situation, Skipped, Target
from changeover.verdict import MigrationFact, Verdict, judge

INSTANT = Verdict(kind="instant", because="nothing changes")


def situation(live: str | None = "7.0.0-aaaaaaaa", **changes: object) -> Situation:
    found = Situation(
        environment="lab",
        app="sample",
        live=live,
        live_version=live.rpartition("-")[0] if live else None,
        app_hosts=("app1", "app2"),
        all_hosts=("app1", "app2", "db"),
        database_hosts=("db",),
        verdict=INSTANT,
    )
    return replace(found, **changes)  # type: ignore[arg-type]


def target(colour: str = "8.0.0-bbbbbbbb") -> Target:
    return Target(
        version="8.0.0",
        colour=colour,
        digest="b" * 64,
        bundle="sample-8.0.0.bundle",
        guide={"switch": ["go-live"], "backup": ["backup"]},
        drain_seconds=20,
    )


def ids(made: order.Plan) -> list[str]:
    return [step.id for step in made.steps]


def test_a_deployment_backs_up_before_it_changes_and_switches_after_the_preview() -> None:
    made = order.deploy(situation(pending=("8.0.0/expand/001_a", "8.0.0/backfill/001_b")), target())

    assert ids(made) == [
        "preflight",
        "lock",
        "backup",
        "rehearse",
        "place",
        "expand",
        "backfill",
        "start",
        "preview",
        "switch",
        "smoke",
        "confirm",
        "drain",
        "unlock",
    ]


def test_what_cannot_run_beside_the_old_one_takes_its_place_behind_a_page() -> None:
    found = situation(pending=("8.0.0/expand/001_a",), strategy="maintenance")

    made = order.deploy(found, target())

    assert ids(made)[4:8] == ["place", "maintenance-on", "stop", "backup-again"]
    undone = {step.id: step.undo for step in made.steps}
    assert undone["switch"] == "rename back, the old colour started again behind the page"
    assert undone["expand"] == (
        "nothing is taken back: the old version is started again on what is there"
    )
    assert ids(made)[8:] == [
        *("expand", "start", "preview", "switch", "smoke", "confirm"),
        *("maintenance-off", "drain", "unlock"),
    ]
    (switch,) = (step for step in made.steps if isinstance(step, steps.Switch))
    (drain,) = (step for step in made.steps if isinstance(step, steps.Drain))
    # Nothing may start the old one beside the new one: no dead-man, and no warm way back.
    assert (switch.deadman_seconds, drain.warm) == (0, False)
    assert made.digest != order.deploy(replace(found, strategy="beside"), target()).digest


def test_the_first_deployment_has_nobody_to_show_a_page_to() -> None:
    made = order.deploy(situation(live=None, strategy="maintenance"), target())

    assert not {"maintenance-on", "stop", "maintenance-off"} & set(ids(made))


def test_what_is_pending_is_rehearsed_on_the_backup_and_nothing_else_is() -> None:
    due = ("8.0.0/expand/001_a", "8.0.0/backfill/001_b")

    made = order.deploy(situation(pending=due), target())
    quiet = order.deploy(situation(), target())
    ended = finalization.finalize(situation(pending=("8.0.0/contract/001_c",)), ())

    (backup,) = (step for step in made.steps if isinstance(step, steps.Backup))
    (rehearsal,) = (step for step in made.steps if isinstance(step, steps.Rehearse))
    assert (backup.keep, rehearsal.phases, rehearsal.migrations) == (
        True,
        ("expand", "backfill"),
        due,
    )
    assert "rehearse" not in ids(quiet)
    assert not next(step for step in quiet.steps if isinstance(step, steps.Backup)).keep
    assert ids(ended) == ["lock", "backup", "rehearse", "contract", "retire", "unlock"]


def test_the_first_deployment_has_nothing_to_back_up_or_drain() -> None:
    made = order.deploy(situation(None), target())

    assert {"backup", "rehearse"}.isdisjoint(ids(made))
    assert "drain" not in ids(made)
    switch = next(step for step in made.steps if step.id == "switch")
    assert switch.undo is None


def test_nothing_is_planned_where_the_colour_is_live_and_nothing_is_pending() -> None:
    assert order.deploy(situation("8.0.0-bbbbbbbb"), target()).empty


def test_contract_migrations_are_not_part_of_a_deployment() -> None:
    made = order.deploy(situation(pending=("8.0.0/contract/001_drop",)), target())

    assert "contract" not in ids(made)


def test_steps_name_the_guide_sections_they_execute() -> None:
    made = order.deploy(situation(), target())
    guides = {step.id: step.guide for step in made.steps}

    assert guides["switch"] == ("go-live",)
    assert guides["backup"] == ("backup",)


def test_equal_plans_have_equal_digests_and_any_difference_shows() -> None:
    made = order.deploy(situation(), target())

    assert made.digest == order.deploy(situation(), target()).digest
    assert made.digest != order.deploy(situation("6.0.0-cccccccc"), target()).digest
    assert made.digest != order.deploy(situation(variables=("+ NEW",)), target()).digest


def fact(
    phase: str,
    *,
    reversible: bool,
    breaks: bool = False,
    lossless: bool | None = None,
    because: str = "",
    takes: str = "",
    lived_with: bool = False,
) -> MigrationFact:
    return MigrationFact(
        id=f"8.0.0/{phase}/001_x",
        phase=phase,
        reversible=reversible,
        breaks=breaks,
        lossless=lossless,
        because=because,
        takes=takes,
        lived_with=lived_with,
    )


@pytest.mark.parametrize(
    ("facts", "kind", "because"),
    [
        ([], "instant", "the schema does not change"),
        ([fact("expand", reversible=False)], "instant", "1 migration only adds"),
        (
            [fact("expand", reversible=False), fact("contract", reversible=True, lossless=True)],
            "revert",
            "8.0.0/contract/001_x is undone before users are sent back: rehearsed",
        ),
        (
            [fact("contract", reversible=True)],
            "restore",
            "8.0.0/contract/001_x was never undone in a rehearsal: the way back is the backup",
        ),
        (
            [fact("contract", reversible=True, lossless=False, because="other rows in users")],
            "restore",
            "8.0.0/contract/001_x (other rows in users) is undone with a loss",
        ),
        ([fact("contract", reversible=False)], "restore", "8.0.0/contract/001_x cannot be undone"),
        ([fact("expand", reversible=False, breaks=True)], "restore", "8.0.0/expand/001_x cannot"),
        (
            [
                fact("expand", reversible=True, breaks=True, lossless=True),
                fact("backfill", reversible=False),
            ],
            "restore",
            "8.0.0/backfill/001_x cannot be undone",
        ),
        (
            [
                fact("expand", reversible=True, breaks=True, lossless=True),
                fact("backfill", reversible=True, lossless=True),
            ],
            "revert",
            "8.0.0/expand/001_x, 8.0.0/backfill/001_x are undone before",
        ),
        (
            [fact("contract", reversible=True, lossless=True, because="it moves columns")],
            "revert",
            (
                "8.0.0/contract/001_x is undone before users are sent back: rehearsed, and nothing is lost;"
                " but it moves columns: an INSERT of the old code that names no columns"
            ),
        ),
        (
            [fact("backfill", reversible=False, takes="DELETE")],
            "restore",
            "8.0.0/backfill/001_x has DELETE: what that takes away or overwrites only the backup",
        ),
        (
            [fact("expand", reversible=True, takes="DELETE", lossless=True)],
            "revert",
            "8.0.0/expand/001_x is undone before users are sent back",
        ),
        (
            [
                fact("expand", reversible=False, takes="DELETE"),
                fact("contract", reversible=True, lossless=True),
            ],
            "restore",
            "8.0.0/expand/001_x has DELETE",
        ),
        (
            [fact("contract", reversible=False, lived_with=True)],
            "instant",
            "the schema does not change",
        ),
    ],
)
def test_the_verdict_follows_what_a_rehearsal_proved(
    facts: list[MigrationFact], kind: str, because: str
) -> None:
    found = judge(facts)

    assert (found.kind, found.because[: len(because)]) == (kind, because)


def test_there_is_no_way_back_from_the_first_deployment() -> None:
    assert judge([], first=True).kind == "refused"


def test_a_host_that_is_left_out_is_fenced_before_anything_else_and_the_digest_covers_it() -> None:
    away: dict[str, Any] = {"app_hosts": ("app1",), "balancers": ("lb1",), "unreachable": "skip"}
    gone = (Skipped(host="app2", why="does not answer"),)

    made = order.deploy(situation(skipped=gone, **away), target())

    assert ids(made)[:3] == ["preflight", "lock", "fence"]
    fence = made.steps[2]
    assert isinstance(fence, steps.Fence)
    assert (fence.hosts, fence.servers) == (("lb1",), ("app2",))
    assert next(step for step in made.steps if step.id == "switch").hosts == ("app1",)
    assert "fence" not in ids(order.deploy(situation(), target()))
    for other in (
        situation(**away),
        situation(skipped=(Skipped(host="app2", why="is fenced"),), **away),
    ):
        assert order.deploy(other, target()).digest != made.digest
