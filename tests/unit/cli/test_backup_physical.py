"""Moments and points as they are typed, and environments that archive nothing."""

from __future__ import annotations

from io import StringIO
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from changeover.cli import backup, backup_physical
from changeover.cli.confirm import NotConfirmed
from changeover.executors.backup.failures import NoArchive
from changeover.runner.backups import physical

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("2026-01-15 10:15:00", "2026-01-15T10:15:00+00:00"),
        ("2026-01-15T11:15:00.25+01:00", "2026-01-15T11:15:00.250000+01:00"),
        ("20260115T101500Z", "2026-01-15T10:15:00+00:00"),
        ("before-8.0.0-expand-001_email-20260115T101500-3fa2c1", "before-8.0.0-expand-001_email-20260115T101500-3fa2c1"),
    ],
)  # fmt: skip
def test_a_moment_is_utc_unless_it_says_and_a_name_stays(typed: str, meant: str) -> None:
    assert backup_physical.moment(typed) == meant


@pytest.mark.parametrize("typed", ["", "no where", "-x", "x" * 64, "it's", "2026-13-01 10:00"])
def test_what_is_neither_is_refused(typed: str) -> None:
    with pytest.raises(backup_physical.MomentMalformed) as caught:
        backup_physical.moment(typed)

    assert caught.value.exit_code == 2
    assert "UTC" in caught.value.hint


@pytest.mark.parametrize(
    "call",
    [
        lambda: backup.restore(backup=None, at=None),
        lambda: backup.restore(backup="20260115T101500-3fa2c1", at="2026-01-15"),
        lambda: backup.create(full=True),
        lambda: backup.create(physical=True, keep=True),
    ],
)
def test_two_ways_of_saying_it_or_none_are_refused_before_anything_is_read(
    call: Callable[[], None],
) -> None:
    with pytest.raises(backup.BackupUnclear):
        call()


def test_without_anybody_to_ask_a_recovery_is_refused_before_it_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[str] = []
    monkeypatch.setattr(backup, "open_desk", lambda *_, **__: None)
    monkeypatch.setattr(backup, "context_of", lambda _: None)
    monkeypatch.setattr(backup_physical, "recover", lambda _, at: begun.append(at))
    monkeypatch.setattr("sys.stdin", StringIO())

    with pytest.raises(NotConfirmed, match="no terminal"):
        backup.restore(at="2026-01-15")

    assert begun == []


def test_an_environment_that_archives_nothing_is_told_how_to() -> None:
    environment = SimpleNamespace(repository_host=None, name="demo")
    context: Any = SimpleNamespace(environment=environment)

    with pytest.raises(NoArchive, match="has no host in group backup"):
        physical.drill(context, "")
