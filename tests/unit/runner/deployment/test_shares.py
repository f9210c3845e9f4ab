"""A canary over several hosts: it grows while it is green, and users are back where it is not."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.runner.deploying import plan
from tests.unit.runner.machine import NEW, OLD

from changeover import steps
from changeover.errors import Interrupted, Mixed, RolledBack
from changeover.plan import order as planning
from changeover.plan.situation import Target
from changeover.policy.canary import Canary, Gates
from changeover.remote.failures import SessionLost
from changeover.runner.deployment import forward, shares
from changeover.runner.lease import takeover

if TYPE_CHECKING:
    from tests.unit.runner.desk import Desk
    from tests.unit.runner.machine import Machine
    from tests.unit.runner.machines import Machines

Event = dict[str, Any]
MANY: Event = {"requests": 200, "errors": 0, "milliseconds": {"5": 200}}
NONE: Event = {"requests": 0, "errors": 0, "milliseconds": {}}


class Clients:
    """What the clients of each host were answered, and which share of them is on the new colour."""

    def __init__(self, machines: Machines) -> None:
        self.new, self.old = dict(MANY), dict(MANY)
        self.percent = dict.fromkeys(("one", "two"), 0)
        self.most = 0
        for name in self.percent:
            machine = machines[name]
            for action in ("canary", "canary_look", "canary_end"):
                answer = partial(getattr(self, f"_{action}"), machine)
                object.__setattr__(machine, f"_{action}", answer)

    def _canary(self, machine: Machine, action: Event) -> Event:
        self.percent[machine.name] = action["percent"]
        self.most = max(self.most, action["percent"])
        return {"live": machine.live == NEW, "place": {"inode": 1, "offset": 0}}

    def _canary_look(self, _: Machine, action: Event) -> Event:
        return {"new": self.new, "old": self.old, "place": action["place"]}

    def _canary_end(self, machine: Machine, _: Event) -> Event:
        self.percent[machine.name] = 0
        return {"ended": True}


@pytest.fixture
def clients(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> Clients:
    machines.before_deployment()
    monkeypatch.setattr(shares, "POLL_SECONDS", 0)
    return Clients(machines)


def canaried(*percents: int) -> planning.Plan:
    """Return the plan of a deployment with these shares, each of which is over at its first look."""
    made = plan()
    terms = Canary(shares=percents, seconds=0, deadline_seconds=0, gates=Gates(requests=20))
    target = Target(
        version="3.0.0",
        colour=NEW,
        digest="b" * 64,
        bundle="b",
        guide={},
        drain_seconds=1,
        canary=terms,
    )
    whole = planning.deploy(made.situation, target)
    known = {step.id for step in made.steps}
    kept = [each for each in whole.steps if each.id in known or each.kind == "canary"]
    return replace(made, steps=tuple(kept))


def test_shares_grow_and_the_switch_follows(
    desk: Desk, machines: Machines, clients: Clients
) -> None:
    end = forward.walk(desk.run(), canaried(5, 50))

    done = [event["step"] for event in desk.events if event["type"] == "step-done"]
    assert [step for step in done if step.startswith(("canary", "switch"))] == [
        "canary-5",
        "canary-50",
        "switch",
    ]
    assert (end["exit"], clients.most, machines.live) == (0, 50, [NEW, NEW])
    (figures,) = (
        event["figures"]
        for event in desk.events
        if (event["type"], event.get("step")) == ("step-done", "canary-50")
    )
    assert figures["new"] == {"requests": 400, "errors": 0, "p50_ms": 5, "p99_ms": 5}


def test_a_red_share_brings_every_client_back_and_tells_both_colours_figures(
    desk: Desk, machines: Machines, clients: Clients
) -> None:
    clients.new = MANY | {"errors": 20}

    with pytest.raises(RolledBack) as red:
        forward.walk(desk.run(), canaried(5, 50))

    said = red.value.message
    assert "canary-5: 40 of 400 answers are 5xx" in said
    assert "new colour 400 requests, 40 with 5xx (10%)" in said
    assert "old colour 400 requests, 0 with 5xx" in said
    assert said.endswith("rolled back: 1.0.0 serves again, proved")
    assert (clients.most, set(clients.percent.values())) == (5, {0})
    assert [machines[name].running for name in ("one", "two")] == [[OLD], [OLD]]
    ended = machines.order.index(("one", "canary_end"))
    assert ended < machines.order.index(("one", "stop"))


def test_no_traffic_is_no_pass(desk: Desk, clients: Clients) -> None:
    clients.new = dict(NONE)

    with pytest.raises(RolledBack, match="the new colour answered 0 requests of 20"):
        forward.walk(desk.run(), canaried(5))


def test_a_share_that_is_interrupted_is_ended_before_the_lease_is_left(
    desk: Desk, machines: Machines, clients: Clients
) -> None:
    def interrupt() -> None:
        assert set(clients.percent.values()) == {5}
        raise KeyboardInterrupt

    machines["one"].on("canary_look", interrupt)

    with pytest.raises(Interrupted, match=r"interrupted at canary-5: 1\.0\.0 serves$"):
        forward.walk(desk.run(), canaried(5))

    assert set(clients.percent.values()) == {0}


def test_a_host_that_is_lost_in_a_share_is_named_and_the_others_are_back(
    desk: Desk, machines: Machines, clients: Clients
) -> None:
    machines["two"].on("canary_look", machines["two"].lose)

    with pytest.raises(Mixed) as mixed:
        forward.walk(desk.run(), canaried(5))

    assert "not known to be back: two" in mixed.value.message
    assert "by themselves within 30 s" in mixed.value.message
    assert (clients.percent["one"], machines["one"].running) == (0, [OLD])


def test_where_no_host_answers_any_more_nothing_is_said_of_what_serves(
    desk: Desk, machines: Machines, clients: Clients
) -> None:
    for name in clients.percent:
        machines[name].on("canary_look", machines[name].lose)

    with pytest.raises(Mixed) as mixed:
        forward.walk(desk.run(), canaried(5))

    assert "no app host answers; not known to be back: one" in mixed.value.message
    assert "serves again" not in mixed.value.message
    assert "by themselves within 30 s" in mixed.value.message


def test_a_look_that_one_host_misses_is_made_up_for(
    desk: Desk, machines: Machines, clients: Clients
) -> None:
    missed: list[str] = []

    def miss() -> None:
        if not missed:
            missed.append("two")
            raise SessionLost("the session broke off", hint="look", host="two")

    machines["two"].on("canary_look", miss)
    (step,) = (each for each in canaried(5).steps if isinstance(each, steps.Canary))
    clock = [0.0]

    def pause(seconds: float) -> None:
        clock[0] += max(seconds, 1.0)

    shares.share(desk.run(), replace(step, seconds=3), lambda: clock[0], pause)

    assert missed == ["two"]
    assert clients.percent == {"one": 5, "two": 5}


def test_who_stops_before_the_first_share_is_told_of_no_client_on_the_new_colour(
    desk: Desk, machines: Machines, clients: Clients
) -> None:
    def stop_here() -> None:
        machines["two"].on("canary_end", machines["two"].lose)
        raise KeyboardInterrupt

    machines["one"].on("start", stop_here)

    with pytest.raises(Interrupted, match=r"at start: 1[.]0[.]0 serves$"):
        forward.walk(desk.run(), canaried(5))

    assert clients.most == 0


def test_a_deployment_that_is_resumed_after_its_switch_shares_nobody(
    desk: Desk, machines: Machines, clients: Clients
) -> None:
    for name in ("one", "two"):
        machines[name].live, machines[name].running = NEW, [OLD, NEW]
        machines[name].pending = {"kind": "switch", "deployment": "d", "from": OLD}

    forward.walk(desk.run(), canaried(5), steal=True)

    said = [event["says"] for event in desk.events if event.get("step") == "canary-5"]
    assert said[-1] == f"users are on {NEW} already"
    assert set(clients.percent.values()) == {0}


def test_an_abort_ends_a_share_before_anything_else(
    desk: Desk, machines: Machines, clients: Clients
) -> None:
    for name in ("one", "two", "three"):
        machines[name].lock = {
            "owner": "ann@desk",
            "reason": "deploy 3.0.0 --canary 5,25",
            "deployment": "d",
            "expired": True,
        }
    clients.percent = {"one": 5, "two": 5}

    takeover.abort(desk.context, force=True)

    acts = [name for host, name in machines.order if host == "one" and name != "state"]
    assert acts.index("canary_end") < acts.index("revert")
    assert set(clients.percent.values()) == {0}


@pytest.mark.parametrize(
    ("held", "begun"),
    [
        ({"one": 50, "two": 50}, [50]),
        ({"one": 50, "two": 5}, [5, 50]),
        ({"one": 50}, [5, 50]),
        ({"one": 50, "two": 50, "of": 9}, [5, 50]),
    ],
    ids=["both", "one of them less", "one of them none", "of another deployment"],
)
def test_who_goes_on_while_hosts_hold_a_share_begins_with_that_one(
    desk: Desk, machines: Machines, clients: Clients, held: dict[str, int], begun: list[int]
) -> None:
    run = desk.run()
    of = "another" if "of" in held else run.fleet.deployment
    for name in ("one", "two"):
        state = machines[name]._state  # noqa: SLF001
        share = {"deployment": of, "colour": NEW, "percent": held.get(name), "at": "then"}
        told = {"canary": share if name in held else None}

        def answer(action: Event, state: Any = state, told: Event = told) -> Event:  # noqa: ANN401
            return {**state(action), **told}

        object.__setattr__(machines[name], "_state", answer)
    asked: list[int] = []
    begin = clients._canary  # noqa: SLF001

    def noted(action: Event) -> Event:
        asked.append(action["percent"])
        return begin(machines["one"], action)

    object.__setattr__(machines["one"], "_canary", noted)

    forward.walk(run, canaried(5, 50), steal=True)

    assert asked == begun
    assert machines.live == [NEW, NEW]
