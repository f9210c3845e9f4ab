"""A deployment that has backed up a real database, and tries migrations on a clone of it next."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from changeover.executors import backup as backups
from changeover.executors import migrate
from changeover.runner import database
from changeover.runner.rehearse import rehearsal
from changeover.runner.undo import trial
from changeover.steps import Rehearse, Undo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tests.postgres.backup.conftest import Site

    from changeover.database import Database
    from changeover.migrations.records import MigrationFolder

    Release = Callable[..., MigrationFolder]

BASE = """
CREATE TABLE people (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, age int);
INSERT INTO people (name, age) SELECT 'person ' || n, n FROM generate_series(1, 500) n
"""


class Rehearsing:
    """A deployment that has backed up and rehearses next."""

    def __init__(self, site: Site, folder: MigrationFolder, patch: pytest.MonkeyPatch) -> None:
        self.site = site
        self.folder = folder
        self.noted: list[dict[str, Any]] = []
        self.run: Any = SimpleNamespace(
            root=Path("/"),
            environment=None,
            app=SimpleNamespace(app="shop"),
            release=SimpleNamespace(version="1.0.0"),
            fleet=SimpleNamespace(deployment="one"),
            note=self.noted.append,
        )

        def answer(_host: str, actions: Sequence[dict[str, Any]]) -> Mapping[str, Any]:
            return {
                asked["id"]: site.act(
                    asked["action"],
                    **{
                        name: value for name, value in asked.items() if name not in {"id", "action"}
                    },
                )
                for asked in actions
            }

        @contextlib.contextmanager
        def owner(*_: object) -> Iterator[Database]:
            yield site.shop.owner

        @contextlib.contextmanager
        def app(_environment: object, _app: object, name: str) -> Iterator[Database]:
            yield dataclasses.replace(site.shop.app, name=name)

        vault = backups.Vault(environment="test", run_agent=answer, database_host="db")
        patch.setattr(backups, "vault_of", lambda _: vault)
        for module in (rehearsal, trial):
            patch.setattr(module, "load_releases", lambda *_: {})
        for read in ("migration_folders", "folders_of"):
            patch.setattr(database, read, lambda *_: (folder,))
        patch.setattr(database, "owner_database", owner)
        patch.setattr(database, "app_beside", app)
        patch.setattr(database, "fence", lambda _: None)

    @property
    def events(self) -> list[dict[str, Any]]:
        """Return what was told of statements."""
        return [event for event in self.noted if event["type"] == "rehearsed"]

    def rehearse(self, *phases: Any) -> str:  # noqa: ANN401 - literals
        step = Rehearse(id="rehearse", phases=phases or ("expand", "backfill"), migrations=())
        outcome: str = rehearsal.rehearse(self.run, step).says
        return outcome

    def backed_up_again(self) -> None:
        """Have its backup be one of what is there now, proved."""
        self.run.fleet.deployment += "s"
        self.site.create(self.run.fleet.deployment)
        self.site.act("backup_verify", backup=self.run.fleet.deployment, keep=True)

    def undo(self, *names: str) -> str:
        """Try the undoing of migrations, as is done by hand before the live database is touched."""
        step = Undo(id="rehearse", version="1.0.0", migrations=names)
        outcome: str = trial.attempt(self.run, step).says
        return outcome


@pytest.fixture
def rehearsing(
    site: Site, release: Release, monkeypatch: pytest.MonkeyPatch
) -> Callable[[dict[str, str]], Rehearsing]:
    """Return a maker of deployments whose backup was proved, with these files to be rehearsed."""

    def make(files: dict[str, str]) -> Rehearsing:
        migrate.apply(site.shop.owner, release({"expand/001_people.sql": BASE}, "0.9.0"))
        site.create()
        site.act("backup_verify", backup="one", keep=True)
        return Rehearsing(site, release(files), monkeypatch)

    return make
