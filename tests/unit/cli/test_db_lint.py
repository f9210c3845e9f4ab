from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from changeover.migrations.rules import RULES

if TYPE_CHECKING:
    from pathlib import Path


def lint(*words: str | Path, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "changeover", "db", "lint", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
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


def migrations(tmp_path: Path) -> Path:
    folder = tmp_path / "releases" / "2.0.0" / "migrations"
    for name, text in {
        "expand/001_index.sql": "SELECT 1;\nCREATE INDEX users_name ON users (name);\n"
        "ALTER TABLE users ADD CHECK (age > 0) NOT VALID;\nDELETE FROM users WHERE age < 0",
        "expand/002_quiet.sql": "CREATE TABLE other (id int)",
        "expand/002_quiet.verify.sql": "SELECT true",
        "expand/002_quiet.revert.sql": "DROP TABLE other",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_findings_are_written_as_sarif_and_junit_whatever_the_exit_code(tmp_path: Path) -> None:
    folder = migrations(tmp_path)
    sarif, junit = tmp_path / "out" / "lint.sarif", tmp_path / "out" / "lint.xml"

    told = lint(folder.relative_to(tmp_path), "--sarif", sarif, "--junit", junit, folder=tmp_path)

    assert told.returncode == 6
    run = json.loads(sarif.read_text())["runs"][0]
    assert len(run["tool"]["driver"]["rules"]) == len(RULES)
    found = {
        (result["ruleId"], result["level"], place["region"]["startLine"])
        for result in run["results"]
        for place in [result["locations"][0]["physicalLocation"]]
        if place["artifactLocation"]["uri"] == "releases/2.0.0/migrations/expand/001_index.sql"
    }
    assert found == {
        ("index-not-concurrent", "error", 2),
        ("forbids-old-writes", "warning", 3),
        ("takes-user-data", "warning", 4),
        ("verify-missing", "warning", 1),
        ("revert-missing", "note", 1),
    }
    cases = ET.fromstring(junit.read_bytes())[0]  # noqa: S314 - our own text
    red = [case.get("name") for case in cases if case.find("failure") is not None]
    assert red == ["index-not-concurrent line 2"]
    assert "takes-user-data line 4" in {case.get("name") for case in cases}
    assert {case.get("name"): case.get("classname") for case in cases}["no finding"] == (
        "db-lint.releases/2.0.0/migrations/expand/002_quiet.sql"
    )
    assert f"results written to {sarif}" in told.stderr


def test_results_that_cannot_be_written_are_a_usage_error(tmp_path: Path) -> None:
    folder = migrations(tmp_path)
    (tmp_path / "taken").write_text("a file")

    told = lint(folder, "--sarif", tmp_path / "taken" / "lint.sarif")

    assert told.returncode == 2
    assert "lint.sarif cannot be written" in told.stderr
    assert "next:  name a file" in told.stderr


def test_unreadable_sql_leaves_results_of_before_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "expand" / "001_broken.sql"
    path.parent.mkdir()
    path.write_text("CREATE TABL users")
    before = tmp_path / "lint.sarif"
    before.write_text("before")

    told = lint(path, "--sarif", before)

    assert told.returncode == 2
    assert before.read_text() == "before"


def test_files_of_one_release_are_judged_together_in_the_order_they_run(tmp_path: Path) -> None:
    folder = tmp_path / "migrations" / "expand"
    folder.mkdir(parents=True)
    (folder / "001_users.sql").write_text("CREATE TABLE users (id int PRIMARY KEY, name text)")
    (folder / "001_users.revert.sql").write_text("DROP TABLE users")
    (folder / "002_index.sql").write_text("CREATE INDEX users_name ON users (name)")
    elsewhere = tmp_path / "other" / "002_index.sql"
    elsewhere.parent.mkdir()
    elsewhere.write_text("CREATE INDEX users_name ON users (name)")

    assert lint(folder / "002_index.sql", folder / "001_users.revert.sql").returncode == 0
    assert lint(folder / "002_index.sql").returncode == 6
    assert lint(elsewhere, folder / "001_users.sql").returncode == 6


def test_files_of_other_tools_are_judged_by_what_is_in_them(tmp_path: Path) -> None:
    (tmp_path / "V1__users.sql").write_text("CREATE TABLE users (id int PRIMARY KEY, name text)")
    (tmp_path / "V2__index.sql").write_text("CREATE INDEX users_name ON orders (name)")

    for told in (lint("--json", *sorted(tmp_path.iterdir())), lint("--json", tmp_path)):
        assert told.returncode == 6
        _, *findings, _ = [json.loads(line) for line in told.stdout.splitlines()]
        assert [found["rule"] for found in findings] == ["index-not-concurrent"]
    told = lint(tmp_path / "V1__users.sql", tmp_path.with_name("notes.txt"))
    assert (told.returncode, told.stdout) == (2, "")


def test_a_folder_without_sql_is_a_usage_error(tmp_path: Path) -> None:
    told = lint(tmp_path)

    assert (told.returncode, told.stdout) == (2, "")
    assert f"no SQL file lies in {tmp_path}" in told.stderr


def test_findings_come_by_line_and_what_undoes_a_file_is_not_judged(tmp_path: Path) -> None:
    (tmp_path / "20260101_names.sql").write_text(
        "-- migrate:up\nCREATE INDEX a ON users (name);\nLOCK TABLE users;\nDROP TABLE kinds;\n"
        "-- migrate:down\nDROP TABLE users;\n"
    )

    _, *findings, _ = [json.loads(line) for line in lint("--json", tmp_path).stdout.splitlines()]

    assert [(found["line"], found["rule"]) for found in findings] == [
        (2, "index-not-concurrent"),
        (3, "explicit-lock"),
        (4, "breaks-old-version"),
    ]
