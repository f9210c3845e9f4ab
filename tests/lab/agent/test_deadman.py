"""The dead-man on a real host, where it is raced, doubled, held back, or cannot be armed at all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.unit.agent import bundles

from .host import APP, first, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .host import Site

pytestmark = pytest.mark.lab
RACES = 6
NGINX = "$(cat /run/nginx.pid)"
LOGIND = "/etc/systemd/logind.conf.d/test.conf"


def unit(deployment: str) -> str:
    return f"changeover-deadman-{APP}-{deployment}"


def decided(site: Site) -> str:
    """Return the colour that is live, once a boot would bring back the same."""
    state = site.do("state")
    assert state["pending"] is None
    assert state["live"] == state["confirmed"]
    assert site.get()[0] == 200
    return str(state["live"])


@pytest.fixture
def refusing(site: Site) -> Iterator[Site]:
    """Yield the host with a systemd-run that refuses everything."""
    site.root("mount --bind /bin/false /usr/bin/systemd-run")
    yield site
    site.root("umount /usr/bin/systemd-run")


@pytest.fixture
def killing(site: Site) -> Iterator[Site]:
    """Yield the host with a logind that kills what a session leaves behind."""
    site.root(
        f"mkdir -p $(dirname {LOGIND}); printf '[Login]\\nKillUserProcesses=yes\\n' >{LOGIND};"
        " systemctl restart systemd-logind"
    )
    yield site
    site.root(f"rm {LOGIND}; systemctl restart systemd-logind")


def test_a_confirmation_that_races_the_timer_is_heard_or_refused_and_both_agree(site: Site) -> None:
    text = bundles.site(APP, "a", "http")
    old = first(site, site_text=text)
    new = site.up("1.1.0", site_text=text)
    for turn in range(RACES):
        deployment = f"turn-{turn}"
        site.do("switch", deployment, colour=new, deadman_seconds=600)
        with (
            site.open("root", f"sleep 0.{5 * turn:02}; systemctl start {unit(deployment)}.service"),
            site.begin({"action": "confirm", "colour": new}, deployment=deployment) as confirming,
        ):
            assert confirming.stdout
            told = json.loads(confirming.stdout.readlines()[-1])
        # The one that came second finds nothing to do, and leaves nothing.
        wait_for(lambda: "deadman" not in site.root("systemctl list-units --all 'changeover-*'"))
        assert not [name for name in site.listed(f"/var/lib/changeover/{APP}") if "deadman" in name]
        live = decided(site)
        assert (live, told.get("error")) in ((new, None), (old, "deadman-fired")), told
        if live == new:
            site.do("revert", f"{deployment}-back", to=old)


def test_one_of_another_deployment_takes_nothing_back(site: Site) -> None:
    text = bundles.site(APP, "a", "http")
    old = first(site, site_text=text)
    new = site.up("1.1.0", site_text=text)
    site.do("switch", "d2", colour=new, deadman_seconds=600)
    about = f"/var/lib/changeover/{APP}/deadman-d2.json"
    kept = site.root(f"cat {about}")
    assert site.refuse("switch", "d3", colour=new)["error"] == "switch-unconfirmed"
    site.do("revert", "d2")
    site.do("switch", "d3", colour=new, deadman_seconds=600)

    # As if it had not been stopped with its switch.
    site.root(f"cat >{about}", kept.encode())
    site.root(f"/usr/local/lib/changeover/agent deadman {about}")

    state = site.do("state")
    assert (state["live"], state["pending"]["deployment"]) == (new, "d3")
    assert unit("d3") in site.root("systemctl list-timers --all --plain")
    site.root(f"systemctl start {unit('d3')}.service")
    assert decided(site) == old


def test_where_none_can_be_armed_nobody_is_switched(refusing: Site) -> None:
    site = refusing
    old = first_without(site)
    new = site.up("1.1.0", site_text=bundles.site(APP, "a", "http"))

    failure = site.refuse("switch", "d2", colour=new, deadman_seconds=600)

    assert failure["error"] == "deadman-failed"
    assert decided(site) == old
    assert not [name for name in site.listed(f"/var/lib/changeover/{APP}") if "deadman" in name]


def first_without(site: Site) -> str:
    switch = {"action": "switch", "deadman_seconds": 0, "closing_seconds": 0}
    text = bundles.site(APP, "a", "http")
    return site.up("1.0.0", switch, {"action": "confirm"}, site_text=text)


def test_it_outlives_sessions_and_systemd_itself(killing: Site) -> None:
    site = killing
    old = first(site)
    new = site.up("1.1.0", site_text=bundles.site(APP, "a", "http"))
    site.do("switch", "d2", colour=new, deadman_seconds=8, closing_seconds=0)

    site.root("systemctl daemon-reexec; systemctl daemon-reload; systemctl restart systemd-logind")
    site.root("systemctl restart ssh")

    wait_for(lambda: site.live == old)
    assert decided(site) == old
    assert site.refuse("confirm", "d2", colour=new)["error"] == "deadman-fired"


def test_an_nginx_that_hangs_keeps_users_where_they_are(site: Site) -> None:
    old = first(site)
    new = site.up("2.0.0", sockets=("http", "ws"), site_text=bundles.site(APP, "b", "http", "ws"))
    site.root(f"kill -STOP {NGINX}")
    try:
        failure = site.refuse("switch", "d2", colour=new, closing_seconds=0)
        assert site.get()[1]["X-Site"] == "a"
    finally:
        site.root(f"kill -CONT {NGINX}")

    assert failure["error"] == "nginx-failed", failure
    assert decided(site) == old
    assert site.get()[1]["X-Site"] == "a"
    assert "closing" not in site.listed(f"/run/{APP}")
    site.do("switch", "d3", colour=new, closing_seconds=0)
    assert site.get()[1]["X-Site"] == "b"
