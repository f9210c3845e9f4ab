"""A share of the clients: begun and ended by a rename, renewed, and over by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.unit.agent.conftest import APP
from tests.unit.agent.stage import picture, site, with_more

from changeover.agent.failure import ActionError
from changeover.agent.system import clock, durable
from changeover.agent.system.clock import Moment
from changeover.agent.traffic import canary_log, share

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.agent.conftest import Machine

HOOK = f"# /run/{APP}/canary/\n"
BUCKETS = 100


def two(machine: Machine, *, hook: str = HOOK) -> tuple[str, str]:
    """Return a live colour whose site knows shares, and one that runs beside it."""
    text = hook + site("http")
    old = machine.up("1.0.0", site_text=text)
    machine.do("switch", "d1", colour=old, closing_seconds=0)
    machine.do("confirm", "d1", colour=old)
    log = machine.root / "var/log/nginx/sample-canary.log"
    log.parent.mkdir(parents=True)
    log.touch()
    return old, machine.up("2.0.0", site_text=text)


def run(machine: Machine) -> Path:
    return machine.root / "run" / APP


def shared(machine: Machine) -> set[str]:
    """Return the buckets that Nginx would send to the next colour."""
    return {path.name for path in (run(machine) / "canary").glob("*")}


def goes_to(machine: Machine) -> str:
    """Return the colour that a client of the share gets, as the file system leads there."""
    return (run(machine) / "next").resolve().name


def test_a_share_grows_by_the_same_clients_and_ends_with_nobody_on_the_new_colour(
    proxied: Machine,
) -> None:
    old, new = two(proxied)
    reloads = proxied.noted.count("reload nginx")
    found = []
    for percent in (5, 25, 50):
        proxied.do("canary", "d2", colour=new, percent=percent, seconds=30)
        found.append(shared(proxied))
        assert goes_to(proxied) == new

    assert [len(each) for each in found] == [5, 25, 50]
    assert found[0] < found[1] < found[2] < {f"{number:02d}" for number in range(BUCKETS)}
    assert proxied.do("state")["canary"]["percent"] == 50
    ended = proxied.do("canary_end", "d2")

    assert (ended["ended"], shared(proxied), goes_to(proxied)) == (True, set(), old)
    assert proxied.do("state")["canary"] is None
    assert proxied.do("canary_end", "d2")["skipped"]
    assert proxied.noted.count("reload nginx") == reloads


@pytest.mark.parametrize("way", ["switch", "revert", "stop"])
def test_whatever_moves_users_or_stops_the_colour_ends_its_share(
    proxied: Machine, way: str
) -> None:
    old, new = two(proxied)
    proxied.do("canary", "d2", colour=new, percent=50, seconds=30)

    if way == "revert":
        proxied.do("revert", "d2", of="d2", closing_seconds=0)
    else:
        proxied.do(way, "d2", colour=new)

    live = new if way == "switch" else old
    assert (proxied.live, goes_to(proxied), shared(proxied)) == (live, live, set())


def test_a_share_that_is_not_renewed_is_over_and_one_that_is_lives_on(
    proxied: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = two(proxied)
    moment = [clock.now()]
    place = proxied.do("canary", "d2", colour=new, percent=50, seconds=30)["place"]
    monkeypatch.setattr(clock, "now", lambda: moment[0])
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        later = moment[0].uptime + seconds
        moment[0] = Moment(moment[0].wall, moment[0].boot, later)
        if sum(slept) == 27:
            proxied.do("canary_look", "d2", colour=new, place=place)

    assert share.watch(proxied.call("d2"), sleep)
    assert (goes_to(proxied), shared(proxied)) == (old, set())
    assert sum(slept) >= 57
    gone = proxied.refuse("canary_look", "d2", colour=new, place=place)
    assert gone["error"] == "canary-over"
    assert "not renewed in time" in gone["message"]


def test_a_unit_that_finds_its_share_renewed_in_the_last_moment_waits_on(
    proxied: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = two(proxied)
    proxied.do("canary", "d2", colour=new, percent=50, seconds=30)
    call = proxied.call("d2")
    stale = share.read(call.places)
    assert stale
    late = Moment(0, "", stale.until)
    seen = [late, clock.now()]
    monkeypatch.setattr(clock, "now", lambda: seen.pop(0) if seen else late)

    assert share.watch(call, lambda _: None)
    assert (goes_to(proxied), shared(proxied), seen) == (old, set(), [])


def test_a_share_that_begins_anew_is_not_left_to_a_unit_that_may_be_at_its_end(
    proxied: Machine,
) -> None:
    _, new = two(proxied)
    begun = "systemd-run --unit=changeover-canary-sample-d2"
    proxied.do("canary", "d2", colour=new, percent=5, seconds=30)
    assert proxied.noted.count(begun) == 1
    proxied.do("canary", "d2", colour=new, percent=25, seconds=30)
    assert proxied.noted.count(begun) == 1
    assert share.end(proxied.call("d2"))

    proxied.do("canary", "d2", colour=new, percent=5, seconds=30)

    assert proxied.noted.count(begun) == 2


def test_where_the_live_site_knows_no_shares_nobody_is_moved(proxied: Machine) -> None:
    _, new = two(proxied, hook="")
    before = picture(proxied)

    refused = proxied.refuse("canary", "d2", colour=new, percent=5, seconds=30)

    assert refused["error"] == "no-canary-hook"
    assert picture(proxied) == before
    assert proxied.do("state")["shares"] is False


def test_a_colour_that_lacks_a_socket_of_the_live_site_gets_nobody(proxied: Machine) -> None:
    text = HOOK + site("http", "ws")
    old = proxied.up("1.0.0", sockets=("http", "ws"), site_text=text)
    proxied.do("switch", "d1", colour=old, closing_seconds=0)
    proxied.do("confirm", "d1", colour=old)
    new = proxied.up("2.0.0", site_text=HOOK + site("http"))

    refused = proxied.refuse("canary", "d2", colour=new, percent=5, seconds=30)

    assert (refused["error"], shared(proxied)) == ("canary-unfit", set())
    assert "ws" in refused["message"]


def test_users_who_were_switched_are_not_shared(proxied: Machine) -> None:
    _, new = two(proxied)
    proxied.do("switch", "d2", colour=new, closing_seconds=0)

    answer = proxied.do("canary", "d2", colour=new, percent=5, seconds=30)

    assert (answer["live"], answer["skipped"], shared(proxied)) == (True, True, set())


def test_a_share_without_anything_that_would_end_it_is_not_begun(proxied: Machine) -> None:
    _, new = two(proxied)
    (proxied.root / "bin/systemd-run").write_text("#!/bin/sh\nexit 1\n")
    (proxied.root / "bin/systemctl").write_text("#!/bin/sh\nexit 3\n")

    refused = proxied.request(
        {"action": "canary", "colour": new, "percent": 5, "seconds": 30}, deployment="d2"
    )[-1]

    assert (refused["type"], refused["error"]) == ("failed", "canary-unwatched")
    assert shared(proxied) == set()


def line(side: str, status: int, seconds: str) -> str:
    return f"/run/{APP}/{side}/ {status} {seconds}\n"


def test_the_log_is_counted_once_a_colour_over_a_rotation(tmp_path: Path) -> None:
    log = tmp_path / "canary.log"
    log.write_text(line("next", 200, "0.001"))
    begun = canary_log.end(log)
    with log.open("a") as stream:
        stream.write(line("next", 200, "0.004") + line("next", 503, "0.250"))
        stream.write(line("current", 401, "1.234") + line("current", 101, "300.0"))
        stream.write("/run/sample/next/ 304 -\n/run/sample/next/ 20")

    first, place = canary_log.read(log, begun)

    assert first["new"] == {"requests": 2, "errors": 1, "milliseconds": {"4": 1, "250": 1}}
    assert first["old"] == {"requests": 1, "errors": 0, "milliseconds": {"1230": 1}}
    with log.open("a") as stream:
        stream.write("0 0.002\n")
    log.rename(tmp_path / "canary.log.1")
    log.write_text(line("next", 500, "0.003"))
    second, place = canary_log.read(log, place)
    assert second["new"] == {"requests": 2, "errors": 1, "milliseconds": {"2": 1, "3": 1}}
    assert canary_log.read(log, place)[0]["new"]["requests"] == 0

    (tmp_path / "canary.log.1").unlink()
    log.rename(tmp_path / "elsewhere")
    durable.write(log, b"")
    with pytest.raises(ActionError) as lost:
        canary_log.read(log, place)
    assert lost.value.error == "log-lost"


def test_a_share_that_a_later_agent_recorded_is_shown_renewed_and_ended(proxied: Machine) -> None:
    old, new = two(proxied)
    place = proxied.do("canary", "d2", colour=new, percent=5, seconds=30)["place"]
    (record,) = proxied.root.rglob("canary.json")
    with_more(record)

    assert proxied.do("state")["canary"]["percent"] == 5
    proxied.do("canary_look", "d2", colour=new, place=place)
    with_more(record)
    assert proxied.do("canary_end", "d2")["ended"]
    assert goes_to(proxied) == old
