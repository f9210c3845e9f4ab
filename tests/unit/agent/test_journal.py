from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.agent.journal import Journal

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Machine


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
