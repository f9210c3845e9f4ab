"""The one module of our own: many files of a host in one question, as Ansible asks it."""

from __future__ import annotations

import getpass
import grp
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

MODULE = Path(__file__).resolve().parents[2] / "playbooks/library/changeover_files.py"
MARK = "<<INCLUDE_ANSIBLE_MODULE_JSON_ARGS>>"
OURS = {"owner": getpass.getuser(), "group": grp.getgrgid(os.getgid()).gr_name}


def ask(*, check: bool = False, **arguments: object) -> dict[str, Any]:
    """Run the module the way Ansible does: its arguments inside its text, on standard input."""
    given = {**arguments, "_ansible_check_mode": check, "_ansible_diff": True}
    done = subprocess.run(
        [sys.executable, "-"],
        input=MODULE.read_text().replace(MARK, json.dumps(given)),
        capture_output=True,
        text=True,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def entry(path: Path, content: str, **more: object) -> dict[str, Any]:
    return {"path": str(path), "content": content, **OURS, **more}


def test_everything_is_made_once(tmp_path: Path) -> None:
    directory, file, away = tmp_path / "one/two", tmp_path / "one/two/file", tmp_path / "away"
    away.symlink_to("nowhere")
    odd = 'quotes """ and \\ and ü\n'
    wanted: dict[str, Any] = {
        "directories": [{"path": str(directory), "mode": "0750", **OURS}],
        "files": [entry(file, odd, mode="0640")],
        "absent": [str(away)],
    }

    first, second = ask(**wanted), ask(**wanted)

    assert first["changed"]
    assert first["paths"] == [str(directory), str(file), str(away)]
    assert file.read_text() == odd
    assert (file.stat().st_mode & 0o777, directory.stat().st_mode & 0o777) == (0o640, 0o750)
    assert not away.is_symlink()
    assert second == {"changed": False, "paths": [], "diff": []}
    assert list(directory.iterdir()) == [file]


def test_a_check_tells_the_difference_and_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old\n")
    file.chmod(0o644)

    told = ask(check=True, files=[entry(file, "new\n")])

    assert told["paths"] == [str(file)]
    assert told["diff"] == [
        {
            "before": "old\n",
            "after": "new\n",
            "before_header": str(file),
            "after_header": str(file),
        }
    ]
    assert file.read_text() == "old\n"


def test_a_mode_changed_by_hand_comes_back(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("same\n")
    file.chmod(0o666)

    told = ask(files=[entry(file, "same\n")])

    assert told["paths"] == [str(file)]
    assert "0666" in told["diff"][0]["before"]
    assert file.stat().st_mode & 0o777 == 0o644


def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(tmp_path: Path) -> None:
    other, file = tmp_path / "other", tmp_path / "file"
    other.write_text("kept\n")
    file.symlink_to(other)

    ask(files=[entry(file, "new\n")])

    assert (file.is_symlink(), file.read_text(), other.read_text()) == (False, "new\n", "kept\n")


def test_nothing_is_written_unless_every_file_is_accepted(tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"

    told = ask(files=[entry(good, "fine\n"), entry(bad, "broken\n", validate="grep -q fine %s")])

    assert told["failed"]
    assert told["msg"] == f"{bad} was not written, grep refused it: "
    assert list(tmp_path.iterdir()) == []


def test_a_secret_is_in_no_difference(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("hash of the old\n")

    told = ask(files=[entry(file, "hash of the new\n", secret=True)])

    assert told["changed"]
    assert "hash" not in json.dumps(told)


def test_content_that_is_no_text_is_refused_by_its_path(tmp_path: Path) -> None:
    told = ask(files=[{**entry(tmp_path / "file", ""), "content": 5}])

    assert (told["failed"], told["msg"]) == (True, f"{tmp_path}/file: 5 is no text")


@pytest.mark.parametrize("who", [{"owner": "nobody-here"}, {"group": "nobody-here"}])
def test_an_owner_that_is_not_there_is_named(tmp_path: Path, who: dict[str, str]) -> None:
    told = ask(files=[entry(tmp_path / "file", "new\n") | who])

    assert told["failed"]
    assert "nobody-here" in told["msg"]
    assert list(tmp_path.iterdir()) == []


def test_what_no_handler_put_into_force_is_told_again(tmp_path: Path) -> None:
    file, due = tmp_path / "file", tmp_path / "due/role/files"
    wanted: dict[str, Any] = {"files": [entry(file, "new\n")], "due": str(due)}

    written, again = ask(**wanted), ask(**wanted)
    checked = ask(check=True, **wanted)
    due.unlink()  # as the handler does that succeeded

    assert written["paths"] == again["paths"] == checked["paths"] == [str(file)]
    assert again["diff"][0]["before"] == "written, and not in force yet\n"
    assert ask(**wanted) == {"changed": False, "paths": [], "diff": []}


def test_what_was_written_before_a_failure_is_told_by_the_next_run(tmp_path: Path) -> None:
    good, bad, due = tmp_path / "good", tmp_path / "bad", tmp_path / "due"
    bad.mkdir()
    wanted: dict[str, Any] = {"files": [entry(good, "a\n"), entry(bad, "b\n")], "due": str(due)}

    assert ask(**wanted)["failed"]
    bad.rmdir()

    assert sorted(ask(**wanted)["paths"]) == [str(bad), str(good)]


def test_a_check_notes_nothing_as_due(tmp_path: Path) -> None:
    due = tmp_path / "due"

    assert ask(check=True, files=[entry(tmp_path / "file", "new\n")], due=str(due))["changed"]

    assert not due.exists()
