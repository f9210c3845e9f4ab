"""A page of maintenance that is on by hand stands in nobody's way back."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from tests.unit.runner.desk import failed
from tests.unit.runner.fleet.test_away import context
from tests.unit.runner.machine import NEW, OLD, Machine

from changeover.errors import Mixed
from changeover.runner.fleet import catch_up, survey
from changeover.runner.lease import takeover
from changeover.runner.page import by_hand
from changeover.runner.rollback import back

if TYPE_CHECKING:
    from tests.unit.runner.desk import Desk
    from tests.unit.runner.machines import Machines

FENCE = {"since": "then", "why": "two does not answer", "deployment": "d"}
WISH = {"by": "a", "reason": "", "since": "then", "deployment": "d", "allow": [], "tester": False}
HAND = {"by": "ann", "since": "then", "reason": ""}


@pytest.fixture(autouse=True)
def shown(machines: Machines) -> None:
    for name in ("one", "two"):
        machines[name].wishes["hand"] = dict(HAND)


def rollback(desk: Desk) -> str:
    return str(back.rollback(desk.context, to=None, backup=None)["message"])


def test_users_go_back_behind_it_where_an_app_host_is_lost(desk: Desk, machines: Machines) -> None:
    machines["two"].reachable = False

    error = failed(lambda: rollback(desk))

    assert isinstance(error, Mixed)
    assert error.message.startswith("1.0.0 serves again on one, proved; not known to be back: two")
    assert (machines.live, machines["one"].lock) == ([OLD, NEW], None)


def test_users_go_back_behind_it_where_it_lets_no_check_through(
    desk: Desk, machines: Machines
) -> None:
    two = machines["two"]
    two.on("maintenance_on", partial(two.refuse, "site-without-maintenance"))

    assert rollback(desk).startswith("1.0.0 serves again, proved")

    assert machines.live == [OLD, OLD]
    assert "warning: the page on two does not let the checks through" in desk.says()


def test_an_abort_goes_on_behind_it_where_an_app_host_is_lost(
    desk: Desk, machines: Machines
) -> None:
    machines.before_deployment()
    lease = {"owner": "ann", "reason": "deploy 3.0.0", "deployment": "d", "expired": True}
    for name in ("one", "two", "three"):
        machines[name].lock = {**lease, "heartbeat": "2026-01-15T10:15:00.000+00:00"}
    machines["one"].live, machines["one"].pending = (
        NEW,
        {"kind": "switch", "deployment": "d", "from": OLD},
    )
    machines["two"].reachable = False

    error = failed(lambda: takeover.abort(desk.context, force=False))

    assert error.message.startswith(f"{OLD} is live on one, as before the deployment")
    assert machines["one"].live == OLD


def test_a_host_that_is_fenced_keeps_nobody_from_taking_the_page_away(
    desk: Desk, machines: Machines
) -> None:
    machines.machines["edge"] = Machine("edge", fenced={"two": FENCE})
    machines["two"].lose()

    by_hand.hide(context(desk))

    assert machines["one"].wishes == {}


def test_a_host_that_is_lost_keeps_nobody_on_the_others_from_the_app(
    desk: Desk, machines: Machines
) -> None:
    machines["two"].lose()

    error = failed(lambda: by_hand.hide(desk.context))

    assert isinstance(error, Mixed)
    assert error.message.startswith(
        "users get the app; 2 requests were answered 503 meanwhile, but"
    )
    assert error.message.endswith("on two: two does not answer SSH")
    assert error.hint == "when it answers, changeover maintenance off --env demo again"
    assert (machines["one"].wishes, machines["one"].lock) == ({}, None)


def test_a_page_that_one_host_cannot_show_anew_is_on_elsewhere_and_that_is_said(
    desk: Desk, machines: Machines
) -> None:
    two = machines["two"]
    two.on("maintenance_on", partial(two.refuse, "bad-page"))
    asked = by_hand.Asked(retry_after=9, allow=(), tester=False, reason="")

    error = failed(lambda: by_hand.show(desk.context, asked))

    assert error.message == "two: bad-page; the page stays on elsewhere"
    assert "hand" in machines["one"].wishes


def test_where_nothing_is_live_there_is_no_page_either(desk: Desk, machines: Machines) -> None:
    for name in ("one", "two"):
        machines[name].live, machines[name].wishes = "", {}
    asked = by_hand.Asked(retry_after=9, allow=(), tester=False, reason="")

    error = failed(lambda: by_hand.show(desk.context, asked))

    assert error.message == "nothing of hello is live on one: users would not get the page"
    assert error.hint == "changeover deploy VERSION --env demo, then the page"


@pytest.mark.parametrize(
    ("kind", "live", "words"),
    [
        ("hand", OLD, "changeover maintenance off --env demo takes the page away"),
        ("deployment", NEW, "changeover maintenance off --env demo takes the page away"),
        ("deployment", OLD, "changeover abort --env demo takes it back"),
    ],
)
def test_what_takes_a_page_away_is_told(
    desk: Desk, machines: Machines, kind: str, live: str, words: str
) -> None:
    wish = {"by": "ann", "reason": "deploy 3.0.0", "since": "then", "allow": [], "tester": False}
    for name in ("one", "two"):
        machines[name].live = machines[name].confirmed = live
        machines[name].wishes = {kind: {**wish, "deployment": "d"}}
    run = desk.run()

    said = by_hand.taken_away(survey.look(run.fleet, run.app_hosts).apps, "demo")

    assert str(said).endswith(words)


def test_no_user_gets_the_app_on_a_host_that_comes_back_while_the_others_show_a_page(
    desk: Desk, machines: Machines
) -> None:
    machines.before_deployment()
    machines.machines["edge"] = Machine("edge", fenced={"two": FENCE})
    machines["one"].wishes, machines["two"].wishes = {"hand": WISH}, {}

    error = failed(lambda: catch_up.catch_up(context(desk), None))

    assert error.exit_code == 6
    assert "users would get the app on two" in error.message
    assert error.hint == (
        "changeover maintenance off --env demo first, then changeover catch-up --env demo"
    )
    assert (sorted(machines["edge"].fenced), machines["two"].lock) == (["two"], None)


def test_a_page_that_stayed_on_a_host_goes_before_users_come(
    desk: Desk, machines: Machines
) -> None:
    machines.before_deployment()
    machines.machines["edge"] = Machine("edge", fenced={"two": FENCE})
    machines["one"].wishes, machines["two"].wishes = {}, {"hand": WISH, "deployment": WISH}

    catch_up.catch_up(context(desk), None)

    assert machines["two"].wishes == {}
    assert machines["edge"].fenced == {}
