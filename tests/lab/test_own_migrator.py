"""A release with a migrator of its own: cut off and resumed, gone back from, undone, and failing half way."""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from .live import LIVE, back_to_live
from .own_migrator import GATE, ONLY_THERE, VERSION, owner_password, sql, user_of, variant

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from .conftest import Lab
    from .live import Event, User

pytestmark = pytest.mark.lab
MIGRATOR_ROW = "SELECT state, how, exit, undo_proved FROM changeover.own"
STEPS = "SELECT string_agg(name, ',' ORDER BY id) FROM pgmigrations"
NOTES = "SELECT to_regclass('notes') IS NOT NULL"
# Where a password must not be found: the log, what the agent keeps, files in memory, unit files.
PLACES = "journalctl --no-pager; cat /var/lib/changeover/nox-api/*.json* /var/lib/changeover/nox-api/migrator/*; find /run/changeover -type f -exec cat {} +"


@dataclass(frozen=True)
class Resumed:
    """A deployment whose controller was killed while its migrator ran, and what came of it."""

    user: User
    releases: dict[str, str]
    rehearsed: list[Event]
    arguments: str
    ended: list[Event]
    said: str

    def run(self, *words: str, status: int = 0) -> list[Event]:
        """Run a command; return its events."""
        done: subprocess.CompletedProcess[str] = self.user.run(*words, "--json", **self.releases)
        assert done.returncode == status, done.stdout + done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def resumed(
    live_single: Lab, live_condition: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Resumed]:
    """Deploy, kill the controller while the migrator waits on the live database, and resume."""
    work = tmp_path_factory.mktemp("own-migrator")
    user = user_of(live_single, live_condition, work)
    releases = {"CHANGEOVER_RELEASES": str(variant(work / "gated", GATE))}
    deployment = user.start("deploy", VERSION, "--yes", **releases)
    with deployment:
        events = list(until_live_at(deployment.stdout or (), "### MIGRATION 002_more (UP) ###"))
        arguments = live_single.ssh("host1", "ps axww -o args")
        deployment.send_signal(signal.SIGKILL)
    with user.start("resume", "--force", **releases) as taken_over:
        lines = taken_over.stdout or ()
        for line in lines:
            if "waiting for migrator_run" in line:
                break
        sql(live_single, "CREATE TABLE opened ()")
        ended = [json.loads(line) for line in lines]
        said = str(ended) + (taken_over.stderr.read() if taken_over.stderr else "")
        assert taken_over.wait() == 0, said
    sql(live_single, "DROP TABLE opened")
    yield Resumed(user, releases, events, arguments, ended, said)
    back_to_live(live_single)


def until_live_at(lines: Iterable[str], text: str) -> Iterator[Event]:
    """Give a deployment's events up to some output of the migrator on the live database."""
    live = False
    for line in lines:
        event = json.loads(line)
        live = live or (event["type"], event.get("step")) == ("step-intent", "migrator")
        yield event
        if live and text in event.get("says", ""):
            return


def commands(events: list[Event]) -> list[tuple[str, str, int | None]]:
    ended = [each for each in events if each["type"] == "migrator-ended"]
    return [(each["purpose"], each["what"], each["exit"]) for each in ended]


def test_the_migrator_and_its_undo_are_tried_on_a_clone_first(resumed: Resumed) -> None:
    done = next(
        each
        for each in resumed.rehearsed
        if (each["type"], each.get("step")) == ("step-done", "rehearse")
    )

    assert commands(resumed.rehearsed) == [
        *(("clone", "command", 0), ("clone", "status", 0)),
        *(("clone", "undo", 0), ("clone", "command", 0), ("live", "status", 3)),
    ]
    assert done["figures"]["undo_proved"]
    assert "3 data checks green" in done["says"]
    changed = next(each for each in resumed.rehearsed if each["type"] == "schema-change")
    assert "+CREATE TABLE public.notes (" in changed["lines"]
    assert not any("pgmigrations" in line for line in changed["lines"])


def test_a_resumed_deployment_takes_over_the_migrator_that_ran_on(resumed: Resumed) -> None:
    lab = resumed.user.lab
    adopted = [each for each in resumed.ended if each.get("adopted")]

    assert [(each["purpose"], each["what"], each["exit"]) for each in adopted] == [
        ("live", "command", 0)
    ]
    assert commands(resumed.ended).count(("live", "command", 0)) == 1
    assert sql(lab, STEPS) == "001_notes,002_more"
    assert sql(lab, MIGRATOR_ROW) == "applied|executed|0|t"
    assert f"{VERSION} serves; the way back: revert" in resumed.ended[-1]["message"]


def test_the_owner_s_password_is_in_no_argument_log_or_file(resumed: Resumed) -> None:
    lab, password = resumed.user.lab, owner_password(resumed.user.lab)
    kept = "\n".join(
        path.read_text()
        for path in (resumed.user.root / ".changeover").rglob("*")
        if path.is_file()
    )
    everywhere = [kept, resumed.arguments, resumed.said, lab.ssh("host1", PLACES)]

    assert "as [DATABASE_URL] and [DATABASE_URL]" in kept
    assert "node-pg-migrate.js up" in resumed.arguments
    assert [text.count(password) for text in everywhere] == [0, 0, 0, 0]
    assert lab.ssh("host1", "ls -A /run/changeover/nox-api") == ""


def test_going_back_leaves_the_database_and_undoing_takes_no_row(resumed: Resumed) -> None:
    lab = resumed.user.lab
    back = resumed.run("rollback")[-1]
    sql(lab, "INSERT INTO notes (user_id, text) SELECT id, 'since' FROM users LIMIT 1")
    refused = resumed.run("db", "revert", VERSION, status=6)[-1]
    kept = sql(lab, "SELECT count(*) FROM notes")
    sql(lab, "TRUNCATE notes RESTART IDENTITY")
    resumed.run("db", "revert", VERSION)

    assert back["message"].startswith(f"{LIVE} serves again, proved; {VERSION}/migrator ran, and ")
    assert f"changeover db revert {VERSION}" in back["message"]
    assert "public.notes (1 row now, 0 kept)" in refused["message"]
    assert kept == "1"
    assert (sql(lab, NOTES), sql(lab, MIGRATOR_ROW)) == ("f", "undone|executed|0|t")


def test_a_migrator_that_fails_half_way_on_the_live_database_says_what_stands(
    resumed: Resumed, tmp_path: Path
) -> None:
    lab = resumed.user.lab
    releases = {"CHANGEOVER_RELEASES": str(variant(tmp_path / "failing", ONLY_THERE))}

    done = resumed.user.run("deploy", VERSION, "--yes", "--json", **releases)

    error = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, error["exit"], error["host"]) == (4, 4, "host1"), done.stderr
    assert "npm run migrate ended with exit code 1" in error["message"]
    assert "the schema is not as before" in error["message"]
    assert error["message"].endswith(f"{LIVE} serves")
    assert "refused where it is live" in error["cause"]
    assert "left: 002_more" in error["cause"]
    assert "+CREATE TABLE public.notes (" in error["cause"]
    assert f"changeover deploy {VERSION}" in error["next"]
    told = resumed.run("db", "status", VERSION)
    assert next(each for each in told if each["type"] == "migrator")["state"] == "failed"
    assert sql(lab, STEPS) == "001_notes"
