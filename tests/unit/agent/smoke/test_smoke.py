"""A colour is asked through an Nginx of its own: the real one, with the site of the template."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.unit.agent.conftest import APP
from tests.unit.agent.smoke.placed import site, up

from changeover.agent.smoke import private_nginx

if TYPE_CHECKING:
    import pytest
    from tests.unit.agent.conftest import Machine
    from websockets.sync.server import Server

WEBSOCKET = {
    "id": "talk",
    "websocket": {
        "path": "/ws",
        "headers": {},
        "subprotocols": [],
        "open_seconds": 60,
        "refused": None,
        "turns": [
            {"send": "hello", "receive": {"json": {"to": "hello"}, "within_seconds": 60}},
        ],
        "close": {"by": "client", "code": 1000, "within_seconds": 60},
    },
}


def asked(machine: Machine, colour: str, *checks: dict[str, Any]) -> dict[str, Any]:
    done = machine.do("smoke", colour=colour, checks=list(checks), host="shop.test")
    return {answer["id"]: answer for answer in done["answers"]} | {"log": done["log"]}


def gone(machine: Machine) -> bool:
    """Tell whether nothing of a private Nginx is left."""
    unit = private_nginx.unit(APP)
    left = [machine.root / "units" / unit, private_nginx.directory(machine.call())]
    return not any(path.exists() for path in left)


def test_a_colour_is_asked_as_users_will_ask_it(real: Machine, chat: list[Server]) -> None:
    live = up(real, site(real), version="1.0.0")
    (real.root / f"run/{APP}/current").symlink_to(live)
    (real.root / f"run/{APP}/closing").touch()
    (real.root / f"run/{APP}/maintenance/on").mkdir(parents=True)
    colour = up(real, site(real), chat)

    answers = asked(
        real,
        colour,
        {"id": "redirect", "scheme": "http", "path": "/a?b=c"},
        {"id": "page", "path": "/a"},
        {"id": "style", "path": "/static/page.css"},
        WEBSOCKET,
    )

    redirect, page, style = (
        dict(answers[name]["headers"]) for name in ("redirect", "page", "style")
    )
    assert answers["redirect"]["status"] == 308
    assert redirect["Location"] == "https://shop.test/a?b=c"
    assert page["X-Frame-Options"] == "DENY"
    seen = json.loads(answers["page"]["body"])
    assert seen["x-forwarded-proto"] == "https"
    assert seen["x-real-ip"].startswith("192.0.2.")
    assert "immutable" in style["Cache-Control"]
    assert "Strict-Transport-Security" in style
    assert answers["talk"]["fault"] is None
    assert gone(real)
    assert "systemctl reload" not in real.noted
    assert (real.root / "var/log/nginx/access.log").read_text() == ""


def test_what_is_wrong_with_a_site_is_seen_before_users_do(
    real: Machine, chat: list[Server]
) -> None:
    text = site(real)
    text = text.replace("http.sock", "htp.sock")
    text = text.replace("proxy_set_header Upgrade $http_upgrade;", "")
    colour = up(real, text, chat)

    answers = asked(
        real, colour, {"id": "page", "path": "/"}, {"id": "style", "path": "/static/no"}, WEBSOCKET
    )

    assert answers["page"]["status"] == 502
    assert "htp.sock failed (2: No such file" in answers["log"]
    assert answers["style"]["status"] == 404
    assert "the upgrade was answered with 4" in answers["talk"]["fault"]
    assert gone(real)


def test_a_site_that_nginx_refuses_is_never_served(real: Machine) -> None:
    colour = up(real, site(real).replace("proxy_read_timeout 60s;", "proxy_read_timeout soon;"))

    failure = real.refuse("smoke", colour=colour, checks=[{"id": "page", "path": "/"}])

    assert failure["error"] == "nginx-invalid"
    assert 'value "soon"' in failure["cause"] or "proxy_read_timeout" in failure["cause"]
    assert gone(real)


def test_what_a_killed_agent_left_is_ended_by_the_next_one(real: Machine) -> None:
    colour = up(real, site(real))
    child = os.fork()
    if child == 0:
        call = real.call()
        release = call.places.release(colour)
        with private_nginx.serving(call, release / "site.conf", colour, 60):
            os._exit(0)
    os.waitpid(child, 0)
    served = int((real.root / "units" / f"{private_nginx.unit(APP)}.pid").read_text())
    assert Path(f"/proc/{served}/cmdline").exists()

    real.do("prune", keep=[colour])

    assert gone(real)


def test_a_colour_that_users_see_is_asked_through_the_live_nginx(
    real: Machine, served: str
) -> None:
    check = {"id": "page", "path": "/", "seconds": 60}

    done = real.do("smoke", colour=served, through="live", checks=[check], host="shop.test")

    (answer,) = done["answers"]
    assert answer["status"] == 200, answer
    assert json.loads(answer["body"])["x-forwarded-proto"] == "https"
    assert "systemd-run" not in real.noted


def test_behind_the_page_of_maintenance_it_is_asked_through_one_of_its_own(
    real: Machine, served: str
) -> None:
    (real.root / f"run/{APP}/maintenance/on").mkdir(parents=True)
    check = {"id": "page", "path": "/"}

    done = real.do("smoke", colour=served, through="live", checks=[check], host="shop.test")

    assert done["answers"][0]["status"] == 200
    assert "systemd-run" in real.noted


def test_what_nginx_removes_at_its_end_is_in_nobodys_way(
    real: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = real.call()
    home = private_nginx.directory(call)
    home.mkdir(parents=True)
    (home / "pid").touch()
    unlink = os.unlink

    def quicker(path: str, **where: int) -> None:
        unlink(path, **where)
        unlink(path, **where)

    monkeypatch.setattr(os, "unlink", quicker)
    private_nginx.end(call)

    assert not home.exists()
