"""A deployment is held to its release's preconditions before it changes anything, unless one is waived."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.runner.deploying import on_new, plan
from tests.unit.runner.desk import failed
from tests.unit.runner.machine import NEW, OLD

from changeover import report
from changeover.executors import migrate, preflight
from changeover.executors.preflight import PreflightOutcome
from changeover.plan import order as planning
from changeover.plan.situation import Target
from changeover.runner.deployment import forward, preconditions, requirements, stages
from changeover.runner.lease import holder, takeover

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.unit.runner.desk import Desk
    from tests.unit.runner.machines import Machines

    from changeover.plan.order import Plan
    from changeover.release import Precondition

DECLARED = """
preconditions:
  - {id: nobody-left, summary: nobody is left, rows: SELECT who FROM uses, hint: ask them}
  - {id: no-debt, summary: nothing is owed, rows: SELECT who FROM debts, hint: wait}
"""
LEFT = "not met: nobody is left; 1 row against it: who=ann"


class Data:
    """The live data: who is against which precondition, and what was asked of it."""

    def __init__(self) -> None:
        self.against: dict[str, list[str]] = {"nobody-left": ["who=ann"]}
        self.asked: list[str] = []

    def answered(self, _: object, asked: Sequence[Precondition]) -> tuple[migrate.Answer, ...]:
        self.asked += [each.id for each in asked]
        return tuple(self._answer(each) for each in asked)

    def _answer(self, each: Precondition) -> migrate.Answer:
        rows = tuple(self.against.get(each.id, ()))
        state: Any = "broken" if rows else "holds"
        return migrate.Answer(precondition=each, state=state, rows=rows, number=len(rows))


@pytest.fixture
def data(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Data:
    file = desk.project.release_file("3.0.0")
    file.write_text(file.read_text() + DECLARED)
    found = Data()
    monkeypatch.setattr(migrate, "answered", found.answered)
    nothing = PreflightOutcome(findings=(), seconds=0.0)
    monkeypatch.setattr(preflight, "apply", lambda *_, **__: nothing)
    monkeypatch.setattr(requirements, "_archive_findings", lambda *_: ())
    return found


def held(*waived: str, **changes: object) -> Plan:
    """Return a plan that begins with its preflight."""
    made = plan(**changes)
    target = Target(
        version="3.0.0",
        colour=NEW,
        digest="b" * 64,
        bundle="b",
        guide={},
        drain_seconds=1,
        preconditions=("nobody-left", "no-debt"),
        waived=waived,
    )
    whole = planning.deploy(made.situation, target)
    kept = tuple(each for each in whole.steps if each.id not in {"backup", "place"})
    return replace(whole, steps=kept)


def test_a_deployment_is_refused_before_anything_is_changed(
    desk: Desk, machines: Machines, data: Data
) -> None:
    machines.before_deployment()

    error = failed(lambda: forward.walk(desk.run(), held()))

    assert error.exit_code == 6
    assert error.message == f"{LEFT}; nothing was changed"
    assert "ask them; --waive nobody-left goes on all the same" in error.hint
    assert data.asked == ["nobody-left", "no-debt"]
    assert {name for machine in machines.machines.values() for name in machine.asked} <= {"state"}


def test_a_waiver_lets_it_go_on_and_is_told_with_who_said_so(
    desk: Desk, machines: Machines, data: Data
) -> None:
    machines.before_deployment()
    run = desk.run()

    end = forward.walk(run, held("nobody-left"))

    assert end["exit"] == 0
    (waived,) = [event for event in desk.events if event["type"] == "waived"]
    assert (waived["id"], waived["by"]) == ("nobody-left", run.fleet.owner)
    assert waived["message"] == f"waived: {LEFT}"
    lines = {line.step: line.says for line in report.summarise(desk.events).steps}
    assert lines["preflight"] == "2 checks, 1 warning; waived: nobody-left"
    assert lines["ask-again"] == "2 preconditions; waived: nobody-left"
    assert data.asked == ["nobody-left", "no-debt"] * 2


def test_who_comes_meanwhile_is_a_reason_before_users_are_sent_on(
    desk: Desk, machines: Machines, data: Data
) -> None:
    machines.before_deployment()
    data.against.clear()
    machines["one"].on("start", lambda: data.against.update({"no-debt": ["who=ben"]}))

    error = failed(lambda: forward.walk(desk.run(), held()))

    assert error.exit_code == 6
    assert error.message == "not met: nothing is owed; 1 row against it: who=ben"
    assert machines.live == [OLD, OLD]
    assert [NEW in machines[name].running for name in ("one", "two")] == [False, False]


def test_it_is_asked_again_before_the_first_user_notices() -> None:
    def ids(**changes: object) -> list[str]:
        return [step.id for step in held(**changes).steps]

    beside = ids()
    assert beside[beside.index("ask-again") + 1] == "switch"
    assert beside.count("ask-again") == 1
    closed = ids(strategy="maintenance")
    assert closed[closed.index("ask-again") + 1] == "maintenance-on"
    assert closed.count("ask-again") == 1
    assert "ask-again" not in [step.id for step in plan().steps]


def test_while_clients_have_a_share_nobody_asks_whether_they_may(
    desk: Desk, machines: Machines, data: Data
) -> None:
    machines.before_deployment()
    state = machines["two"]._state  # noqa: SLF001
    share = {"deployment": "d", "colour": NEW, "percent": 5, "at": "then"}
    object.__setattr__(machines["two"], "_state", lambda asked: {**state(asked), "canary": share})

    forward.walk(desk.run(), held(), steal=True)

    assert data.asked == []
    said = [event["says"] for event in desk.events if event.get("step") == "ask-again"]
    assert said[-1] == "users are on 3.0.0 already"


@pytest.mark.usefixtures("data")
def test_a_waiver_of_what_is_met_tells_nothing(desk: Desk, machines: Machines) -> None:
    machines.before_deployment()

    error = failed(lambda: forward.walk(desk.run(), held("no-debt")))

    assert error.message == f"{LEFT}; nothing was changed"
    assert [event for event in desk.events if event["type"] == "waived"] == []


def test_who_goes_on_keeps_what_was_waived_and_has_waived_nothing(
    desk: Desk, machines: Machines, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    machines.before_deployment()
    made = held("nobody-left")
    (lock,) = [step for step in made.steps if step.id == "lock"]
    reason = lock.as_json()["reason"]
    lease = {"owner": "ann@desk", "reason": reason, "deployment": "d", "expired": True}
    for name in ("one", "two", "three"):
        machines[name].lock = dict(lease)
    prepared: list[tuple[str, ...]] = []

    def prepare(context: Any, version: str, *, deployment: str) -> stages.Stage:  # noqa: ANN401
        assert (version, deployment) == ("3.0.0", "d")
        prepared.append(context.waived)
        return stages.Stage(run=context.run(deployment), plan=made)

    monkeypatch.setattr(stages, "prepare", prepare)

    takeover.resume(desk.context, force=True)

    assert reason == "deploy 3.0.0 --waive nobody-left"
    assert prepared == [("nobody-left",)]
    (waived,) = [event for event in desk.events if event["type"] == "waived"]
    assert waived["by"] is None
    assert data.asked == ["nobody-left", "no-debt"] * 2


def test_a_lease_tells_every_option_of_its_command() -> None:
    lock = {"reason": "deploy 3.0.0 --canary 5,25 --waive nobody-left --waive no-debt"}

    assert holder.canary_option(lock) == "5,25"
    assert holder.waived(lock) == ("nobody-left", "no-debt")
    assert holder.waived({"reason": "deploy 3.0.0 --canary 5"}) == ()
    assert holder.canary_option({"reason": "deploy 3.0.0 --waive a"}) is None


def test_once_users_were_sent_on_nobody_asks_whether_they_may_be(
    desk: Desk, machines: Machines, data: Data
) -> None:
    on_new(machines, confirmed=OLD)

    forward.walk(desk.run(), held(), steal=True)

    assert data.asked == []


@pytest.mark.usefixtures("data")
def test_a_plan_tells_what_the_live_data_has_to_meet(desk: Desk) -> None:
    release = desk.context.release("3.0.0")
    asked = preconditions.asked_of(release, "2.0.0", ["no-debt"])
    lines = tuple(preconditions.lines(asked))
    made = held("no-debt", preconditions=lines)

    assert stages.words(made).partition("preconditions:\n")[2].splitlines()[:2] == [
        "  nobody-left  nobody is left",
        "  no-debt  nothing is owed (waived)",
    ]
    assert "  precondition nobody-left  nobody is left" in stages.brief(made).splitlines()
    assert held(preconditions=lines).digest != made.digest


@pytest.mark.usefixtures("data")
def test_a_waiver_of_what_is_not_on_the_way_is_refused(desk: Desk, machines: Machines) -> None:
    machines.before_deployment()
    context = desk.context
    context.waived = ("nobody-left",)
    assert stages.route(context, "3.0.0", direct=True) == ("3.0.0",)

    error = failed(lambda: stages.route(context, "2.0.0", direct=False))

    assert error.exit_code == 2
    assert error.message == "--waive nobody-left: no precondition is called so"
    assert error.hint == "deploy without --waive: there is none"
