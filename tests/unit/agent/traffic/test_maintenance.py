"""The page of maintenance: an agent's files, Nginx's own answers, no reload in between."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.agent import web
from tests.unit.agent.web import BALANCER, OFFICE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.agent.conftest import Machine
    from tests.unit.agent.web import Web

TOKEN = "0123456789abcdef" * 2
BROWSER = "text/html,application/xhtml+xml,*/*;q=0.8"
LEFT = ("run/sample/maintenance", "var/lib/changeover/.maintenance/sample")
ON: dict[str, Any] = {"by": "me", "retry_after": 90}


@pytest.fixture
def served(proxied: Machine) -> Machine:
    """Return a host whose live colour has the template's site."""
    default = proxied.root / "etc/nginx/changeover/maintenance.html"
    default.parent.mkdir()
    default.write_text(web.page())
    live = proxied.up("1.0.0", site_text=web.site_text())
    proxied.do("switch", colour=live, closing_seconds=0)
    proxied.do("confirm", colour=live)
    return proxied


@pytest.fixture
def nginx(served: Machine) -> Iterator[Web]:
    with web.serving(served.root) as running:
        yield running


def test_users_get_the_page_and_testers_the_app_without_a_reload(
    served: Machine, nginx: Web
) -> None:
    reloads = served.noted.count("reload nginx")
    assert nginx.ask().status == 200

    served.do("maintenance_on", **ON, allow=[OFFICE], tester={"token": TOKEN})

    told, shown = nginx.ask(method="POST"), nginx.ask(Accept=BROWSER)
    assert (told.status, told.headers["retry-after"]) == (503, "90")
    assert json.loads(told.body)["retry_after"] == 90
    assert told.headers["connection"] == "close"
    assert (shown.status, shown.headers["content-type"]) == (503, "text/html; charset=utf-8")
    assert "about <strong>2 minutes</strong>" in shown.body
    assert "@" not in shown.body.partition("<body>")[2]
    for headers in ({"X_Changeover_Tester": TOKEN}, {"Cookie": f"changeover_tester={TOKEN}"}):
        assert nginx.ask(**headers).status == 200
    assert nginx.ask(source=OFFICE).status == 200
    for wrong in ("f" * 32, "../on", "*", "none", ""):
        assert nginx.ask(X_Changeover_Tester=wrong).status == 503
    assert nginx.ask("/health").status == 503
    assert nginx.ask("/health", source=BALANCER).body == "maintenance\n"
    assert nginx.ask("/", source=BALANCER).status == 503
    served.do("maintenance_off")
    assert nginx.ask().status == 200
    assert served.noted.count("reload nginx") == reloads


def test_the_link_of_a_tester_gives_a_browser_its_cookie(served: Machine, nginx: Web) -> None:
    served.do("maintenance_on", **ON, tester={"token": TOKEN})

    given = nginx.ask(f"/.changeover/tester/{TOKEN}")

    assert (given.status, given.headers["location"].rpartition("/")[2]) == (303, "")
    assert given.headers["set-cookie"].startswith(f"changeover_tester={TOKEN}; Path=/;")
    assert nginx.ask(f"/.changeover/tester/{'f' * 32}").status == 404
    assert nginx.ask("/.changeover/maintenance/well").status == 404
    assert TOKEN not in nginx.log.read_text()
    journal = served.root / "var/lib/changeover/sample/journal.jsonl"
    assert TOKEN not in journal.read_text() + json.dumps(served.do("state"))


def test_what_was_answered_meanwhile_is_counted_and_nothing_is_left(
    served: Machine, nginx: Web
) -> None:
    served.do("maintenance_on", **ON)
    for _ in range(3):
        nginx.ask(method="POST")
    nginx.ask("/health", source=BALANCER)

    ended = served.do("maintenance_off")

    assert (ended["on"], ended["answered"]) == (False, 3)
    assert not any((served.root / path).exists() for path in LEFT)
    assert list((served.root / "etc/tmpfiles.d").glob("*maintenance*")) == []
    assert served.do("maintenance_off")["skipped"]


def test_a_person_and_a_deployment_do_not_take_each_others_page_away(
    served: Machine, nginx: Web
) -> None:
    served.do("maintenance_on", "d0", **ON, kind="hand")
    served.do("maintenance_on", "d1", by="me", kind="deployment", tester={"token": TOKEN})

    assert served.refuse("maintenance_off", kind="hand")["error"] == "maintenance-of-deployment"
    assert nginx.ask().headers["retry-after"] == "90"
    assert nginx.ask(X_Changeover_Tester=TOKEN).status == 200
    assert served.do("maintenance_off", kind="deployment")["on"]
    assert nginx.ask(X_Changeover_Tester=TOKEN).status == 503
    assert not served.do("maintenance_off", kind="hand")["on"]


def test_the_page_stays_before_an_app_that_is_not_well(served: Machine, nginx: Web) -> None:
    served.do("maintenance_on", **ON)
    live = served.live
    refused = served.refuse("stop", colour=live, drain_seconds=1)
    assert refused["error"] == "colour-live"
    served.do("stop", colour=live, drain_seconds=1, shut=True)
    for server in served.servers:
        server.shutdown()
        server.server_close()

    assert served.refuse("maintenance_off")["error"] == "unhealthy"
    assert nginx.ask().status == 503


def test_a_page_that_is_on_lets_others_through_where_a_move_was_cut_off_behind_it(
    served: Machine, nginx: Web
) -> None:
    served.do("maintenance_on", **ON, kind="deployment")
    unread = served.root / "run/sample/site-not-read"
    unread.touch()

    assert served.do("state")["maintenance"]["served"]
    served.do("maintenance_on", **ON, kind="deployment", tester={"token": TOKEN})

    assert nginx.ask(X_Changeover_Tester=TOKEN).status == 200
    served.do("maintenance_off", kind="deployment")
    assert served.refuse("maintenance_on", **ON)["error"] == "site-without-maintenance"
    assert served.do("maintenance_on", by="me", kind="checks")["skipped"]


def test_a_site_without_the_page_is_refused_and_nothing_is_changed(proxied: Machine) -> None:
    live = proxied.up("1.0.0", site_text="server { listen 1; }\n")
    proxied.do("switch", colour=live, closing_seconds=0)
    proxied.do("confirm", colour=live)

    refused = proxied.refuse("maintenance_on", **ON)

    assert refused["error"] == "site-without-maintenance"
    assert not any((proxied.root / path).exists() for path in LEFT)
    assert proxied.do("state")["maintenance"] == {"on": False, "served": False}
    for wrong in ("10.0.0.0/8", "192.0.2.7/24", "2001:db8::/64", "../x", "", 7):
        assert proxied.refuse("maintenance_on", **ON, allow=[wrong])["error"] == "bad-address"


def test_a_network_gets_through_and_its_neighbours_do_not(served: Machine, nginx: Web) -> None:
    served.do("maintenance_on", **ON, allow=["127.0.0.8/30", "2001:db8::4/127"])

    asked = {number: nginx.ask(source=f"127.0.0.{number}").status for number in range(7, 13)}

    assert asked == {7: 503, 8: 200, 9: 200, 10: 200, 11: 200, 12: 503}
    shown = served.do("state")["maintenance"]["hand"]["allow"]
    assert shown == ["127.0.0.8/30", "2001:db8::4/127"]
    served.do("maintenance_on", **ON, allow=["127.0.0.9"])
    assert [nginx.ask(source=f"127.0.0.{number}").status for number in (8, 9)] == [503, 200]
    many = [f"10.0.{number}.0/24" for number in range(5)]
    assert served.refuse("maintenance_on", **ON, allow=many)["error"] == "bad-address"
