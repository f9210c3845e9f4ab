"""The private Nginx of a preview on a real host: hardened, unseen by users, gone with its agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.agent import bundles

from .host import APP, first, wait_for

if TYPE_CHECKING:
    from .host import Site

pytestmark = pytest.mark.lab

UNIT = f"changeover-preview-{APP}.service"
HOME = f"/run/changeover/.preview-{APP}"
WORKERS = "pgrep --parent $(cat /run/nginx.pid)"
# Strict enough that nothing of it is left out by accident; 10 is a unit without any protection.
MOST_EXPOSED = 35


def page(path: str = "/") -> dict[str, Any]:
    return {"id": "page", "scheme": "http", "path": path, "seconds": 60}


def state(site: Site) -> str:
    return site.ssh("root", f"systemctl is-active {UNIT}").stdout.decode().strip()


def test_users_do_not_notice_a_preview(site: Site) -> None:
    live = first(site)
    new = site.up("2.0.0", site_text=bundles.site(APP, "b", "http"))
    before = site.root(WORKERS)

    done = site.do("smoke", colour=new, checks=[page()])

    (answer,) = done["answers"]
    assert dict(answer["headers"])["X-Site"] == "b"
    assert '"2.0.0"' in answer["body"]
    assert site.root(WORKERS) == before
    assert site.get()[1]["X-Site"] == "a"
    assert (site.live, state(site)) == (live, "inactive")
    site.root(f"test ! -e {HOME}")
    assert '"answers"' not in site.root(f"cat /var/lib/changeover/{APP}/journal.jsonl")


def test_it_ends_with_an_agent_that_is_killed(site: Site) -> None:
    colour = site.up("1.0.0", site_text=bundles.site(APP, "a", "http"))
    with site.begin({"action": "smoke", "colour": colour, "checks": [page("/hang")]}) as session:
        wait_for(lambda: state(site) == "active")
        site.root(f"systemd-analyze security --threshold={MOST_EXPOSED} {UNIT} >/dev/null")
        assert site.root(f"nsenter -t $(cat {HOME}/nginx.pid) -n ss -Htln") == ""

        site.kill_holder(f"/var/lib/changeover/{APP}/agent.lock")

        wait_for(lambda: state(site) == "inactive")
        session.kill()
    site.do("prune", keep=[colour])
    site.root(f"test ! -e {HOME}")


def test_a_way_back_does_not_wait_for_a_preview(site: Site) -> None:
    old = first(site)
    new = site.up("2.0.0", site_text=bundles.site(APP, "b", "http"))
    checks = [{**page("/hang"), "seconds": 2, "id": str(number)} for number in range(200)]
    with site.begin({"action": "smoke", "colour": new, "checks": checks}) as session:
        wait_for(lambda: state(site) == "active")

        assert site.do("revert", "d2", to=old, closing_seconds=0)["to"] == old

        assert session.stdout
        assert b'"overtaken"' in session.stdout.read()
    assert state(site) == "inactive"
