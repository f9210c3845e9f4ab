"""What others are told of the archive: its warnings, or why it cannot be asked, and never a failure."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from changeover.executors import backup as backups
from changeover.executors.backup import physical
from changeover.executors.backup.archive import Warned
from changeover.executors.backup.failures import RepositoryUnreachable
from changeover.runner.backups import archive

LATE = Warned(about="physical-backup", says="it is late", command="changeover backup create")


def environment(repository: str | None) -> Any:  # noqa: ANN401 - as much of one as is asked
    host = SimpleNamespace(name=repository) if repository else None
    return SimpleNamespace(name="demo", repository_host=host)


@pytest.fixture(autouse=True)
def reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backups, "vault_of", lambda _: None)
    found = SimpleNamespace(warnings=lambda: iter([LATE]))
    monkeypatch.setattr(physical, "archive", lambda _: found)


def test_where_nothing_is_archived_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(physical, "archive")

    assert archive.warned(environment(None), "hello") == ()


def test_what_is_wrong_with_it_is_told() -> None:
    assert archive.warned(environment("backup1"), "hello") == (LATE,)


def test_that_it_cannot_be_asked_is_a_warning_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_: object) -> None:
        raise RepositoryUnreachable("backup1 does not answer pgBackRest", hint="start the host")

    monkeypatch.setattr(physical, "archive", away)

    (warned,) = archive.warned(environment("backup1"), "hello")

    assert (warned.says, warned.command) == ("backup1 does not answer pgBackRest", "start the host")
