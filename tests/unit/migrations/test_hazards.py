from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from changeover.migrations.folder import load
from changeover.migrations.hazards import lint

CASES = yaml.safe_load(Path(__file__).with_name("hazards.yml").read_text())
ADVICE = {"verify-missing", "revert-missing"}


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_hazard_is_found_and_nothing_else(case: dict[str, Any], tmp_path: Path) -> None:
    findings = lint(load(write(tmp_path, case["files"]), "1.0.0").migrations)

    shown = [f"{found.rule} {found.severity} {found.line}" for found in findings]
    assert [line for line in shown if line.split()[0] not in ADVICE] == case["finds"]
    assert all(found.hint and found.message for found in findings)


def test_what_the_way_back_meets_is_named(tmp_path: Path) -> None:
    files = {
        "expand/001_a.sql": "ALTER TABLE users ADD CHECK (age > 0) NOT VALID;\n"
        "UPDATE users SET email = lower(email) WHERE id > 1"
    }
    findings = lint(load(write(tmp_path, files), "1.0.0").migrations)

    assert [found.message.partition(":")[0] for found in findings if found.rule not in ADVICE] == [
        "a CHECK of users may forbid what the old version writes",
        "UPDATE of users.email",
    ]


def test_files_without_proof_or_way_back_are_told(tmp_path: Path) -> None:
    bare = {"expand/001_a.sql": "SELECT 1", "contract/001_b.sql": "SELECT 1"}
    whole = {
        "expand/002_c.sql": "SELECT 1",
        "expand/002_c.verify.sql": "SELECT true",
        "expand/002_c.revert.sql": "SELECT 1",
    }
    findings = lint(load(write(tmp_path, bare | whole), "1.0.0").migrations)

    assert [(Path(found.path).name, found.rule) for found in findings] == [
        ("001_a.sql", "verify-missing"),
        ("001_a.sql", "revert-missing"),
        ("001_b.sql", "verify-missing"),
    ]
