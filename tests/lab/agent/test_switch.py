"""Switches on a real host: nothing is lost, and the end of the session changes nothing."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from typing import TYPE_CHECKING

import pytest
from tests.unit.agent import bundles

from .host import APP, NONCE, Load, first, wait_for

if TYPE_CHECKING:
    from .host import Site

pytestmark = pytest.mark.lab


def test_a_first_deployment_serves(site: Site) -> None:
    colour = first(site)

    status, headers, body = site.get()

    assert status == 200
    assert headers["X-Site"] == "a"
    assert json.loads(body)["version"] == "1.0.0"
    state = site.do("state")
    assert (state["live"], state["confirmed"], state["previous"]) == (colour, colour, None)
    assert state["pending"] is None


def test_twenty_switches_lose_no_post(site: Site) -> None:
    text = bundles.site(APP, "a", "http")
    old = first(site, site_text=text)
    new = site.up("1.1.0", site_text=text)
    load = Load(site.address)

    with load.running():
        for turn in range(10):
            there, _ = site.all(
                f"turn-{turn}",
                {"action": "switch", "colour": new, "deadman_seconds": 60},
                {"action": "confirm", "colour": new},
            )
            back = site.do("revert", f"turn-{turn}-back")
            assert (there["reloaded"], back["reloaded"]) == (False, False)
            assert (back["from"], back["to"]) == (new, old)

    assert load.failed == []
    assert load.versions == {"1.0.0", "1.1.0"}
    assert load.done > 500
    assert site.live == old


def test_a_switch_that_changes_the_site_loses_no_post(site: Site) -> None:
    old = first(site)
    new = site.up("2.0.0", sockets=("http", "ws"), site_text=bundles.site(APP, "b", "http", "ws"))
    load = Load(site.address)

    with load.running():
        for turn in range(3):
            deployment = f"turn-{turn}"
            answer = site.do("switch", deployment, colour=new, deadman_seconds=60)
            assert (answer["reloaded"], answer["left_open"]) == (True, 0)
            assert site.get("/ws")[0] == 200
            site.do("confirm", deployment, colour=new)
            back = site.do("revert", f"{deployment}-back", to=old)
            assert (back["reloaded"], back["left_open"]) == (True, 0)
            assert site.get()[1]["X-Site"] == "a"

    assert load.failed == []
    assert load.versions == {"1.0.0", "2.0.0"}


def test_an_idle_connection_is_waited_for_and_no_longer_than_told(site: Site) -> None:
    first(site)
    text = bundles.site(APP, "b", "http", "ws")
    new = site.up("2.0.0", sockets=("http", "ws"), site_text=text)
    idle = http.client.HTTPConnection(site.address, 8080, timeout=10)
    with contextlib.closing(idle):
        idle.request("GET", "/")
        idle.getresponse().read()
        began = time.monotonic()

        answer = site.do("switch", "d2", colour=new, deadman_seconds=60, closing_seconds=3)

        assert answer["left_open"] == 1
        assert time.monotonic() - began > 3
    back = site.do("revert", "d2", closing_seconds=60)
    assert back["left_open"] == 0


def test_an_action_outlives_its_ssh_session(site: Site) -> None:
    first(site)
    new = site.up("2.0.0", sockets=("http", "ws"), site_text=bundles.site(APP, "b", "http", "ws"))
    request = {
        "protocol": 1,
        "agent": "",
        "app": APP,
        "deployment": "d2",
        "fence": {"number": site.number, "nonce": NONCE},
        "actions": [
            {"id": "switch", "action": "switch", "colour": new, "closing_seconds": 5},
            {"id": "confirm", "action": "confirm", "colour": new},
        ],
    }
    agent = "sudo -n /usr/local/lib/changeover/agent"
    command = f"sh -c 'echo $PPID $$; exec {agent}'"

    idle = http.client.HTTPConnection(site.address, 8080, timeout=10)
    with contextlib.closing(idle):
        idle.request("GET", "/")
        idle.getresponse().read()
        site.cut(command, json.dumps(request).encode())
        assert site.get()[1]["X-Site"] == "a", "it was cut too late to prove anything"

        wait_for(lambda: site.live == new and site.get()[1]["X-Site"] == "b")
    state = site.do("state")
    assert state["pending"]["deployment"] == "d2", "the next action must not be begun"
    assert "closing" not in site.root("ls /run/sample")
    site.do("confirm", "d2", colour=new)
