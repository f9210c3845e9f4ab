"""What is warned of before a moment that is needed cannot be recovered."""

from __future__ import annotations

from typing import Any

import pytest

from changeover.executors.backup.archive import Archive, PhysicalBackup

DAY = 86400.0
BACKUP = PhysicalBackup(
    label="20260115-023000F",
    type="full",
    started="2026-01-15T02:30:00Z",
    finished="2026-01-15T02:31:00Z",
    bytes=1,
    stored_bytes=1,
    damaged=False,
)
GAP = {"files": 3, "since": "2026-01-15T10:00:00Z", "until": "2026-01-15T11:00:00Z"}


def archive(**facts: Any) -> Archive:  # noqa: ANN401 - as many kinds as the archive has facts
    well: dict[str, Any] = {
        "repository": "backup1",
        "apart": True,
        "backups": (BACKUP,),
        "earliest": "2026-01-15T02:31:01Z",
        "latest": "2026-01-15T10:00:00Z",
        "failing": None,
        "points": (),
        "drilled": None,
        "scratch_bytes": None,
        "age_seconds": DAY,
        "every_seconds": DAY,
    }
    return Archive(**(well | facts))


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"age_seconds": 2 * DAY},
        {"age_seconds": 99 * DAY, "every_seconds": None},
        {"lost": GAP | {"whole": 0}},
    ],
)
def test_an_archive_that_is_well_or_was_mended_warns_of_nothing(facts: dict[str, Any]) -> None:
    assert list(archive(**facts).warnings()) == []


@pytest.mark.parametrize(
    ("facts", "about", "says"),
    [
        ({"age_seconds": 2 * DAY + 60}, "physical-backup", "2 d 1 min old, and one is to be taken every 1 d"),
        ({"backups": (), "age_seconds": None}, "physical-backup", "there is no physical backup"),
        ({"failing": "17 was refused"}, "log-archive", "17 was refused"),
        ({"lost": GAP | {"whole": None}}, "log-gap", "3 files of the log from 2026-01-15T10:00:00Z to 2026-01-15T11:00:00Z did not"),
        ({"lost": GAP | {"until": None, "whole": None}}, "log-gap", "from 2026-01-15T10:00:00Z did not"),
    ],
)  # fmt: skip
def test_each_thing_that_keeps_moments_from_being_recovered_is_told(
    facts: dict[str, Any], about: str, says: str
) -> None:
    (warned,) = archive(**facts).warnings()

    assert warned.about == about
    assert says in warned.says
    assert "changeover" in warned.command
