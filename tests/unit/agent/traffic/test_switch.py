from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.agent.conftest import APP
from tests.unit.agent.stage import BOTH, deadman, honest, picture, site, two

from changeover.agent import main
from changeover.agent.system import clock, durable
from changeover.agent.system.clock import Moment
from changeover.agent.traffic import nginx

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.agent.conftest import Machine


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
    assert machine.do("state")["previous"] == colours[0], "forward again: the way back is kept"
    assert machine.do("revert", "r5")["to"] == colours[0]
    assert machine.do("state")["previous"] is None, "back again: what was left is no way back"


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
    assert state["since"]["seconds"] == 9.0
    monkeypatch.setattr(clock, "now", lambda: Moment(2e9 + 60, "another boot", 69))
    assert machine.do("state")["since"]["seconds"] == 69.0
    failure = machine.refuse("confirm", "d2", colour=second)
    assert (failure["error"], failure["live"]) == ("rebooted", first)


def test_a_host_remembers_whose_contract_was_begun_until_users_leave_it(machine: Machine) -> None:
    first, second = machine.up("1.0.0"), machine.up("2.0.0")
    for number, colour in enumerate((first, second)):
        machine.do("switch", f"d{number}", colour=colour)
        machine.do("confirm", f"d{number}", colour=colour)
        machine.do("contract_begins", f"f{number}", colour=colour)

    assert machine.do("contract_begins", "f2", colour=second)["skipped"]
    assert machine.do("state")["contracted"] == [first, second]
    machine.do("revert", "d3", to=first)
    assert machine.do("state")["contracted"] == [first]


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


def test_a_revert_that_nginx_refuses_leaves_users_where_they_were(proxied: Machine) -> None:
    old = proxied.up("1.0.0", sockets=BOTH, site_text=site(*BOTH))
    proxied.do("switch", "d1", colour=old, closing_seconds=0)
    proxied.do("confirm", "d1", colour=old)
    new = proxied.up("2.0.0", site_text=site("http"))
    proxied.do("switch", "d2", colour=new, deadman_seconds=9, closing_seconds=0)
    before = picture(proxied)
    (proxied.root / "units/refuse-reload").touch()

    failure = proxied.refuse("revert", "d2", closing_seconds=0)

    assert failure["error"] == "nginx-unreloaded"
    assert picture(proxied) == before
    honest(proxied)


@pytest.mark.parametrize("by", ["revert", "deadman"])
def test_a_stopped_nginx_keeps_nobody_from_going_back(proxied: Machine, by: str) -> None:
    old, new = two(proxied)
    before = picture(proxied)
    proxied.do("switch", "d2", colour=new, deadman_seconds=9, closing_seconds=0)
    for sign in ("refuse-reload", "nginx-is-stopped"):
        (proxied.root / "units" / sign).touch()

    if by == "revert":
        proxied.do("revert", "d2", closing_seconds=0)
    else:
        deadman(proxied, "d2")

    # Nginx reads the old site when it starts.
    after = picture(proxied)
    assert (after["live"], after["confirmed"], after["pending"]) == (old, old, None)
    assert after["site"] == before["site"]
    honest(proxied)


def test_a_stopped_nginx_is_not_switched_with_a_new_site(proxied: Machine) -> None:
    old, new = two(proxied)
    for sign in ("refuse-reload", "nginx-is-stopped"):
        (proxied.root / "units" / sign).touch()

    failure = proxied.refuse("switch", "d2", colour=new, deadman_seconds=9, closing_seconds=0)

    assert failure["error"] == "nginx-unreloaded"
    assert picture(proxied)["live"] == old
    honest(proxied)


def test_a_deadman_that_systemd_does_not_have_is_not_promised(machine: Machine) -> None:
    first, second = machine.up("1.0.0"), machine.up("2.0.0")
    machine.do("switch", "d1", colour=first)
    machine.do("confirm", "d1", colour=first)
    machine.do("switch", "d2", colour=second, deadman_seconds=9)
    timer = machine.root / "units/changeover-deadman-sample-d2.timer"
    assert machine.do("state")["pending"]["deadman"] == timer.stem

    timer.unlink()

    assert machine.do("state")["pending"]["deadman"] is None
