"""What comes before migrations by hand, by what they do to a real database."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from changeover.runner import database
from changeover.runner.deployment import safety
from changeover.runner.fleet import agreement, survey
from changeover.runner.rehearse import beforehand, rehearsal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.postgres.conftest import Shop

    from changeover import steps
    from changeover.migrations.records import MigrationFolder
    from changeover.steps.step import Phase

    Release = Callable[..., MigrationFolder]

pytestmark = pytest.mark.postgres

PHASES: tuple[Phase, ...] = ("expand", "backfill")
LIVE = "7.0.0-0a1b2c3d"


@pytest.fixture
def before(
    shop: Shop, release: Release, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[steps.Backup, steps.Rehearse] | None]:
    """Give a function that returns what comes before one expand migration, with a version live."""
    shop.rows("CREATE TABLE users (id bigint, name text); INSERT INTO users VALUES (1, 'a')")
    run = SimpleNamespace(fleet=SimpleNamespace(close=lambda: None), lease_hosts=())
    here: Any = SimpleNamespace(
        environment=SimpleNamespace(name="shop"), declared=None, releases={}, run=lambda: run
    )

    def found(statements: str, live: str | None = LIVE) -> Any:  # noqa: ANN401 - or nothing
        folder = release({"expand/001_change.sql": statements})
        monkeypatch.setattr(database, "migration_folders", lambda *_: [folder])
        monkeypatch.setattr(agreement, "settled", lambda *_: live)
        return beforehand.steps_before(here, "1.0.0", PHASES)

    monkeypatch.setattr(database, "owner_database", lambda *_: contextlib.nullcontext(shop.owner))
    monkeypatch.setattr(database, "database_host", lambda *_: SimpleNamespace(name="host1"))
    monkeypatch.setattr(survey, "host_states", lambda *_: {})
    return found


@pytest.mark.parametrize(
    "adds", ["ALTER TABLE users ADD COLUMN plan text", "CREATE TABLE plans (name text)"]
)
def test_what_only_adds_needs_nothing_before(before: Callable[..., Any], adds: str) -> None:
    assert before(adds) is None


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM users WHERE id = 1",
        "UPDATE users SET name = 'b'",
        "ALTER TABLE users RENAME COLUMN name TO called",
        "DROP TABLE users",
    ],
)
def test_what_does_more_is_backed_up_and_rehearsed_first(
    before: Callable[..., Any], change: str
) -> None:
    backup, rehearse = before(change)

    assert (backup.colour, backup.version, backup.keep) == (LIVE, "7.0.0", True)
    assert rehearse.migrations == ("1.0.0/expand/001_change",)
    with pytest.raises(beforehand.NothingToGoBackTo, match="nothing is live") as caught:
        before(change, live=None)
    assert caught.value.exit_code == 2
    assert caught.value.hint.startswith("changeover deploy 1.0.0 --env shop ")


def test_the_backup_comes_before_the_rehearsal_on_its_clone(
    before: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    did: list[str] = []
    monkeypatch.setattr(safety, "backup", lambda *_: did.append("backup"))
    monkeypatch.setattr(rehearsal, "rehearse", lambda *_: did.append("rehearse"))

    def step(of: steps.AnyStep, act: Callable[[], object]) -> None:
        did.append(f"step {of.id}")
        act()

    run: Any = SimpleNamespace(step=step)
    beforehand.prove(run, before("DROP TABLE users"))

    assert did == ["step backup", "backup", "step rehearse", "rehearse"]
