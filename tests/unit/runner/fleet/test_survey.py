"""What the hosts' answers mean before a plan is made."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from changeover.errors import LockHeld, Mixed
from changeover.remote.fleet import Fleet
from changeover.runner.fleet import survey
from changeover.runner.fleet.agreement import Unconfirmed, settled
from changeover.runner.fleet.host_state import HostState

if TYPE_CHECKING:
    from tests.unit.runner.desk import Desk
    from tests.unit.runner.machines import Machines

OLD, NEW = "7.0.0-aaaaaaaa", "8.0.0-bbbbbbbb"
LEASE = {"owner": "ann@desk", "reason": "deploy 8.0.0", "since": "then", "expires": "soon"}


def state(
    host: str, live: str, confirmed: str, lock: dict[str, Any] | None = None, group: str = "app"
) -> HostState:
    return HostState(
        host=host,
        groups=(group,),
        live=live,
        previous=OLD,
        confirmed=confirmed,
        running=(),
        placed=(OLD, NEW),
        pending=None,
        lock=lock,
    )


def test_one_confirmed_colour_is_what_is_live() -> None:
    states = [state("app1", NEW, NEW), state("app2", NEW, NEW, LEASE)]

    assert settled(states, "shop") == NEW


@pytest.mark.parametrize(("second", "confirmed"), [(NEW, OLD), (OLD, OLD)])
def test_a_switch_under_way_is_another_deployment_s(second: str, confirmed: str) -> None:
    states = [
        state("app1", NEW, OLD),
        state("app2", second, confirmed),
        state("db1", "", "", LEASE, group="db"),
    ]

    with pytest.raises(LockHeld) as caught:
        settled(states, "shop")

    assert caught.value.message == "ann@desk holds the lock: deploy 8.0.0"
    assert (caught.value.host, caught.value.exit_code) == ("db1", 5)
    assert "changeover lock status --env shop" in caught.value.hint


@pytest.mark.parametrize("lock", [None, {**LEASE, "expired": True}])
def test_a_switch_that_nobody_goes_on_with_waits_for_a_person(lock: dict[str, Any] | None) -> None:
    with pytest.raises(Unconfirmed) as caught:
        settled([state("app1", NEW, OLD, lock)], "shop")
    assert "changeover resume --env shop" in caught.value.hint

    with pytest.raises(Mixed):
        settled([state("app1", NEW, OLD, lock), state("app2", OLD, OLD, lock)], "shop")


def test_every_host_that_does_not_answer_is_named(
    desk: Desk, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "Fleet", partial(Fleet, connect=machines.connect))
    machines["two"].reachable = machines["three"].reachable = False

    states, seen = survey.status(desk.project.environment, "hello", desk.events.append)
    lost = seen.failure

    assert list(states) == ["one"]
    assert lost is not None
    assert lost.message == "two does not answer SSH; three does not answer SSH"
    assert (lost.host, lost.exit_code) == ("two, three", 6)


@pytest.mark.parametrize(
    ("kind", "words"), [("hand", "by hand (slow)"), ("deployment", "for a deployment (slow)")]
)
def test_a_page_of_maintenance_is_told_with_who_takes_it_away(kind: str, words: str) -> None:
    wish = {"since": "then", "by": "ann@desk", "reason": "slow", "allow": [], "tester": True}
    shown = replace(state("app1", OLD, OLD), maintenance={"on": True, kind: wish})

    assert shown.page_words == f"maintenance page since then by ann@desk, {words}, not for testers"
