"""What takes a switch back: the dead-man, a reboot, a revert."""

from __future__ import annotations

import contextlib
import http.client
import json
from typing import TYPE_CHECKING

import pytest
from tests.unit.agent import bundles

from .host import APP, first, wait_for

if TYPE_CHECKING:
    from .host import Site

pytestmark = pytest.mark.lab


def test_the_deadman_takes_an_unconfirmed_switch_back(site: Site) -> None:
    old = first(site)
    new = site.up("2.0.0", sockets=("http", "ws"), site_text=bundles.site(APP, "b", "http", "ws"))
    site.do("switch", "d2", colour=new, deadman_seconds=3, closing_seconds=0)
    assert site.get()[1]["X-Site"] == "b"

    wait_for(lambda: site.live == old and site.do("state")["pending"] is None)

    assert site.get()[1]["X-Site"] == "a"
    assert json.loads(site.get()[2])["version"] == "1.0.0"
    failure = site.refuse("confirm", "d2", colour=new)
    assert failure["error"] == "deadman-fired"
    records = site.do("journal", lines=10)["records"]
    phases = [record["phase"] for record in records if record["action"] == "deadman"]
    assert phases == ["intent", "done"]


def test_a_confirmed_switch_stays(site: Site) -> None:
    first(site)
    new = site.up("1.1.0")
    site.do("switch", "d2", colour=new, deadman_seconds=600, closing_seconds=0)

    listed = "systemctl list-units --all --plain 'changeover-*'"
    assert "deadman" in site.root(listed)

    assert site.do("confirm", "d2", colour=new)["confirmed"] == new

    assert site.live == new
    assert "deadman" not in site.root(listed)
    assert site.do("confirm", "d2", colour=new)["skipped"]


def test_a_reboot_takes_an_unconfirmed_switch_back(site: Site) -> None:
    old = first(site)
    new = site.up("2.0.0", sockets=("http", "ws"), site_text=bundles.site(APP, "b", "http", "ws"))
    site.do("switch", "d2", colour=new, deadman_seconds=600, closing_seconds=0)

    site.reboot()

    wait_for(lambda: site.get()[0] == 200)
    status, headers, body = site.get()
    assert (status, headers["X-Site"]) == (200, "a")
    assert json.loads(body)["version"] == "1.0.0"
    state = site.do("state")
    assert (state["live"], state["confirmed"], state["pending"]) == (old, old, None)
    running = {release["colour"]: release["running"] for release in state["releases"]}
    assert running == {old: True, new: False}
    assert site.refuse("confirm", "d2", colour=new)["error"] == "rebooted"


def test_a_reboot_brings_a_confirmed_colour_back(site: Site) -> None:
    first(site)
    new = site.up("2.0.0", sockets=("http", "ws"), site_text=bundles.site(APP, "b", "http", "ws"))
    site.do("switch", "d2", colour=new, deadman_seconds=600, closing_seconds=0)
    site.do("confirm", "d2", colour=new)

    site.reboot()

    wait_for(lambda: site.get()[0] == 200)
    assert site.get()[1]["X-Site"] == "b"
    assert site.live == new


def test_a_revert_starts_a_colour_that_no_longer_runs(site: Site) -> None:
    old = first(site)
    new = site.up("2.0.0", sockets=("http", "ws"), site_text=bundles.site(APP, "b", "http", "ws"))
    site.do("switch", "d2", colour=new, deadman_seconds=60, closing_seconds=0)
    site.do("confirm", "d2", colour=new)
    assert "drained" in site.do("stop", "d2", colour=old, drain_seconds=5)["log_tail"]

    answer = site.do("revert", "d3", closing_seconds=0)

    assert (answer["from"], answer["to"]) == (new, old)
    assert site.get()[1]["X-Site"] == "a"
    state = site.do("state")
    assert (state["live"], state["confirmed"], state["previous"]) == (old, old, None)
    assert site.do("revert", "d3", closing_seconds=0)["skipped"]
    assert site.do("revert", "d4", of="d2", closing_seconds=0)["skipped"]


def test_a_revert_goes_before_a_drain_that_does_not_end(site: Site) -> None:
    unit = bundles.UNIT.format(app=APP, version="1.0.0", sockets="http")
    unit = unit.replace("sample_app.py http", "sample_app.py --deaf http")
    old = first(site, unit_text=unit.replace("TimeoutStopSec=15", "TimeoutStopSec=500"))
    new = site.up("1.1.0", site_text=bundles.site(APP, "a", "http"))
    site.do("switch", "d2", colour=new, deadman_seconds=0, closing_seconds=0)
    site.do("confirm", "d2", colour=new)

    with site.begin({"action": "stop", "colour": old, "drain_seconds": 400}, deployment="d2") as it:
        wait_for(lambda: "deactivating" in str(site.do("state")["releases"]))
        answer = site.do("revert", "d3", closing_seconds=0)
        assert it.stdout
        drained = json.loads(it.stdout.readlines()[-1])

    assert (answer["from"], answer["to"]) == (new, old)
    assert (drained["type"], drained["error"]) == ("failed", "overtaken")
    assert json.loads(site.get()[2])["version"] == "1.0.0"
    assert site.refuse("stop", "d2", colour=old)["error"] == "colour-live"


def test_a_switch_whose_agent_is_killed_is_told_and_finished(site: Site) -> None:
    old = first(site)
    new = site.up("2.0.0", sockets=("http", "ws"), site_text=bundles.site(APP, "b", "http", "ws"))
    switch = {"action": "switch", "colour": new, "deadman_seconds": 300}
    idle = http.client.HTTPConnection(site.address, 8080, timeout=10)
    with contextlib.closing(idle):
        idle.request("GET", "/")
        idle.getresponse().read()
        with site.begin({**switch, "closing_seconds": 60}, deployment="d2"):
            wait_for(lambda: "closing" in site.listed("/run/sample"))
            site.kill_holder("/var/lib/changeover/sample/agent.lock")

    state = site.do("state")
    assert (state["live"], state["confirmed"]) == (new, old)
    assert (state["pending"]["from"], state["pending"]["to"]) == (old, new)
    assert state["pending"]["deadman"] == "changeover-deadman-sample-d2"
    assert site.get()[1]["X-Site"] == "a"

    site.do("switch", "d2", colour=new, deadman_seconds=300, closing_seconds=0)

    assert site.get()[1]["X-Site"] == "b"
    assert "closing" not in site.listed("/run/sample")
    assert site.do("confirm", "d2", colour=new)["confirmed"] == new
    assert site.do("state")["pending"] is None
