"""What a deployment placed is taken away again, wherever its placement was killed, and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.unit.agent import bundles
from tests.unit.agent.conftest import APP, NONCE
from tests.unit.agent.test_killed import MOST_POINTS, killed

from changeover.agent.colour import manifest
from changeover.agent.system import durable

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.agent.conftest import Machine

KEPT = {"journal.jsonl", "agent.lock", "way-back.lock", "lock.json", "fence.json", "lease.lock"}


def everything(machine: Machine) -> dict[str, str]:
    """Return what is below the root, but for what tells of the past and of who holds what."""
    found = {}
    for path in sorted(machine.root.rglob("*")):
        if path.name not in KEPT and not path.name.startswith("log"):
            found[str(path.relative_to(machine.root))] = _content(path)
    return found


def _content(path: Path) -> str:
    said = durable.read_link(path)
    return said or (path.read_bytes().hex() if path.is_file() else "")


def test_a_placement_killed_anywhere_is_taken_away_without_a_trace(machine: Machine) -> None:
    live = machine.up("1.0.0")
    machine.do("switch", colour=live)
    machine.do("confirm", colour=live)
    machine.do("withdraw", "d2", of="d2")
    before = everything(machine)
    number, came = 0, True
    while came:
        number += 1
        digest = bundles.make(machine.incoming, machine.key, APP, "2.0.0", code={"a": b"b"})
        came = killed(machine, number, "place", "d2", digest=digest, env={"A": "b"})
        machine.do("withdraw", "d3", of="d2")
        assert everything(machine) == before, f"killed at point {number}"
    assert 10 < number < MOST_POINTS


def test_a_colour_of_another_deployment_and_the_way_back_stay(machine: Machine) -> None:
    before, live = machine.up("1.0.0"), machine.up("2.0.0")
    for colour in (before, live):
        machine.do("switch", "d1", colour=colour)
        machine.do("confirm", "d1", colour=colour)
    digest = bundles.make(machine.incoming, machine.key, APP, "3.0.0")
    machine.do("place", "d7", digest=digest, env={})

    assert machine.do("withdraw", "d2", of="d1")["skipped"]

    placed = [each["version"] for each in machine.do("state")["releases"]]
    assert placed == ["1.0.0", "2.0.0", "3.0.0"]


def test_an_upload_of_what_is_there_already_does_not_stay(machine: Machine) -> None:
    machine.place("1.0.0")
    digest = bundles.make(machine.incoming, machine.key, APP, "1.0.0")

    assert machine.do("place", digest=digest, env={"A": "b"})["skipped"]

    assert list(machine.incoming.iterdir()) == []


def test_an_upload_may_be_that_of_another_app_that_holds_a_lease(machine: Machine) -> None:
    (machine.incoming / "cut-off.part").write_text("half")
    other = machine.root / f"var/lib/changeover/{APP}-api"
    other.mkdir(parents=True)
    mine = json.loads((machine.root / f"var/lib/changeover/{APP}/lock.json").read_text())
    (other / "lock.json").write_text(json.dumps(mine | {"nonce": NONCE[::-1]}))

    machine.do("withdraw")
    assert [path.name for path in machine.incoming.iterdir()] == ["cut-off.part"]

    (other / "lock.json").unlink()
    machine.do("withdraw")
    assert list(machine.incoming.iterdir()) == []


def test_a_release_whose_removal_was_cut_off_where_it_stands_goes_and_what_serves_stays(
    machine: Machine,
) -> None:
    live, old = machine.up("2.0.0"), machine.up("1.0.0")
    machine.do("switch", colour=live)
    machine.do("confirm", colour=live)
    for colour in (live, old):
        (machine.root / f"opt/{APP}/releases/{colour}/{manifest.SUMMARY}").unlink()

    machine.do("withdraw", "d2")

    left = machine.root / f"opt/{APP}/releases"
    assert [path.name for path in left.iterdir()] == [live]
