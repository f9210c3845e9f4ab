"""Which files of the log a repository lacks, by the names of those that it has, and how often backups are due."""

from __future__ import annotations

from typing import Any

import pytest

from changeover.agent.physical import log, schedule

DIGEST = "0" * 40
DAY = 86400.0


def listed(*names: str) -> dict[str, dict[str, Any]]:
    """Return what the repository lists, each file a minute after the one before."""
    files: dict[str, dict[str, Any]] = {
        f"15-1/{name[:16]}/{name}-{DIGEST}.zst": {"type": "file", "time": 60 * number}
        for number, name in enumerate(names)
    }
    return {"15-1": {"type": "path"}, "archive.info": {"type": "file", "time": 0}, **files}


def lacking(files: dict[str, Any], starts: list[int], last: str) -> dict[str, Any] | None:
    there = log.came(files, 256)
    return log.lacking(there, starts, log.place_of(last, 256))


def test_a_log_that_is_whole_lacks_nothing_across_words_and_timelines() -> None:
    names = ("0000000100000000000000FE", "0000000100000000000000FF", "000000010000000100000000")
    forked = ("000000020000000100000000", "000000020000000100000001")
    history = {"00000002.history": {"type": "file", "time": 0}}

    assert lacking(listed(*names, *forked) | history, [254], forked[-1]) is None


def test_what_is_older_than_the_oldest_backup_is_not_missed() -> None:
    names = ("000000010000000000000001", "000000010000000000000005", "000000010000000000000006")

    assert lacking(listed(*names), [5], names[-1]) is None


def test_a_gap_is_told_with_its_times_and_the_first_backup_that_needs_none_of_it() -> None:
    names = ("000000010000000000000001", "000000010000000000000004", "000000010000000000000005")
    gap = {"files": 2, "since": "1970-01-01T00:00:00Z", "until": "1970-01-01T00:01:00Z"}

    assert lacking(listed(*names), [1], names[-1]) == gap | {"whole": None}
    assert lacking(listed(*names), [1, 4], names[-1]) == gap | {"whole": 1}


def test_files_that_the_server_counts_and_the_repository_lacks_are_a_gap_without_an_end() -> None:
    found = lacking(listed("000000010000000000000001"), [1], "000000010000000000000003")

    assert found == {"files": 2, "since": "1970-01-01T00:00:00Z", "until": None, "whole": None}


@pytest.mark.parametrize(
    ("schedules", "seconds"),
    [
        (["Sun 02:30", "Mon..Sat 02:30"], DAY),
        (["Sun 02:30"], 7 * DAY),
        (["hourly", "Sun 02:30"], DAY / 24),
        ([], None),
        (["when it suits"], None),
    ],
)
def test_the_longest_wait_for_a_backup_is_what_systemd_makes_of_its_schedules(
    schedules: list[str], seconds: float | None
) -> None:
    assert schedule.longest_seconds(schedules) == seconds
