"""WebSockets are counted at a colour's sockets, and what its app tells of their ends is believed so far."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from typing import TYPE_CHECKING

import pytest
from tests.unit.agent import web
from tests.unit.agent.conftest import APP
from tests.unit.agent.stage import site
from websockets.sync.client import unix_connect
from websockets.sync.server import Server, ServerConnection, unix_serve

from changeover.agent.colour import open_websockets, units
from changeover.agent.colour.open_websockets import Drain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.unit.agent.conftest import Machine

SITE = f"""\
server {{
    location / {{ proxy_pass http://unix:/run/{APP}/current/http.sock; }}
    location = /ws {{
        proxy_pass http://unix:/run/{APP}/current/ws.sock;
        proxy_set_header Upgrade $http_upgrade;
    }}
}}
"""
MANY = 4


def listen(connection: ServerConnection) -> None:
    for _ in connection:
        pass


@pytest.fixture
def talking(machine: Machine) -> Iterator[str]:
    """Return a colour whose app holds WebSockets."""
    (machine.root / "proc").symlink_to("/proc")
    colour = machine.place("1.0.0", sockets=("http", "ws"), site_text=SITE)
    machine.listen(colour, "http")
    path = str(machine.root / "run" / APP / colour / "ws.sock")
    server: Server = unix_serve(listen, path)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    machine.do("start", colour=colour, timeout_seconds=5)
    with contextlib.ExitStack() as stack:
        for _ in range(MANY):
            stack.enter_context(unix_connect(path))
        yield colour
    server.shutdown()


def test_the_sockets_are_those_of_the_template(machine: Machine) -> None:
    colour = machine.place("1.0.0", sockets=("http", "ws"), site_text=web.site_text("ws"))

    assert open_websockets._sockets(machine.call(), colour) == {"ws"}  # noqa: SLF001


def told(machine: Machine, colour: str) -> Path:
    return machine.root / "run" / APP / colour / "drained.json"


def test_a_colours_websockets_are_seen(machine: Machine, talking: str) -> None:
    other = machine.up("2.0.0", site_text=site("http"))

    (mine, its) = (entry["websockets"] for entry in machine.do("state")["releases"])
    machine.do("switch", "d1", colour=talking, closing_seconds=0)
    machine.do("confirm", "d1", colour=talking)
    left = machine.do("switch", "d2", colour=other, closing_seconds=0)

    assert (mine, its) == (MANY, 0)
    assert left["websockets"] == MANY


def test_a_drain_tells_what_became_of_them(machine: Machine, talking: str) -> None:
    told(machine, talking).write_text("{}")
    drain = Drain.begin(machine.call(), talking)
    assert not told(machine, talking).exists()

    told(machine, talking).write_text(json.dumps({"websockets": {"1001": 2, "1006": 1}}))

    assert drain.end(killed=False) == {"open": 4, "closed": {"1001": 2}, "cut": 2}


def test_a_colour_that_runs_again_has_nothing_of_its_drain(machine: Machine) -> None:
    colour = machine.up("1.0.0", site_text=SITE)
    machine.do("stop", colour=colour, drain_seconds=0)
    told(machine, colour).write_text('{"websockets": {}}')

    machine.do("start", colour=colour)

    assert not told(machine, colour).exists()


def test_an_app_that_tells_nothing_cut_what_was_open_when_it_was_killed(
    machine: Machine, talking: str
) -> None:
    drain = Drain.begin(machine.call(), talking)

    drain.look()

    assert drain.end(killed=True) == {"open": 4, "closed": None, "cut": 4}
    assert drain.end(killed=False) == {"open": 4, "closed": None, "cut": 0}


@pytest.mark.parametrize(("looks", "cut"), [((4, 3, 0), 3), ((4, 3, 3), 3), ((3, 0, 0), 0)])
def test_a_look_that_comes_after_the_kill_does_not_hide_what_was_cut(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, looks: tuple[int, ...], cut: int
) -> None:
    counts = iter((MANY, *looks))
    monkeypatch.setattr(open_websockets, "open_to", lambda _call, _colour: next(counts))
    monkeypatch.setattr(open_websockets, "forget", lambda _call, _colour: None)
    drain = Drain.begin(machine.call(), "1.0.0-00000000")

    for _ in looks:
        drain.look()

    assert drain.end(killed=True) == {"open": MANY, "closed": None, "cut": cut}


def test_nobody_looks_at_what_systemd_is_killing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    subs = ["stop-sigterm", "stop-sigkill", "final-sigkill", "failed"]
    told = iter(
        [
            units.State(
                name="web",
                active="failed" if sub == "failed" else "deactivating",
                sub=sub,
                result="timeout",
                restarts=0,
                outdated=False,
                exit_status="",
            )
        ]
        for sub in subs
    )
    monkeypatch.setattr(units, "states", lambda _host, _units: next(told))
    monkeypatch.setattr(units, "POLL_SECONDS", 0)
    looks: list[int] = []

    killed = units.stop(machine.call().host, [], 60, lambda: looks.append(1))

    assert (killed, len(looks), list(told)) == (False, 1, [])


@pytest.mark.parametrize(
    "content",
    [
        "no json",
        '{"websockets": [1]}',
        '{"websockets": {"1001": -1}}',
        '{"websockets": {"1001": true}}',
        '{"websockets": {"code": 1}}',
        '{"websockets": {"1001": 1}}' + " " * open_websockets.LONGEST + "x",
        "[" * 5000,
    ],
)
def test_what_an_app_may_not_say_is_not_believed(machine: Machine, content: str) -> None:
    colour = machine.up("1.0.0", site_text=SITE)
    drain = Drain.begin(machine.call(), colour)
    told(machine, colour).write_text(content)

    assert drain.end(killed=False)["closed"] is None


def test_no_file_but_the_apps_own_is_read(machine: Machine) -> None:
    colour = machine.up("1.0.0", site_text=SITE)
    drain = Drain.begin(machine.call(), colour)
    secret = machine.root / "secret"
    secret.write_text('{"websockets": {"1001": 1}}')
    told(machine, colour).symlink_to(secret)

    assert drain.end(killed=False)["closed"] is None

    told(machine, colour).unlink()
    os.mkfifo(told(machine, colour))
    assert drain.end(killed=False)["closed"] is None


def test_a_colour_that_takes_long_to_drain_gets_its_time(machine: Machine) -> None:
    colour = machine.up("1.0.0", site_text=SITE)
    unit = machine.root / "units" / f"{APP}-web@{colour}.service"
    deaf = unit.with_name(f"{unit.name}.deaf")
    deaf.touch()
    looks: list[int] = []

    def look(_: Drain) -> None:
        looks.append(1)
        if len(looks) > 1:
            deaf.unlink(missing_ok=True)
            unit.unlink(missing_ok=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("changeover.agent.colour.processes.STOP_GRACE_SECONDS", 0)
        patch.setattr(Drain, "look", look)
        done = machine.do("stop", colour=colour, drain_seconds=0)

    assert done["killed"] is False
