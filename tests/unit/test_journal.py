"""The journal: what was written can be read, and what was altered is noticed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from changeover import journal
from changeover.secret import Redactor, Secret

if TYPE_CHECKING:
    from pathlib import Path


def written(path: Path, count: int = 3) -> journal.Journal:
    events = journal.Journal(path, Redactor())
    for number in range(count):
        events.append({"type": "step-intent", "step": f"s{number}", "says": "go"})
    return events


def test_events_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "a" / "20260101T000000-aaaaaa.jsonl"
    written(path)

    assert [event["step"] for event in journal.read(path)] == ["s0", "s1", "s2"]
    assert journal.verify(path) == 3


def test_a_journal_opened_again_goes_on_with_the_same_chain(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    written(path, 2)
    written(path, 2)

    assert journal.verify(path) == 4


@pytest.mark.parametrize("line", [0, 1, 2])
def test_a_changed_event_is_noticed_wherever_it_stands(tmp_path: Path, line: int) -> None:
    path = tmp_path / "one.jsonl"
    written(path)
    lines = path.read_text().splitlines()
    lines[line] = lines[line].replace('"go"', '"no"')
    path.write_text("\n".join(lines) + "\n")

    with pytest.raises(journal.JournalAltered, match=f"event {line} "):
        journal.verify(path)


def test_a_removed_event_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    written(path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[2]]) + "\n")

    with pytest.raises(journal.JournalAltered, match="event 1 "):
        journal.verify(path)


def test_a_torn_last_line_is_left_out_when_reading(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    written(path)
    path.write_bytes(path.read_bytes()[:-20])

    assert len(journal.read(path)) == 2


def test_a_secret_never_reaches_the_file_in_any_form(tmp_path: Path) -> None:
    secret = 'pa"ss/wo rd+1'
    path = tmp_path / "one.jsonl"
    events = journal.Journal(path, Redactor([Secret(secret)]))
    events.append({"type": "x", "plain": secret, "url": "pa%22ss%2Fwo%20rd%2B1"})

    text = path.read_text()
    assert "[REDACTED]" in text
    assert json.dumps(secret)[1:-1] not in text
    assert "pa%22ss" not in text


def test_the_newest_journal_is_found_and_an_unknown_one_is_named(tmp_path: Path) -> None:
    written(tmp_path / "20260101T000000-aaaaaa.jsonl")
    written(tmp_path / "20260102T000000-bbbbbb.jsonl")

    assert journal.find(tmp_path, None).stem == "20260102T000000-bbbbbb"
    with pytest.raises(journal.DeploymentUnknown, match="deployment nothing"):
        journal.find(tmp_path, "nothing")
