"""A release with a migrator of its own, on a real database: the hosts that run it are the runner's tests'."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from changeover import bundle
from changeover.release import load_release

from .own_server import BINARIES, connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pytest
    from tests.unit.runner.desk import Desk

    from changeover.database import Database
    from changeover.runner.run import Run

    from .own_server import Shop

VERSION = "3.0.0"
MIGRATOR = "migrator: {command: [up], undo: [down]}\n"
Event = dict[str, Any]


@dataclass
class OwnDesk:
    """Hosts whose migrator runs SQL on the database of the test, as its owner.

    Args:
        desk: The runner's project and hosts.
        shop: The database.
        key: What bundles are signed with.
        commands: The SQL of each command.
        asked: The commands that ran, with what they ran for.
        at: Called when a command is asked for, before it runs; may raise.
        left: What the host says of a unit that was left there.
        ended: What it ends of it when asked to.
        clone: The database that a command runs on which is tried on a clone; ``None`` for the live one.
    """

    desk: Desk
    shop: Shop
    key: Path
    commands: dict[str, str]
    asked: list[tuple[str, str]] = field(default_factory=list)
    at: Callable[[str], object] = lambda _: None
    left: Event = field(default_factory=lambda: {"runs": False, "was": None, "undo": None})
    ended: str | None = None
    clone: Database | None = None

    def run(self, deployment: str) -> Run:
        """Return a run that holds a bundle of the release, as its steps find it."""
        project = self.desk.project
        run = self.desk.context.run(deployment)
        run.release = load_release(project.root, "hello", VERSION)
        run.bundle = bundle.build(project.root, run.app, run.release, self.key)
        run.values = {"one": {}, "two": {}}
        return run

    def schema(self) -> str:
        """Return the live definitions, the ledger left out."""
        place = self.shop.owner
        done = subprocess.run(
            [
                *(
                    BINARIES / "pg_dump",
                    "--schema-only",
                    "--no-owner",
                    "--exclude-schema=changeover",
                ),
                *("--host", place.host, "--port", str(place.port), "--username", place.user),
                place.name,
            ],
            env={**os.environ, "PGPASSWORD": place.password.reveal()},
            capture_output=True,
            text=True,
            check=True,
        )
        # pg_dump's own guard has another word each time
        return "\n".join(line for line in done.stdout.splitlines() if line[:1] != "\\")

    def migrate(self, action: Event) -> Event:
        """Run a command as the host would."""
        what = action["what"]
        self.asked.append((what, action["purpose"]))
        self.at(what)
        self.execute(what, self.clone if action["purpose"] == "clone" else None)
        return {"exit": 0, "result": "success", "seconds": 0.5, "lines": 0, "adopted": False}

    def execute(self, what: str, place: Database | None = None) -> None:
        """Run the SQL of a command."""
        with connect(place or self.shop.owner) as connection:
            connection.execute(self.commands[what].encode())


def own_desk(desk: Desk, shop: Shop, key: Path, monkeypatch: pytest.MonkeyPatch) -> OwnDesk:
    """Give the desk's newest release a migrator, and its hosts this database."""
    project = desk.project
    file = project.release_file(VERSION)
    file.write_text(file.read_text() + MIGRATOR)
    shutil.rmtree(file.parent / "migrations", ignore_errors=True)
    app = project.root / "apps/hello/app.yml"
    owner = "owner: hello_owner,"
    app.write_text(app.read_text().replace(owner, f"{owner} migrates_itself: true,"))
    made = OwnDesk(
        desk, shop, key, {"command": "CREATE TABLE made (n int)", "undo": "DROP TABLE made"}
    )

    @contextlib.contextmanager
    def database(*_: object) -> Iterator[Database]:
        yield shop.owner

    monkeypatch.setattr("changeover.runner.database.owner_database", database)
    app_host, host = desk.machines["one"], desk.machines["three"]
    answers: dict[str, Callable[[Event], Event]] = {
        "_migrator_run": made.migrate,
        "_migrator_output": lambda _: {"output": ""},
        "_migrator_left": lambda _: made.left,
        "_migrator_end": lambda _: {"ended": made.ended is not None, "was": made.ended},
    }
    for name, answer in answers.items():
        setattr(app_host, name, answer)
    setattr(host, "_backup_schema", lambda _: {"schema": made.schema()})  # noqa: B010 - as the others
    return made
