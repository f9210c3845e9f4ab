"""A host that loses power anywhere between a switch and its end comes up decided, one way or the other."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.agent import web
from tests.unit.agent.stage import deadman, picture, two
from tests.unit.agent.test_killed import MOST_POINTS, Failpoint, killed

from changeover.agent.system import clock, durable

if TYPE_CHECKING:
    from tests.unit.agent.conftest import Machine


def power_cut(machine: Machine, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Boot the host: what is in memory is gone, and systemd does what files tell it to.

    Sockets stay, because the servers behind them are this test's own.
    """
    runtime = machine.root / "run/sample"
    for path in runtime.iterdir():
        if path.is_symlink() or path.is_file():
            path.unlink()
    shutil.rmtree(machine.root / "run/changeover", ignore_errors=True)
    for path in (machine.root / "units").iterdir():
        path.unlink()
    boot = machine.root / "etc/tmpfiles.d/changeover-sample.conf"
    for line in boot.read_text().splitlines() if boot.exists() else []:
        kind, _, rest = line.partition(" ")
        path = machine.root / rest.split()[0].lstrip("/")
        if kind in {"L+!", "r!"}:
            path.unlink(missing_ok=True)
        if kind == "L+!":
            path.symlink_to(rest.split()[-1])
    wanted = machine.root / "etc/systemd/system/multi-user.target.wants"
    for path in wanted.iterdir():
        (machine.root / "units" / path.name).write_text("active\n")
    machine.host.programs.run("systemctl", "reload", "nginx")
    identity = machine.root / "boot-id"
    identity.write_text(f"boot-{number}\n")
    monkeypatch.setattr(clock, "BOOT_ID", identity)


def decided(machine: Machine) -> str:
    """Return the colour that is live, once it is held to be all that this host knows of."""
    state = machine.do("state")
    live = state["live"]
    assert state["pending"] is None
    assert live == state["confirmed"]
    (served,) = [entry for entry in state["releases"] if entry["colour"] == live]
    assert served["running"]
    boot = machine.root / "etc/systemd/system/multi-user.target.wants"
    # One that was killed before it unwanted the other leaves that warm: users are not on it.
    assert any(live in path.name for path in boot.iterdir())
    site = durable.read_link(machine.root / "etc/nginx/sites-enabled/sample.conf")
    assert site is not None
    assert live in site
    return str(live)


@pytest.mark.parametrize("during", ["switch", "confirm", "deadman", "revert"])
def test_it_is_decided_and_the_deployment_ends_either_way(
    proxied: Machine, monkeypatch: pytest.MonkeyPatch, during: str
) -> None:
    old, new = two(proxied)
    ends: set[str] = set()
    number, came = 0, True
    while came:
        number += 1
        deployment = f"d{number + 10}"
        switch = {"colour": new, "deadman_seconds": 9, "closing_seconds": 0}
        if during != "switch":
            proxied.do("switch", deployment, **switch)
        came = cut(proxied, number, during, deployment, switch)
        power_cut(proxied, monkeypatch, number)

        live = decided(proxied)

        ends.add(live)
        assert during == "confirm" or live == old, f"killed at point {number}"
        timer = proxied.root / f"var/lib/changeover/sample/deadman-{deployment}.json"
        if timer.exists():
            assert deadman(proxied, deployment) == 0
            assert decided(proxied) == live, "a dead-man from before the boot changes nothing"
        if live == old:
            refused = proxied.refuse("confirm", deployment, colour=new)
            assert refused["error"] in {"rebooted", "not-live", "deadman-fired"}
            proxied.do("start", colour=new, timeout_seconds=5)
            proxied.do("switch", deployment, **switch)
        proxied.do("confirm", deployment, colour=new)
        assert picture(proxied)["live"] == picture(proxied)["confirmed"] == new
        proxied.do("revert", f"{deployment}-back", to=old, closing_seconds=0)
        assert decided(proxied) == old
    assert ends == ({old, new} if during == "confirm" else {old})
    assert 5 < number < MOST_POINTS


def cut(
    machine: Machine, number: int, during: str, deployment: str, switch: dict[str, Any]
) -> bool:
    """Kill what is done at its n-th point; tell whether it came so far."""
    if during == "switch":
        return killed(machine, number, "switch", deployment, **switch)
    if during == "confirm":
        return killed(machine, number, "confirm", deployment, colour=switch["colour"])
    if during == "revert":
        return killed(machine, number, "revert", deployment, of=deployment, closing_seconds=0)
    return deadman_killed(machine, number, deployment)


def deadman_killed(machine: Machine, number: int, deployment: str) -> bool:
    child = os.fork()
    if child == 0:
        Failpoint(number).set()
        os._exit(deadman(machine, deployment))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in {0, 9}, "it ended otherwise than by being killed"
    return code == 9


def test_what_a_dead_man_was_told_before_the_boot_is_gone_once_that_is_taken_back(
    proxied: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = two(proxied)
    proxied.do("switch", "d1", colour=new, deadman_seconds=9, closing_seconds=0)
    power_cut(proxied, monkeypatch, 1)

    proxied.do("revert", "d2", to=old, closing_seconds=0)

    assert list((proxied.root / "var/lib/changeover/sample").glob("deadman-*")) == []


def test_behind_a_page_a_boot_starts_neither_version_until_one_is_told_to_serve(
    proxied: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    default = proxied.root / "etc/nginx/changeover/maintenance.html"
    default.parent.mkdir()
    default.write_text(web.page())
    old = proxied.up("1.0.0", site_text=web.site_text())
    proxied.do("switch", colour=old, closing_seconds=0)
    proxied.do("confirm", colour=old)
    new = proxied.up("2.0.0", site_text=web.site_text())
    proxied.do("maintenance_on", kind="deployment", by="me")
    for colour in (new, old):
        proxied.do("stop", colour=colour, drain_seconds=1, shut=True)

    power_cut(proxied, monkeypatch, 1)

    state = proxied.do("state")
    assert (state["live"], state["confirmed"]) == (old, old)
    assert [entry["colour"] for entry in state["releases"] if entry["running"]] == []

    proxied.do("start", colour=old, timeout_seconds=5)
    power_cut(proxied, monkeypatch, 2)

    assert decided(proxied) == old
