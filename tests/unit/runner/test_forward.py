"""A deployment over several hosts: one that fails takes all back, and what is lost is named."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from changeover import plan as planning
from changeover.errors import CheckRed, Interrupted, Mixed, RolledBack
from changeover.runner import forward, stages, takeover
from changeover.runner.rollback import back
from changeover.situation import Situation, Target
from changeover.verdict import judge

from .conftest import NEW, OLD, failed

if TYPE_CHECKING:
    from .conftest import Desk, Event, Machines

# What needs a bundle, or a program of its own.
ELSEWHERE = {"preflight", "backup", "place"}


@pytest.fixture(autouse=True)
def old_is_live(machines: Machines) -> None:
    machines.before_deployment()


def plan(**changes: object) -> planning.Plan:
    situation = Situation(
        environment="demo",
        app="hello",
        live=OLD,
        live_version="1.0.0",
        app_hosts=("one", "two"),
        all_hosts=("one", "two", "three"),
        database_hosts=("three",),
        verdict=judge([]),
    )
    target = Target(
        version="3.0.0", colour=NEW, digest="b" * 64, bundle="b", guide={}, drain_seconds=1
    )
    made = planning.deploy(replace(situation, **changes), target)  # type: ignore[arg-type]
    return replace(made, steps=tuple(each for each in made.steps if each.id not in ELSEWHERE))


def deploy(desk: Desk, *, resumed: bool = False) -> str:
    return str(forward.walk(desk.run(), plan(), steal=resumed)["message"])


def on_new(machines: Machines, confirmed: str) -> None:
    """Have an earlier run of the deployment sent users on."""
    for name in ("one", "two"):
        machine = machines[name]
        machine.live, machine.confirmed, machine.running = NEW, confirmed, [OLD, NEW]
        if confirmed == OLD:
            machine.pending = {"kind": "switch", "deployment": "d", "from": OLD}


def break_down() -> None:
    raise ValueError("nobody thought of this")


def test_a_deployment_ends_with_the_new_version_confirmed_everywhere(
    desk: Desk, machines: Machines
) -> None:
    machines["two"].left_open = 4

    said = deploy(desk)

    assert said.startswith("3.0.0 serves; the way back: instant: the schema does not change")
    assert "; 4 connections from before were still open at a reload of Nginx" in said
    assert (machines.live, machines["two"].confirmed) == ([NEW, NEW], NEW)


def test_one_host_that_is_ill_behind_the_balancer_takes_all_back(
    desk: Desk, machines: Machines
) -> None:
    two = machines["two"]

    def ill_once_live() -> None:
        if two.live == NEW:
            two.refuse("unhealthy", "answers 503")

    two.on("health", ill_once_live)

    error = failed(lambda: deploy(desk))

    assert isinstance(error, RolledBack)
    assert (error.exit_code, error.host) == (3, "two")
    assert error.message == "two: answers 503; rolled back: 1.0.0 serves again, proved"
    assert machines.live == [OLD, OLD]
    assert ("one", "confirm") not in machines.order


@pytest.mark.parametrize("hosts", [("one", "two"), ("two",)])
def test_a_deployment_that_was_overtaken_while_it_smoked_says_so_and_leaves_it_to_the_other(
    desk: Desk, machines: Machines, hosts: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("changeover.runner.proof.smoke", break_with_red)
    for name in hosts:
        refuse = partial(machines[name].refuse, "fenced", "the lease 7 was overtaken by 8 of ann")
        machines[name].on("revert", refuse)

    error = failed(lambda: deploy(desk))

    assert error.exit_code == 5
    assert error.message.startswith("stopped at smoke: the lease on ")
    assert "overtaken by 8 of ann" in error.message
    assert ("one", "stop") not in machines.order


def test_a_deployment_that_was_overtaken_while_it_proved_the_old_version_says_so(
    desk: Desk, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    machines["two"].on("confirm", partial(machines["two"].refuse, "not-live"))
    overtaken = "the lease 7 was overtaken by 8 of ann"
    monkeypatch.setattr(
        "changeover.runner.retreat.prove", lambda *_: machines["one"].refuse("fenced", overtaken)
    )

    error = failed(lambda: deploy(desk))

    assert error.exit_code == 5
    assert error.message.startswith("stopped at confirm: the lease on one is ours no more")
    assert ("one", "stop") not in machines.order


def test_a_switch_that_every_host_refused_moved_nobody(desk: Desk, machines: Machines) -> None:
    for name in ("one", "two"):
        machines[name].on("switch", partial(machines[name].refuse, "nginx-invalid", "no such file"))

    error = failed(lambda: deploy(desk))

    assert error.exit_code == 1
    assert error.message.endswith(": no such file; 1.0.0 serves, nothing is half done")
    assert ("one", "revert") not in machines.order
    assert machines["one"].running == [OLD]
    assert machines["one"].lock is None


def test_a_switch_that_one_host_refused_is_taken_back(desk: Desk, machines: Machines) -> None:
    machines["two"].on("switch", partial(machines["two"].refuse, "nginx-invalid"))

    assert failed(lambda: deploy(desk)).exit_code == 3

    assert machines.live == [OLD, OLD]


def test_a_deployment_of_an_older_version_names_the_way_back_once_with_its_environment(
    desk: Desk, machines: Machines
) -> None:
    on_new(machines, confirmed=NEW)

    error = failed(lambda: stages.route(desk.context, "1.0.0", direct=False))

    assert error.exit_code == 2
    assert error.hint.count("changeover rollback") == 1
    assert error.hint.startswith("changeover rollback --to 1.0.0 --env demo goes back; ")


def test_nothing_is_begun_where_the_controller_can_write_nothing_down(
    desk: Desk, machines: Machines
) -> None:
    desk.fill_disk()

    assert failed(lambda: deploy(desk)).exit_code == 1

    assert machines.order == []


@pytest.mark.parametrize("last", ["start", "switch"])
def test_a_journal_that_cannot_be_written_any_more_takes_the_deployment_back(
    desk: Desk, machines: Machines, last: str
) -> None:
    machines["one"].on(last, desk.fill_disk)

    error = failed(lambda: deploy(desk))

    assert error.exit_code == (1 if last == "start" else 3)
    assert "cannot be written" in error.message
    assert machines.live == [OLD, OLD]
    assert [machines[name].running for name in ("one", "two")] == [[OLD], [OLD]]
    assert [machine.lock for machine in machines.machines.values()] == [None, None, None]


def test_what_is_confirmed_stays_where_its_end_cannot_be_written_down(
    desk: Desk, machines: Machines
) -> None:
    machines["one"].on("confirm", desk.fill_disk)

    assert deploy(desk).startswith("3.0.0 serves")

    assert machines.live == [NEW, NEW]
    assert "this goes on without a journal" in desk.says()


def test_one_host_that_does_not_switch_takes_all_back(desk: Desk, machines: Machines) -> None:
    machines["two"].on("switch", partial(machines["two"].refuse, "nginx-invalid"))

    assert failed(lambda: deploy(desk)).exit_code == 3

    assert machines.live == [OLD, OLD]


def test_one_host_that_is_lost_after_its_rename_is_named_and_the_others_go_back(
    desk: Desk, machines: Machines
) -> None:
    two = machines["two"]
    two.on("confirm", lambda: setattr(two, "reachable", False))

    error = failed(lambda: deploy(desk))

    assert isinstance(error, Mixed)
    assert (error.exit_code, error.host) == (4, "two")
    assert machines.live == [OLD, NEW]
    assert "; 1.0.0 serves again on one; not known to be back: two (" in error.message
    assert (
        "a host that heard the confirmation stays on 3.0.0, any other goes back to 1.0.0 by itself "
        "within 120 s"
    ) in error.message
    assert "when it answers, changeover rollback --to 1.0.0 --env demo" in error.hint
    assert (machines["one"].running, machines["one"].lock) == ([OLD], None)


def test_a_host_that_is_anothers_ends_the_deployment_and_nothing_is_taken_back(
    desk: Desk, machines: Machines
) -> None:
    machines["two"].on("confirm", partial(machines["two"].refuse, "fenced", "overtaken by 8 of x"))

    error = failed(lambda: deploy(desk))

    assert error.exit_code == 5
    assert error.message.startswith("stopped at confirm: the lease on two is ours no more")
    assert ("one", "revert") not in machines.order
    assert "changeover status --env demo" in error.hint


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


def test_a_fault_while_it_goes_back_is_told_and_journaled(desk: Desk, machines: Machines) -> None:
    machines["two"].on("confirm", partial(machines["two"].refuse, "not-live"))
    machines["one"].on("revert", break_down)

    error = failed(lambda: deploy(desk))

    assert error.exit_code == 4
    assert error.message == (
        "two: not-live; going back stopped half way: unexpected ValueError: nobody thought of this"
    )
    assert "changeover status --env demo" in error.hint
    assert (desk.events[-1]["type"], desk.events[-1]["exit"]) == ("deployment-end", 4)
    assert machines["one"].lock is None


@pytest.mark.parametrize("action", ["prune", "unlock"])
def test_a_fault_after_the_confirmation_takes_nothing_back(
    desk: Desk, machines: Machines, action: str
) -> None:
    machines["one"].on(action, break_down)

    assert deploy(desk).startswith("3.0.0 serves")

    assert machines.live == [NEW, NEW]
    assert ": unexpected ValueError: nobody thought of this" in desk.says()


def test_a_fault_in_telling_what_comes_after_the_confirmation_takes_nothing_back(
    desk: Desk, machines: Machines
) -> None:
    run, told = desk.run(), desk.events.append

    def report(event: Event) -> None:
        if event.get("step") == "drain":
            break_down()
        told(event)
        if event["type"] == "warning":
            break_down()

    run.report = report
    error = failed(lambda: forward.walk(run, plan()))

    assert error.exit_code == 4
    assert error.message.startswith("3.0.0 serves and is confirmed; drain is red: unexpected Value")
    assert "changeover smoke --env demo shows what users get" in error.hint
    assert machines.live == [NEW, NEW]


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


def test_an_old_version_that_is_not_proved_is_smoked_next(
    desk: Desk, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    machines["two"].on("confirm", partial(machines["two"].refuse, "not-live"))
    monkeypatch.setattr("changeover.runner.retreat.prove", break_with_red)

    error = failed(lambda: deploy(desk))

    assert error.exit_code == 4
    assert error.message.endswith("1.0.0 serves again on one, two, and is not proved: it is red")
    assert error.hint == "changeover smoke --env demo shows what users get"
    assert [machines[name].running for name in ("one", "two")] == [[OLD], [OLD]]


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
