from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from changeover.agent.journal import Journal

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from tests.unit.agent.conftest import Machine


def test_a_torn_last_line_is_passed_over_and_does_not_swallow_the_next(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    Journal(path).append({"n": 1})
    with path.open("ab") as stream:
        stream.write(b'{"n": 2, "torn')

    assert [record["n"] for record in Journal(path).tail(9)] == [1]
    Journal(path).append({"n": 3})

    assert [record["n"] for record in Journal(path).tail(9)] == [1, 3]
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_tail_is_the_newest(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    for number in range(30):
        journal.append({"n": number, "filler": "x" * 60000})

    assert [record["n"] for record in journal.tail(2)] == [28, 29]
    assert len(journal.tail(1000)) < 30, "a long journal is not read whole"


def test_intent_comes_before_done_and_no_value_is_written(machine: Machine) -> None:
    machine.refuse("place", digest="0" * 64, env={"PASSWORD": "kept-secret"})
    machine.do("prune", keep=[])

    records = machine.do("journal", lines=4)["records"]
    assert [(entry["action"], entry["phase"]) for entry in records] == [
        ("place", "intent"),
        ("place", "failed"),
        ("prune", "intent"),
        ("prune", "done"),
    ]
    journal = machine.root / "var/lib/changeover/sample/journal.jsonl"
    assert "kept-secret" not in journal.read_text()


def test_a_record_cut_at_any_byte_costs_itself_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.append({"n": 1})
    before = path.read_bytes()
    journal.append({"n": 2, "said": 'Grüße 🚀 \u2028 "\n{}'})
    whole = path.read_bytes()

    for size in range(len(before), len(whole) + 1):
        path.write_bytes(whole[:size])
        kept = [1, 2] if size >= len(whole) - 1 else [1]
        assert [record["n"] for record in journal.tail(9)] == kept, f"cut at {size}"
        journal.append({"n": 3})
        journal.append({"n": 4})
        assert [record["n"] for record in journal.tail(9)] == [*kept, 3, 4], f"cut at {size}"
        assert path.read_bytes().startswith(whole[:size]), "what is written stays"


def test_blocks_of_zeros_after_a_loss_of_power_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.append({"n": 1})
    with path.open("ab") as stream:
        stream.write(bytes(4096))

    journal.append({"n": 2})

    assert [record["n"] for record in journal.tail(9)] == [1, 2]


def test_a_disk_that_takes_a_byte_at_a_time_gets_the_whole_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.jsonl"
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:1]))

    Journal(path).append({"n": 1, "said": "Grüße"})

    assert [record["said"] for record in Journal(path).tail(9)] == ["Grüße"]


def test_a_disk_that_is_full_half_way_keeps_what_was_there(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    colour = machine.up("1.0.0")
    journal = Journal(machine.root / "var/lib/changeover/sample/journal.jsonl")
    before, write = journal.tail(9), os.write

    def full(descriptor: int, content: bytes) -> int:
        if len(content) > 9:
            return write(descriptor, content[:9])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        failure = machine.refuse("switch", colour=colour)

    assert failure["error"] == "journal-unwritten"
    assert machine.live is None, "what cannot be written down is not done"
    machine.do("switch", colour=colour)
    records = journal.tail(99)
    assert records[: len(before)] == before
    assert [record["phase"] for record in records[len(before) :]] == ["intent", "done"]


def test_a_name_that_is_no_text_is_told_and_written_down(machine: Machine) -> None:
    failure = machine.refuse("prune", keep=["\udcff"])

    assert failure["error"] == "bad-name"
    assert machine.do("journal", lines=2)["records"][0]["parameters"] == {"keep": ["\udcff"]}
