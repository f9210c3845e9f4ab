"""What changes a host runs in a unit of its own: it is seen, outlives its session, is adopted and ended."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.agent import bundles

from .host import APP, NONCE, first, wait_for

if TYPE_CHECKING:
    from .host import Site

pytestmark = pytest.mark.lab

LISTED = "systemctl list-units --plain --no-legend 'changeover-*.scope'"
UNIT = f"changeover-{APP}-d2-"


def draining(site: Site) -> tuple[str, dict[str, Any]]:
    """Return a colour that does not drain by itself, and the request that has it stopped."""
    unit = bundles.UNIT.format(app=APP, version="1.0.0", sockets="http")
    unit = unit.replace("sample_app.py http", "sample_app.py --deaf http")
    old = first(site, unit_text=unit.replace("TimeoutStopSec=15", "TimeoutStopSec=500"))
    new = site.up("1.1.0", site_text=bundles.site(APP, "a", "http"))
    site.do("switch", "d2", colour=new, deadman_seconds=0, closing_seconds=0)
    site.do("confirm", "d2", colour=new)
    return old, {"action": "stop", "colour": old, "drain_seconds": 400}


def at_work(site: Site) -> list[str]:
    return [run["action"] for run in site.do("state")["at_work"]]


def test_a_drain_is_named_outlives_its_session_and_is_adopted(site: Site) -> None:
    old, stop = draining(site)
    with site.begin(stop, deployment="d2") as session:
        wait_for(lambda: at_work(site) == ["stop"])
        (listed,) = site.root(LISTED).splitlines()
        session.kill()
    site.root("systemctl restart ssh")

    unit = listed.split()[0]
    assert unit.startswith(UNIT)
    assert "stop of d2" in listed
    processes = site.root(
        f"cat /sys/fs/cgroup/*/system.slice/{unit}/cgroup.procs"
        f" /sys/fs/cgroup/system.slice/{unit}/cgroup.procs 2>/dev/null; true"
    )
    assert processes, "its process is in the unit's own control group"
    with site.begin(stop, deployment="d2") as later:
        assert later.stdout
        said = ""
        while "followed" not in said:
            said = later.stdout.readline().decode()
        site.root(f"systemctl kill --signal=KILL '{APP}-*@{old}.service'")
        answer = json.loads(later.stdout.readlines()[-1])

    assert answer["type"] == "done"
    assert answer["result"]["adopted"]
    wait_for(lambda: not site.root(LISTED))
    records = site.do("journal", lines=20)["records"]
    begun = [one for one in records if one["action"] == "stop" and one["phase"] == "intent"]
    assert len(begun) == 1, "it was begun once"


def test_who_takes_the_lease_over_ends_what_may_be_cut(site: Site) -> None:
    _, stop = draining(site)
    with site.begin(stop, deployment="d2") as session:
        wait_for(lambda: at_work(site) == ["stop"])
        before = site.number
        thief = {"action": "steal", "owner": "thief", "reason": "tests", "ttl_seconds": 600}
        stolen = site.ask({**thief, "nonce": NONCE[::-1]}, deployment="d3")[-1]["result"]
        fence = {"number": stolen["number"], "nonce": NONCE[::-1]}
        ended = site.ask({"action": "end"}, fence=fence, deployment="d3")[-1]["result"]
        refused = site.refuse("end", "d2")
        session.wait(timeout=60)

    assert stolen["number"] == before + 1
    assert [run["action"] for run in ended["ended"]] == ["stop"]
    assert (ended["awaited"], ended["left"]) == ([], [])
    assert at_work(site) == []
    assert refused["error"] == "fenced"
