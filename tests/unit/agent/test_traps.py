"""What guides do with code and environment files, shown to fail, beside what the agent does."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from changeover import document
from changeover.agent.colour import environment_file
from changeover.errors import InvalidInput

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.agent.conftest import Machine

OLD = {"app.txt": b"old", "gone.txt": b"only the old version has it"}
NEW = {"app.txt": b"new"}


def shell(line: str, folder: Path) -> None:
    assert subprocess.run(["sh", "-c", line], cwd=folder, check=False).returncode == 0


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def lay(folder: Path, content: dict[str, bytes]) -> None:
    folder.mkdir(parents=True)
    for name, text in content.items():
        (folder / name).write_bytes(text)


def test_t12_a_copy_over_what_is_there_goes_on_with_the_other_version(
    machine: Machine, tmp_path: Path
) -> None:
    lay(tmp_path / "opt/app", NEW)
    lay(tmp_path / "backup/app", OLD)
    shell("cp -r backup/app opt/app", tmp_path)
    assert (tmp_path / "opt/app/app.txt").read_bytes() == b"new", "exit 0, and nothing went back"
    assert (tmp_path / "opt/app/app/app.txt").read_bytes() == b"old"

    old, new = machine.up("1.0.0", code=OLD), machine.up("2.0.0", code=NEW)
    releases = machine.root / "opt/sample/releases"
    current = machine.root / "run/sample/current"
    for colour, code in ((old, OLD), (new, NEW), (old, OLD)):
        machine.do("switch", colour=colour, closing_seconds=0)
        machine.do("confirm", colour=colour)
        assert (current.is_symlink(), current.resolve().name) == (True, colour)
        placed = files(releases / colour / "code")
        assert {name: placed[name] for name in placed if name.endswith(".txt")} == code


def test_t13_appending_to_an_environment_file_glues_and_doubles(tmp_path: Path) -> None:
    live, more = tmp_path / "live.env", tmp_path / "more.env"
    live.write_text("SESSION_KEY=abc")
    more.write_text("PORT=8080\n")
    shell("cat more.env >> live.env; cat more.env >> live.env", tmp_path)
    assert live.read_text().splitlines() == ["SESSION_KEY=abcPORT=8080", "PORT=8080"]
    live.chmod(0o644)
    shell("cat more.env >> live.env", tmp_path)
    assert live.stat().st_mode & 0o777 == 0o644, "whoever could read it still can"

    values = {"SESSION_KEY": "abc"}
    for _ in range(2):
        values |= {"PORT": "8080"}
        environment_file.write(live, values)
    assert environment_file.read(live) == {"SESSION_KEY": "abc", "PORT": "8080"}
    assert live.read_text().count("PORT") == 1
    assert live.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["live.env", "more.env"]

    twice = tmp_path / "variables.yml"
    twice.write_text("PORT: 8080\nPORT: 9090\n")
    with pytest.raises(InvalidInput, match="PORT"):
        document.read(twice)
