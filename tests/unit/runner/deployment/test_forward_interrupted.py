"""A deployment that is interrupted, resumed, overtaken or beaten to the lease: what is told, what stays."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest
from tests.unit.runner.deploying import deploy, on_new, plan
from tests.unit.runner.desk import failed
from tests.unit.runner.machine import NEW, OLD

from changeover.errors import CheckRed, Interrupted
from changeover.runner.deployment import forward, stages
from changeover.runner.lease import takeover
from changeover.runner.rollback import back

if TYPE_CHECKING:
    from tests.unit.runner.desk import Desk
    from tests.unit.runner.machine import Machine
    from tests.unit.runner.machines import Machines


@pytest.fixture(autouse=True)
def old_is_live(machines: Machines) -> None:
    machines.before_deployment()


@pytest.mark.parametrize(
    ("action", "says", "hint"),
    [
        ("start", "interrupted at start: 1.0.0 serves", "changeover resume --env demo goes on"),
        (
            "switch",
            (
                "interrupted at switch: users may be on 3.0.0, which is not confirmed; "
                "each host goes back to 1.0.0 by itself within 120 s"
            ),
            "changeover abort --env demo takes it back",
        ),
        (
            "confirm",
            (
                "interrupted at confirm: users may be on 3.0.0; a host that heard the confirmation "
                "stays on 3.0.0, any other goes back to 1.0.0 by itself within 120 s"
            ),
            "changeover abort --env demo takes it back",
        ),
        (
            "prune",
            "interrupted at drain: 3.0.0 serves and is confirmed",
            "changeover rollback --env demo takes it back",
        ),
    ],
)
def test_an_interrupt_says_what_serves_and_what_goes_on(
    desk: Desk, machines: Machines, action: str, says: str, hint: str
) -> None:
    machines["one"].on(action, interrupt)

    error = failed(lambda: deploy(desk))

    assert isinstance(error, Interrupted)
    assert (error.exit_code, error.message) == (130, says)
    assert hint in error.hint
    assert machines["one"].lock is not None
    assert [machine.lock["expired"] for machine in machines.machines.values() if machine.lock] == [
        True,
        True,
        True,
    ]


def test_a_rollback_right_after_an_interrupt_at_drain_takes_the_deployment_back(
    desk: Desk, machines: Machines
) -> None:
    machines["one"].on("prune", interrupt)
    failed(lambda: deploy(desk))
    machines["one"].before.clear()

    end = back.rollback(desk.context, to=None, backup=None)

    assert end["message"] == "1.0.0 serves again, proved"
    assert machines.live == [OLD, OLD]


def test_an_abort_right_after_an_interrupt_before_the_switch_waits_for_nothing(
    desk: Desk, machines: Machines
) -> None:
    machines["one"].on("health", interrupt)
    failed(lambda: deploy(desk))

    error = failed(lambda: back.rollback(desk.context, to=None, backup=None))
    assert error.exit_code == 2
    assert "changeover abort --env demo" in error.hint

    takeover.abort(desk.context, force=False)
    assert [machines[name].running for name in ("one", "two")] == [[OLD], [OLD]]


def test_an_interrupt_while_it_goes_back_is_told_too(desk: Desk, machines: Machines) -> None:
    machines["two"].on("confirm", partial(machines["two"].refuse, "not-live"))
    machines["one"].on("revert", interrupt)

    error = failed(lambda: deploy(desk))

    assert error.exit_code == 130
    assert error.message.endswith("it was going back")
    assert error.hint == "changeover abort --env demo goes on with going back"
    assert desk.events[-1]["outcome"] == "interrupted"


def test_a_resumed_deployment_that_was_confirmed_is_not_taken_back(
    desk: Desk, machines: Machines
) -> None:
    on_new(machines, confirmed=NEW)
    machines["one"].on("start", partial(machines["one"].refuse, "unit-failed"))

    error = failed(lambda: deploy(desk, resumed=True))

    assert error.exit_code == 4
    assert error.message == "3.0.0 serves and is confirmed; start is red: one: unit-failed"
    assert "changeover rollback --env demo takes it back" in error.hint
    assert machines.live == [NEW, NEW]
    assert NEW in machines["one"].running


def test_a_resumed_deployment_that_nobody_confirmed_is_taken_back(
    desk: Desk, machines: Machines
) -> None:
    on_new(machines, confirmed=OLD)
    machines["one"].on("start", partial(machines["one"].refuse, "unit-failed"))

    assert failed(lambda: deploy(desk, resumed=True)).exit_code == 3

    assert machines.live == [OLD, OLD]


def test_a_deployment_that_is_beaten_to_the_lease_says_who_has_it(
    desk: Desk, machines: Machines
) -> None:
    on_new(machines, confirmed=OLD)
    machines["three"].lock = {"owner": "ann@desk", "reason": "deploy 3.0.0"}

    error = failed(lambda: deploy(desk))

    assert error.exit_code == 5
    assert error.message.startswith("ann@desk holds the lock of hello: deploy 3.0.0")
    assert machines.live == [NEW, NEW]
    assert machines["one"].lock is None


def test_a_deployment_that_was_overtaken_says_so_and_changes_nothing(
    desk: Desk, machines: Machines
) -> None:
    on_new(machines, confirmed=NEW)

    error = failed(lambda: deploy(desk))

    assert error.exit_code == 1
    assert error.message == (
        f"{NEW} is live, and the plan was made for {OLD}: somebody was faster; nothing was changed"
    )
    assert machines.live == [NEW, NEW]
    assert NEW in machines["one"].running


@pytest.mark.parametrize(
    ("action", "says"),
    [
        (
            "start",
            (
                "interrupted at start: users may be on 3.0.0 already; "
                "changeover status --env demo shows it"
            ),
        ),
        (
            "switch",
            (
                "interrupted at switch: users may be on 3.0.0; a host that heard the confirmation "
                "stays on 3.0.0, any other goes back to 1.0.0 by itself within 120 s"
            ),
        ),
    ],
)
def test_an_interrupt_of_a_resumed_deployment_does_not_claim_what_serves(
    desk: Desk, machines: Machines, action: str, says: str
) -> None:
    on_new(machines, confirmed=OLD)
    machines["one"].on(action, interrupt)

    assert failed(lambda: deploy(desk, resumed=True)).message == says


def break_with_red(*_: object) -> None:
    raise CheckRed("it is red", hint="look")


def interrupt() -> None:
    raise KeyboardInterrupt


def test_a_deployment_of_an_older_version_names_the_way_back_once_with_its_environment(
    desk: Desk, machines: Machines
) -> None:
    on_new(machines, confirmed=NEW)

    error = failed(lambda: stages.route(desk.context, "1.0.0", direct=False))

    assert error.exit_code == 2
    assert error.hint.count("changeover rollback") == 1
    assert error.hint.startswith("changeover rollback --to 1.0.0 --env demo goes back; ")


def test_a_way_back_that_reloads_is_told_with_the_waits_before_it(
    desk: Desk, machines: Machines
) -> None:
    machines["one"].on("switch", interrupt)
    found = plan()
    changed = replace(found.situation, files=("--- site.conf (1.0.0)",))

    error = failed(lambda: forward.walk(desk.run(), replace(found, situation=changed)))

    assert "goes back to 1.0.0 by itself within 152 s" in error.message


def lose(apps: list[Machine]) -> None:
    for each in apps:
        each.lose()


def test_nothing_is_said_to_serve_where_no_app_host_answers_once_it_is_confirmed(
    desk: Desk, machines: Machines
) -> None:
    apps = [machines["one"], machines["two"]]
    apps[0].on("stop", partial(lose, apps))

    error = failed(lambda: deploy(desk))

    assert error.exit_code == 4
    assert error.message.startswith(
        "3.0.0 is confirmed, and no app host answers any more: nobody knows what users get (one does"
    )
    assert error.hint == (
        "when one, two answers, changeover resume --env demo ends it, "
        "changeover rollback --env demo takes it back"
    )
    for each in apps:
        each.before.clear()
        each.reachable = True
    assert deploy(desk, resumed=True).startswith("3.0.0 serves")
    assert [machine.lock for machine in machines.machines.values()] == [None, None, None]


def test_nothing_is_said_to_serve_where_no_app_host_answers_before_the_switch(
    desk: Desk, machines: Machines
) -> None:
    apps = [machines["one"], machines["two"]]
    apps[0].on("start", partial(lose, apps))

    error = failed(lambda: deploy(desk))

    assert "users were not moved from 1.0.0; one, two does not answer as asked" in error.message
    assert "serves" not in error.message
