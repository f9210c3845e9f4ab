"""A bundle is placed on so many app hosts at a time, and sent to none that has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.unit.runner.machine import NEW

from changeover import steps
from changeover.outcome import Outcome
from changeover.runner.deployment.apply import apply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.unit.runner.desk import Desk

    from changeover.bundle import Bundle
    from changeover.inventory import Host

DIGEST = "b" * 64
Done = list[tuple[str, list[str]]]


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> Done:
    """Return what is sent and placed; sending is a program of its own."""
    found: Done = []

    def upload(_: object, hosts: Sequence[Host], *__: object) -> int:
        found.append(("send", [host.name for host in hosts]))
        return 1_000_000 * len(hosts)

    def place(_: object, hosts: Sequence[Host], *__: object) -> Outcome:
        found.append(("place", [host.name for host in hosts]))
        return Outcome(says="")

    monkeypatch.setattr("changeover.executors.place.upload", upload)
    monkeypatch.setattr("changeover.executors.operate.place", place)
    return found


def placed(desk: Desk, seen: dict[str, Any] | None = None) -> str:
    run = desk.run()
    run.bundle = cast("Bundle", object())
    run.fleet.seen.update(seen or {})
    hosts = tuple(host.name for host in run.app_hosts)
    step = steps.Place(id="place", hosts=hosts, colour=NEW, digest=DIGEST, bundle="b")
    return apply(run, step).says


def test_all_app_hosts_get_it_at_once_unless_another_number_is_set(desk: Desk, done: Done) -> None:
    assert placed(desk) == f"{NEW} is on 2 hosts, 2.0 MB sent"

    assert done == [("send", ["one", "two"]), ("place", ["one", "two"])]


def test_one_host_has_it_before_the_next_one_gets_it(desk: Desk, done: Done) -> None:
    variables = desk.project.variables
    variables.write_text(f"{variables.read_text()}\nchangeover_place_at_once: 1\n")

    assert placed(desk) == f"{NEW} is on 2 hosts, 1 at a time, 2.0 MB sent"

    assert done == [
        *(("send", ["one"]), ("place", ["one"])),
        *(("send", ["two"]), ("place", ["two"])),
    ]


def test_a_host_that_has_it_is_sent_nothing(desk: Desk, done: Done) -> None:
    has = {"releases": [{"colour": NEW, "digest": DIGEST}]}

    placed(desk, {"one": has})

    assert done == [("send", ["two"]), ("place", ["one", "two"])]
