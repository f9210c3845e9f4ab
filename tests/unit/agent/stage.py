"""Two colours on a host: the usual beginning of a test, and the picture taken at its end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.unit.agent import bundles
from tests.unit.agent.conftest import APP

from changeover.agent import main
from changeover.agent.system import durable

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.agent.conftest import Machine

BOTH = ("http", "ws")


def site(*sockets: str) -> str:
    return bundles.site(APP, "-".join(sockets), *sockets)


def two(machine: Machine) -> tuple[str, str]:
    """Return a confirmed colour with one socket and a started one whose site needs two."""
    old = machine.up("1.0.0", site_text=site("http"))
    machine.do("switch", "d1", colour=old, closing_seconds=0)
    machine.do("confirm", "d1", colour=old)
    new = machine.up("2.0.0", sockets=BOTH, site_text=site(*BOTH))
    return old, new


def picture(machine: Machine) -> dict[str, Any]:
    """Return what users and a boot would get, and what is under way."""
    state = machine.do("state")
    names = ["live", "previous", "confirmed", "pending", "history"]
    enabled = machine.root / "etc/systemd/system/multi-user.target.wants"
    return {
        **{name: state[name] for name in names},
        "served": machine.served,
        "site": durable.read_link(machine.root / "etc/nginx/sites-enabled/sample.conf"),
        "boot": sorted(path.name for path in enabled.iterdir()),
        "closing": list(machine.root.glob("run/*/closing")),
        "runtime": sorted(path.name for path in (machine.root / "run" / APP).iterdir()),
        "nginx": sorted(path.name for path in (machine.root / "etc/nginx").iterdir()),
    }


def honest(machine: Machine) -> None:
    """Hold the host's state against what is there, whatever has just been killed.

    Users are on the confirmed colour, or something is under way that says so and will not be
    forgotten: a dead-man that systemd has, or a revert that nobody gets past.
    """
    state = machine.do("state")
    pending = state["pending"]
    assert state["live"] == durable.read_link(machine.root / "run" / APP / "current")
    timers = list((machine.root / "units").glob("*.timer"))
    if pending:
        assert pending["deadman"] in {None, *(timer.stem for timer in timers)}
        assert {pending["from"], pending["to"]} >= {state["live"]}
    if state["live"] != state["confirmed"]:
        assert pending, "users are where no boot takes them, and nothing says why"
        assert pending["deadman"] or pending["kind"] == "revert"


def deadman(machine: Machine, deployment: str) -> int:
    """Fire the dead-man as systemd would."""
    path = machine.root / f"var/lib/changeover/sample/deadman-{deployment}.json"
    if not path.exists():
        return 0
    about = json.loads(path.read_text())
    assert about == {"app": APP, "deployment": deployment}
    return main._take_back(machine.host, machine.call(deployment))  # noqa: SLF001


def with_more(path: Path, *inside: str) -> None:
    """Write a field that this agent does not know into a record, and into parts of it."""
    record = json.loads(path.read_text())
    for part in (record, *(record[name] for name in inside)):
        part["of_a_later_agent"] = {"kept": 1}
    path.write_text(json.dumps(record))
