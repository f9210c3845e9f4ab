"""An app's own migrator as the runner runs and undoes it, on a real database."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.conftest import project, signing_key
from tests.unit.runner.conftest import desk, machines
from tests.unit.runner.desk import failed
from tests.unit.runner.machine import NEW, OLD

from changeover import steps
from changeover.executors import backup as backups
from changeover.executors import migrate
from changeover.executors.backup.rehearsal import Look
from changeover.plan.order import Plan
from changeover.plan.situation import Situation
from changeover.remote.failures import HostUnreachable
from changeover.runner.deployment import forward
from changeover.runner.deployment.apply import apply
from changeover.runner.own import back as own_back
from changeover.runner.own import left as own_left
from changeover.runner.own import migration as own_migration
from changeover.runner.own import migrator as own
from changeover.runner.own import rehearsal as own_rehearsal
from changeover.runner.own import undo as own_undo
from changeover.runner.rehearse.clone import UndoLosesRows
from changeover.verdict import OwnFact, judge

from .own_desk import VERSION, OwnDesk, own_desk
from .own_server import connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.postgres.conftest import Shop
    from tests.unit.runner.desk import Desk

    from changeover.runner.run import Run

__all__ = ["desk", "machines", "project", "signing_key"]
pytestmark = pytest.mark.postgres


@pytest.fixture
def hosts(desk: Desk, shop: Shop, signing_key: Path, monkeypatch: pytest.MonkeyPatch) -> OwnDesk:
    return own_desk(desk, shop, signing_key, monkeypatch)


class Killed(BaseException):
    """What ends a controller in the middle: nothing catches it."""


def applied(desk: OwnDesk) -> None:
    """Have the migrator run, by a deployment before."""
    step = steps.MigrateOwn(id="migrator", colour=NEW, version=VERSION)
    own_migration.run_own(desk.run("d1"), step)


def state(desk: OwnDesk) -> str:
    return migrate.own_rows(desk.shop.owner)[VERSION].state


def killed_while_undoing(desk: OwnDesk) -> None:
    """Have the controller die once the undoing has begun; the host brings it to its end."""

    def die(what: str) -> None:
        assert (what, state(desk)) == ("undo", "undoing")
        desk.execute("undo")
        raise Killed

    desk.at = die
    with pytest.raises(Killed):
        own_undo.run_undo(desk.run("d2"), steps.UndoOwn(id="undo", colour=NEW, version=VERSION))
    desk.at = lambda _: None


def planned() -> Plan:
    """Return a plan that does nothing but run the migrator."""
    situation = Situation(
        environment="demo",
        app="hello",
        live=OLD,
        live_version="1.0.0",
        app_hosts=("one", "two"),
        all_hosts=("one", "two", "three"),
        database_hosts=("three",),
        verdict=judge([]),
    )
    lock = steps.Lock(id="lock", reason=f"deploy {VERSION}", seconds=60)
    run = steps.MigrateOwn(id="migrator", colour=NEW, version=VERSION)
    return Plan(situation=situation, version=VERSION, colour=NEW, steps=(lock, run))


def due(desk: OwnDesk) -> bool:
    run = desk.run("d3")
    releases = desk.desk.project.releases
    found = own.change(run, releases, desk.shop.owner, alone=False, sql_pending=False)
    return found is not None


def test_an_undoing_that_was_cut_off_is_seen_and_not_run_twice(hosts: OwnDesk) -> None:
    applied(hosts)
    before = due(hosts)
    killed_while_undoing(hosts)
    after = due(hosts)

    said = own_left.undone(hosts.run("d3"), VERSION)

    assert (before, after) == (False, True)
    assert "was undone before" in said
    assert state(hosts) == "undone"
    assert [what for what, _ in hosts.asked] == ["command", "undo"]


def test_what_stands_is_left_to_a_real_undoing(hosts: OwnDesk) -> None:
    applied(hosts)

    assert own_left.undone(hosts.run("d2"), VERSION) == ""
    assert state(hosts) == "applied"


@pytest.mark.parametrize(("undone_by", "known"), [("d2", True), ("another", False)])
def test_where_definitions_do_not_tell_the_host_does(
    hosts: OwnDesk, undone_by: str, *, known: bool
) -> None:
    hosts.commands = {"command": "SELECT 1", "undo": "SELECT 1"}
    applied(hosts)
    killed_while_undoing(hosts)
    hosts.left["undo"] = {"deployment": undone_by, "exit": 0}

    if known:
        assert own_left.undone(hosts.run("d3"), VERSION)
        assert state(hosts) == "undone"
    else:
        error = failed(lambda: own_left.undone(hosts.run("d3"), VERSION))
        assert error.exit_code == 2
        assert state(hosts) == "undoing"


def test_nobody_goes_on_beside_a_migrator_that_another_run_began(hosts: OwnDesk) -> None:
    applied(hosts)
    killed_while_undoing(hosts)
    hosts.left |= {"runs": True, "was": "undo of hello"}
    step = steps.Backup(id="backup", hosts=("three",), colour=NEW, version=VERSION, keep=True)

    errors = [
        failed(lambda: apply(hosts.run("d3"), step)),
        failed(lambda: own_left.undone(hosts.run("d3"), VERSION)),
    ]

    assert [(each.exit_code, each.message) for each in errors] == [
        (5, "undo of hello runs on at one")
    ] * 2
    assert ("three", "backup_create") not in hosts.desk.machines.order


def test_a_command_on_a_clone_that_changes_the_live_database_is_red(hosts: OwnDesk) -> None:
    run = hosts.run("d1")
    clone: Any = SimpleNamespace(
        vault=backups.vault_of(run.fleet), place=SimpleNamespace(name="a_clone")
    )

    error = failed(lambda: own_rehearsal.on_clone(run, clone, NEW, "command"))

    assert error.exit_code == 4
    assert "the live schema changed" in error.message
    assert "+CREATE TABLE public.made (" in str(error.cause)


@pytest.mark.parametrize("proved", [True, False])
def test_the_way_back_over_two_migrators_is_judged_over_both(
    hosts: OwnDesk, *, proved: bool
) -> None:
    earlier = migrate.Begun(
        release="2.0.0",
        bundle="b1",
        command=("up",),
        schema_before="s1",
        backup="d0",
        undo_proved=proved,
        deployment="d0",
        host="one",
    )
    ended = migrate.Ended(
        release="2.0.0", state="applied", how="executed", exit=0, seconds=1.0, schema_after="s2"
    )
    with migrate.own_turn(hosts.shop.owner) as turn:
        turn.begin(earlier)
        turn.end(ended)
    run = hosts.run("d1")
    tried = own.Rehearsed(schema_before="", changes=(), undo_proved=True, seconds=1.0)
    run.own = tried
    own_migration.run_own(run, steps.MigrateOwn(id="migrator", colour=NEW, version=VERSION))
    alone = judge([])

    both = own_back.after_run(run, "1.0.0", alone)
    last = own_back.after_run(run, "2.0.0", alone)

    assert (both.kind, last.kind) == ("revert" if proved else "restore", "revert")
    assert "on what 2.0.0/migrator, 3.0.0/migrator leave" in both.because


def test_an_undo_that_was_tried_on_top_of_the_same_migrator_s_run_proves_little() -> None:
    below, pending = (
        OwnFact(id=f"{name}/migrator", undo=True, proved=True) for name in ("2.0.0", "3.0.0")
    )

    assert own_back.ahead([below], pending) == (below, pending)
    assert [each.proved for each in own_back.ahead([below, pending], pending)] == [True, False]


@pytest.mark.parametrize("answers", [True, False])
def test_a_migrator_whose_host_is_lost_is_ended_or_keeps_the_deployment_s_lease(
    hosts: OwnDesk, *, answers: bool
) -> None:
    machines = hosts.desk.machines
    machines.before_deployment()

    def lose(_: str) -> None:
        machines["one"].reachable = answers
        raise HostUnreachable("one does not answer SSH", hint="start the host", host="one")

    hosts.at, hosts.ended = lose, "command of hello"

    error = failed(lambda: forward.walk(hosts.run("d1"), planned()))

    assert error.exit_code == 4
    assert error.message.endswith("; 1.0.0 serves")
    if answers:
        assert "ran on, and was ended half way" in error.message
        assert machines["two"].lock is None
    else:
        assert "may run on at one" in error.message
        assert "changeover resume --env demo takes over" in error.hint
        assert machines["two"].lock is not None
        assert machines["two"].lock["reason"] == f"deploy {VERSION}"
    assert state(hosts) == "running"


@pytest.fixture
def clone(hosts: OwnDesk, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have undoing tried on a copy of what is there when it begins."""
    shop, made = hosts.shop, f"{hosts.shop.name}_clone"

    def look() -> Look:
        with connect(replace(shop.owner, name=made)) as session:
            found = session.execute("SELECT count(*), md5(string_agg(u::text, '|')) FROM users u")
            rows, content = found.fetchone() or (0, "")
        return Look(schema="s", rows={"public.users": rows}, fingerprints={"public.users": content})

    @contextlib.contextmanager
    def cloned(run: Run) -> Iterator[SimpleNamespace]:
        hosts.clone = replace(shop.owner, name=made)
        shop.server.run(f"CREATE DATABASE {made} TEMPLATE {shop.name} OWNER {shop.owner.user}")
        vault = backups.vault_of(run.fleet)
        yield SimpleNamespace(vault=vault, place=hosts.clone, first=look(), look=look)

    monkeypatch.setattr(own_undo, "cloned", cloned)
    yield
    shop.server.run(f"DROP DATABASE IF EXISTS {made} WITH (FORCE)")


@pytest.mark.usefixtures("clone")
@pytest.mark.parametrize("written", [True, False])
def test_an_undo_that_takes_what_was_written_since_touches_the_clone_alone(
    hosts: OwnDesk, *, written: bool
) -> None:
    hosts.commands = {
        "command": "ALTER TABLE users ADD COLUMN nick text",
        "undo": "ALTER TABLE users DROP COLUMN nick",
    }
    with connect(hosts.shop.owner) as session:
        session.execute("CREATE TABLE users (id int); INSERT INTO users VALUES (1), (2)")
    applied(hosts)
    if written:
        with connect(hosts.shop.owner) as session:
            session.execute("UPDATE users SET nick = 'n' WHERE id = 2")
    run = hosts.run("d2")
    step = steps.UndoOwn(id="rehearse", colour=NEW, version=VERSION, clone=True)

    if written:
        error = failed(lambda: own_undo.run_undo(run, step))
        assert (error.exit_code, type(error)) == (6, UndoLosesRows)
        assert error.message == (
            "undoing 3.0.0/migrator would lose what was written since: public.users (2 rows now, 2 kept)"
        )
    else:
        assert own_undo.run_undo(run, step).says.startswith("on a clone nothing is lost")
    assert [what for what, purpose in hosts.asked if purpose == "live"] == ["command"]
    assert hosts.shop.value("SELECT count(nick) FROM users") == written
    assert state(hosts) == "applied"
