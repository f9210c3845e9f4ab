from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from changeover.agent import clock, durable, main, nginx
from changeover.agent.clock import Moment
from changeover.agent.program import Programs

from . import bundles
from .conftest import APP, write_record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Machine

BOTH = ("http", "ws")
MOST_POINTS = 80


@pytest.fixture
def proxied(machine: Machine) -> Machine:
    """Return the host with an Nginx that takes whatever it is given."""
    write_record(machine.root, nginx=True)
    conf = machine.root / "etc/nginx/nginx.conf"
    conf.write_text("http { include /etc/nginx/sites-enabled/*.conf; }\n")
    return machine


def site(*sockets: str) -> str:
    return bundles.site(APP, "-".join(sockets), *sockets)


def two(machine: Machine) -> tuple[str, str]:
    """Return a confirmed colour with one socket and a started one whose site needs two."""
    old = machine.up("1.0.0", site_text=site("http"))
    machine.do("switch", "d1", colour=old, closing_seconds=0)
    machine.do("confirm", "d1", colour=old)
    new = machine.up("2.0.0", sockets=BOTH, site_text=site(*BOTH))
    return old, new


def picture(machine: Machine) -> dict[str, Any]:
    """Return what users and a boot would get, and what is under way."""
    state = machine.do("state")
    names = ["live", "previous", "confirmed", "pending", "history"]
    enabled = machine.root / "etc/systemd/system/multi-user.target.wants"
    return {
        **{name: state[name] for name in names},
        "site": durable.read_link(machine.root / "etc/nginx/sites-enabled/sample.conf"),
        "boot": sorted(path.name for path in enabled.iterdir()),
        "runtime": sorted(path.name for path in (machine.root / "run" / APP).iterdir()),
        "nginx": sorted(path.name for path in (machine.root / "etc/nginx").iterdir()),
    }


def test_a_switch_is_taken_back_by_a_revert(proxied: Machine) -> None:
    old, new = two(proxied)
    before = picture(proxied)

    answer = proxied.do("switch", "d2", colour=new, closing_seconds=0)
    assert (answer["from"], answer["to"], answer["reloaded"]) == (old, new, True)
    assert proxied.do("state")["pending"]["deployment"] == "d2"
    back = proxied.do("revert", "d2", closing_seconds=0)

    assert (back["from"], back["to"]) == (new, old)
    assert picture(proxied) == before


def test_the_same_site_needs_no_reload(proxied: Machine) -> None:
    old = proxied.up("1.0.0", site_text=site("http"))
    proxied.do("switch", "d1", colour=old, closing_seconds=0)
    proxied.do("confirm", "d1", colour=old)
    new = proxied.up("1.1.0", site_text=site("http"))

    answer = proxied.do("switch", "d2", colour=new)

    assert not answer["reloaded"]
    assert proxied.noted.count("systemctl reload nginx.service") == 1
    link = proxied.root / "etc/nginx/sites-enabled/sample.conf"
    assert link.resolve() == (proxied.root / f"opt/sample/releases/{new}/site.conf").resolve()


def order(machine: Machine, monkeypatch: pytest.MonkeyPatch, act: Callable[[], Any]) -> list[str]:
    """Return in which order an action changed the colour's link and had the site read."""
    seen: list[str] = []
    link, reload = durable.link, nginx.reload

    def linked(path: Path, target: str) -> None:
        if path.name == "current":
            seen.append("colour")
        link(path, target)

    def reloaded(call: Any) -> None:  # noqa: ANN401
        seen.append("site")
        reload(call)

    with monkeypatch.context() as patch:
        patch.setattr(durable, "link", linked)
        patch.setattr(nginx, "reload", reloaded)
        act()
    assert machine.live
    return seen


def test_a_site_never_comes_before_the_sockets_it_needs(
    proxied: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, new = two(proxied)

    forward = order(
        proxied, monkeypatch, lambda: proxied.do("switch", "d2", colour=new, closing_seconds=0)
    )
    back = order(proxied, monkeypatch, lambda: proxied.do("revert", "d2", closing_seconds=0))

    assert forward == ["colour", "site"]
    assert back == ["site", "colour"]


def test_a_release_that_drops_a_socket_gets_its_site_first(
    proxied: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = proxied.up("1.0.0", sockets=BOTH, site_text=site(*BOTH))
    proxied.do("switch", "d1", colour=old, closing_seconds=0)
    proxied.do("confirm", "d1", colour=old)
    new = proxied.up("2.0.0", site_text=site("http"))

    seen = order(
        proxied, monkeypatch, lambda: proxied.do("switch", "d2", colour=new, closing_seconds=0)
    )

    assert seen == ["site", "colour"]


def test_sites_that_cannot_follow_each_other_are_refused(proxied: Machine) -> None:
    old = proxied.up("1.0.0", sockets=("http", "old"), site_text=site("http", "old"))
    proxied.do("switch", "d1", colour=old, closing_seconds=0)
    proxied.do("confirm", "d1", colour=old)
    new = proxied.up("2.0.0", sockets=("http", "new"), site_text=site("http", "new"))
    before = picture(proxied)

    assert proxied.refuse("switch", "d2", colour=new)["error"] == "no-lossless-order"
    assert picture(proxied) == before


def test_a_first_switch_is_taken_back_to_nothing(proxied: Machine) -> None:
    before = {path.name for path in (proxied.root / "run" / APP).iterdir()}
    colour = proxied.up("1.0.0", site_text=site("http"))
    proxied.do("switch", "d1", colour=colour, closing_seconds=0)

    answer = proxied.do("revert", "d1", closing_seconds=0)

    assert (answer["from"], answer["to"]) == (colour, None)
    after = {path.name for path in (proxied.root / "run" / APP).iterdir()}
    assert after == before | {colour}
    assert not (proxied.root / "etc/nginx/sites-enabled/sample.conf").is_symlink()
    boot = (proxied.root / "etc/tmpfiles.d/changeover-sample.conf").read_text()
    assert boot == "# confirmed: none\nr! /etc/nginx/sites-enabled/sample.conf\n"


def test_another_deployments_unconfirmed_switch_is_in_the_way(machine: Machine) -> None:
    first, second = machine.up("1.0.0"), machine.up("2.0.0")
    machine.do("switch", "d1", colour=first)

    assert machine.refuse("switch", "d2", colour=second)["error"] == "switch-unconfirmed"
    assert machine.refuse("confirm", "d2", colour=first)["error"] == "switch-unconfirmed"
    assert machine.do("revert", "d2")["to"] is None


def test_the_way_back_of_an_unconfirmed_switch_stays_up(machine: Machine) -> None:
    first, second = machine.up("1.0.0"), machine.up("2.0.0")
    machine.do("switch", "d1", colour=first)
    machine.do("confirm", "d1", colour=first)
    machine.do("switch", "d2", colour=second)

    assert machine.refuse("stop", "d2", colour=first)["error"] == "colour-awaited"
    assert machine.refuse("stop", "d2", colour=second)["error"] == "colour-live"
    assert machine.do("prune", "d2", keep=[])["retired"] == []
    assert machine.refuse("retire", "d2", colour=first, force=True)["error"] == "colour-awaited"


def test_history_goes_back_one_by_one_and_never_forward(machine: Machine) -> None:
    colours = [machine.up(f"{number}.0.0") for number in (1, 2, 3)]
    for number, colour in enumerate(colours):
        machine.do("switch", f"d{number}", colour=colour)
        machine.do("confirm", f"d{number}", colour=colour)

    assert machine.do("revert", "r1")["to"] == colours[1]
    assert machine.do("revert", "r1")["skipped"], "the same revert again"
    assert machine.do("revert", "r2")["to"] == colours[0]
    assert machine.refuse("revert", "r3")["error"] == "nothing-before"
    assert machine.do("revert", "r4", to=colours[2])["to"] == colours[2]


def test_a_revert_of_a_deployment_leaves_hosts_alone_where_it_did_not_switch(
    machine: Machine,
) -> None:
    first, second = machine.up("1.0.0"), machine.up("2.0.0")
    for number, colour in enumerate((first, second)):
        machine.do("switch", f"d{number}", colour=colour)
        machine.do("confirm", f"d{number}", colour=colour)

    assert machine.do("revert", "d9", of="d9")["skipped"]
    assert machine.live == second
    assert machine.do("revert", "d9", of="d1")["to"] == first


def test_a_reboot_decides_an_unconfirmed_switch(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = machine.up("1.0.0"), machine.up("2.0.0")
    machine.do("switch", "d1", colour=first)
    machine.do("confirm", "d1", colour=first)
    machine.do("switch", "d2", colour=second)

    monkeypatch.setattr(clock, "now", lambda: Moment(2e9, "another boot", 9))
    durable.link(machine.root / "run" / APP / "current", first)

    state = machine.do("state")
    assert (state["live"], state["pending"], state["previous"]) == (first, None, None)
    failure = machine.refuse("confirm", "d2", colour=second)
    assert (failure["error"], failure["live"]) == ("rebooted", first)


def deadman(machine: Machine, deployment: str) -> int:
    """Fire the dead-man as systemd would."""
    path = machine.root / f"var/lib/changeover/sample/deadman-{deployment}.json"
    if not path.exists():
        return 0
    about = json.loads(path.read_text())
    assert about == {"app": APP, "deployment": deployment}
    return main._take_back(machine.host, machine.call(deployment))  # noqa: SLF001


def test_the_deadman_and_a_confirmation_are_never_both(proxied: Machine) -> None:
    old, new = two(proxied)
    before = picture(proxied)

    proxied.do("switch", "d2", colour=new, deadman_seconds=9, closing_seconds=0)
    assert "--on-active=9s" in proxied.noted
    assert deadman(proxied, "d2") == 0
    assert picture(proxied) == before
    assert proxied.refuse("confirm", "d2", colour=new)["error"] == "deadman-fired"

    proxied.do("switch", "d3", colour=new, deadman_seconds=9, closing_seconds=0)
    assert main._take_back(proxied.host, proxied.call("d2")) == 0  # noqa: SLF001
    assert proxied.live == new, "the dead-man of another switch leaves this one alone"
    proxied.do("confirm", "d3", colour=new)
    assert deadman(proxied, "d3") == 0
    assert proxied.live == new
    assert picture(proxied)["boot"] == [f"sample-web@{new}.service"]
    assert "systemctl stop changeover-deadman-sample-d3.timer" in proxied.noted
    assert proxied.do("state")["previous"] == old


class Failpoint:
    """Ends the process at the n-th change to a file or the n-th program, before or after it."""

    def __init__(self, number: int) -> None:
        self.left = number

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401
            self.tick()
            result = function(*arguments, **named)
            self.tick()
            return result

        return counted

    def tick(self) -> None:
        self.left -= 1
        if self.left == 0:
            os._exit(9)

    def set(self) -> None:
        for name in ("write", "link", "remove"):
            setattr(durable, name, self.around(getattr(durable, name)))
        Programs.run = self.around(Programs.run)  # type: ignore[method-assign]


def killed(machine: Machine, number: int, *action: object, **parameters: object) -> bool:
    """Run an action that is killed at its n-th point; tell whether it came so far."""
    child = os.fork()
    if child == 0:
        Failpoint(number).set()
        name, deployment = action
        done = machine.request({"action": name, **parameters}, deployment=str(deployment))
        os._exit(0 if done[-1]["type"] == "done" else 1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in {0, 9}, "it failed rather than being killed"
    return code == 9


@pytest.mark.parametrize("recover", ["resume", "revert", "deadman"])
def test_a_switch_killed_anywhere_is_finished_or_undone(proxied: Machine, recover: str) -> None:
    _, new = two(proxied)
    start = picture(proxied)
    proxied.do("switch", "d2", colour=new, deadman_seconds=9, closing_seconds=0)
    end = picture(proxied)
    end["pending"] = {**end["pending"], "at": None}
    proxied.do("revert", "d2", closing_seconds=0)
    wanted = {"resume": end, "revert": start, "deadman": start}[recover]
    number, points = 1, 0
    while killed(proxied, number, "switch", "d2", colour=new, deadman_seconds=9, closing_seconds=0):
        if recover == "resume":
            proxied.do("switch", "d2", colour=new, deadman_seconds=9, closing_seconds=0)
        elif recover == "deadman":
            armed = (proxied.root / "var/lib/changeover/sample/deadman-d2.json").exists()
            assert deadman(proxied, "d2") == 0
            if not armed:
                proxied.do("revert", "d2", of="d2", closing_seconds=0)
        else:
            proxied.do("revert", "d2", of="d2", closing_seconds=0)
        found = picture(proxied)
        if found["pending"]:
            found["pending"]["at"] = None
        assert found == wanted, f"killed at point {number}"
        if recover == "resume":
            proxied.do("revert", "d2", closing_seconds=0)
        number, points = number + 1, points + 1
    assert 20 <= points < MOST_POINTS
    assert recover != "revert" or picture(proxied)["pending"]


@pytest.mark.parametrize("action", ["revert", "confirm"])
def test_a_revert_or_confirmation_killed_anywhere_is_finished_by_another(
    proxied: Machine, action: str
) -> None:
    _, new = two(proxied)
    parameters: dict[str, Any] = {"closing_seconds": 0} if action == "revert" else {"colour": new}
    proxied.do("switch", "d0", colour=new, deadman_seconds=9, closing_seconds=0)
    proxied.do(action, "d0", **parameters)
    wanted = picture(proxied)
    number = 1
    while True:
        proxied.do("revert", "d0", of="d0", closing_seconds=0)
        deployment = f"d{number}"
        proxied.do("switch", deployment, colour=new, deadman_seconds=9, closing_seconds=0)
        came = killed(proxied, number, action, deployment, **parameters)
        proxied.do(action, deployment, **parameters)
        assert picture(proxied) == wanted, f"killed at point {number}"
        proxied.do("revert", f"{deployment}-back", of=deployment, closing_seconds=0)
        if not came:
            break
        number += 1
    assert 10 < number < MOST_POINTS
