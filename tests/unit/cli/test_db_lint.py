from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def lint(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "changeover", "db", "lint", *words],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_dangerous_file_exits_6_and_says_what_to_write(tmp_path: Path) -> None:
    path = tmp_path / "expand" / "001_index.sql"
    path.parent.mkdir()
    path.write_text("CREATE INDEX users_name ON users (name)")

    told = lint(path)

    assert told.returncode == 6
    assert f"{path}:1: error: CREATE INDEX on users: writers wait" in told.stdout
    assert "write CREATE INDEX CONCURRENTLY" in told.stdout
    assert "next:" in told.stderr


def test_findings_are_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "migrations" / "expand" / "001_one.sql"
    path.parent.mkdir(parents=True)
    path.write_text("SELECT 1")

    told = lint("--json", tmp_path / "migrations")

    assert told.returncode == 0
    version, *findings, end = [json.loads(line) for line in told.stdout.splitlines()]
    assert version["type"] == "version"
    assert end == {"type": "end", "exit": 0}
    assert [found["rule"] for found in findings] == ["verify-missing", "revert-missing"]


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    told = lint(tmp_path / "001_none.sql")
    assert told.returncode == 2
    assert "001_none.sql does not exist" in told.stderr
