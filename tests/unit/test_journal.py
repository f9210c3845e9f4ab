"""The journal: what was written can be read, and what was altered is noticed."""

from __future__ import annotations

import contextlib
import json
import os
import resource
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from changeover import journal
from changeover.secret import Redactor, Secret

if TYPE_CHECKING:
    from collections.abc import Iterator


def written(path: Path, count: int = 3) -> journal.Journal:
    events = journal.Journal(path, Redactor())
    for number in range(count):
        events.append({"type": "step-intent", "step": f"s{number}", "says": "go"})
    return events


@contextlib.contextmanager
def at_most_bytes_a_file(size: int) -> Iterator[None]:
    """Let the kernel cut every write at a file size, as it does when the disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


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
    for number, app in enumerate(("shop", "cafe"), start=1):
        path = tmp_path / f"2026010{number}T000000-aaaaaa.jsonl"
        journal.Journal(path, Redactor([])).append({"type": "deployment-begin", "app": app})
    newest, other = "20260102T000000-aaaaaa", "20260101T000000-aaaaaa"

    assert journal.find(tmp_path, None, app="cafe").stem == newest
    assert journal.find(tmp_path, None, app="shop").stem == other
    assert journal.find(tmp_path, other, app="cafe").stem == other
    for asked, said in (("nothing", "deployment nothing"), (None, "any deployment of bar")):
        with pytest.raises(journal.DeploymentUnknown, match=said):
            journal.find(tmp_path, asked, app="bar")


def test_a_journal_cut_at_any_byte_is_read_and_goes_on_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _handle: None)  # many hundred waits for a disk
    path = tmp_path / "one.jsonl"
    written(path)
    content = path.read_bytes()
    ends = [place for place, byte in enumerate(content) if byte == ord("\n")]

    for cut in range(len(content) + 1):
        path.write_bytes(content[:cut])
        whole = [f"s{number}" for number, end in enumerate(ends) if cut >= end]
        assert [event["step"] for event in journal.read(path)] == whole, cut
        assert journal.verify(path) == len(whole), cut

        journal.Journal(path, Redactor()).append({"type": "step-intent", "step": "after"})

        assert [event["step"] for event in journal.read(path)] == [*whole, "after"], cut
        assert journal.verify(path) == len(whole) + 1, cut


def test_blocks_that_a_power_cut_left_empty_are_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    events = written(path)
    with path.open("ab") as stream:
        stream.write(b"\0" * 4096)

    events.append({"type": "step-intent", "step": "after"})

    assert b"\0" not in path.read_bytes()
    assert journal.verify(path) == 4


def test_a_full_disk_is_told_and_what_fitted_of_the_event_never_meets_the_next(
    tmp_path: Path,
) -> None:
    path = tmp_path / "one.jsonl"
    events = written(path)
    before = path.stat().st_size

    with at_most_bytes_a_file(before + 30), pytest.raises(journal.JournalUnwritable) as caught:
        events.append({"type": "step-intent", "step": "lost"})

    assert caught.value.exit_code == 1
    assert str(path) in caught.value.message
    assert path.stat().st_size == before + 30, "a part of it was written"
    assert len(journal.read(path)) == 3
    events.append({"type": "step-intent", "step": "after"})
    assert [event["step"] for event in journal.read(path)] == ["s0", "s1", "s2", "after"]
    assert journal.verify(path) == 4


def test_a_system_that_takes_a_few_bytes_at_a_time_gets_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, content: write(handle, content[:7]))

    written(tmp_path / "one.jsonl")

    assert journal.verify(tmp_path / "one.jsonl") == 3


def test_the_event_its_file_and_every_new_folder_are_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    sync = os.fsync

    def seen(handle: int) -> None:
        synced.append(Path(f"/proc/self/fd/{handle}").readlink())
        sync(handle)

    monkeypatch.setattr(os, "fsync", seen)
    path = tmp_path / "new" / "lab" / "one.jsonl"
    written(path, 2)

    assert synced == [tmp_path, tmp_path / "new", path.parent, path, path]
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_two_that_write_the_same_journal_keep_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    first, second = (journal.Journal(path, Redactor()) for _ in range(2))
    for number in range(3):
        first.append({"type": "step-intent", "step": f"first {number}"})
        second.append({"type": "step-intent", "step": f"second {number}"})

    assert journal.verify(path) == 6


def test_a_line_that_is_no_event_hides_none_of_those_after_it(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    written(path)
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([lines[0], b"\xff[", b"[1]", lines[2]]) + b"\n")

    assert [event["step"] for event in journal.read(path)] == ["s0", "s2"]
    with pytest.raises(journal.JournalAltered, match="event 1 "):
        journal.verify(path)


@pytest.mark.parametrize("secret", ["true", "null", "5432", '"at"', "chain"])
def test_a_secret_that_looks_like_json_leaves_the_journal_readable(
    tmp_path: Path, secret: str
) -> None:
    path = tmp_path / "one.jsonl"
    written = journal.Journal(path, Redactor([Secret(secret)]))

    written.append({"type": "step-done", "changed": True, "bytes": 154321, "host": None})
    written.append({"type": "note", "says": [f"it is {secret}"]})

    done, note = journal.read(path)
    assert (done["changed"], done["bytes"], done["host"]) == (True, 154321, None)
    assert note["says"] == ["it is [REDACTED]"]
    assert journal.verify(path) == 2


def test_a_figure_named_by_a_number_is_no_alteration(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    written = journal.Journal(path, str)

    written.append({"type": "step-done", "figures": {9: "nine", 10: ("a", "b")}})

    assert journal.read(path)[0]["figures"] == {"9": "nine", "10": ["a", "b"]}
    assert journal.verify(path) == 1
