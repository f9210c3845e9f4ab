"""SARIF as code hosts read it: the parts that version 2.1.0 of the schema requires, and places."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from changeover import __version__, sarif

RULES = (
    sarif.Rule(id="shuts-out", level="error", about="Somebody waits."),
    sarif.Rule(id="advice", level="note", about="It could be better."),
)


def run(path: Path, top: Path, *, level: sarif.Level = "note") -> dict[str, Any]:
    found = sarif.Result(rule="advice", level=level, message='a "ü"', path=path, line=3)
    whole = json.loads(sarif.document(RULES, [found], top=top))
    assert whole["version"] == "2.1.0"
    assert whole["$schema"].endswith("sarif-schema-2.1.0.json")
    (only,) = whole["runs"]
    assert isinstance(only, dict)
    return only


def test_a_run_names_its_tool_its_rules_and_its_results(tmp_path: Path) -> None:
    found = run(tmp_path / "one.sql", tmp_path, level="warning")

    driver = found["tool"]["driver"]
    assert (driver["name"], driver["semanticVersion"]) == ("changeover", __version__)
    assert driver["rules"] == [
        {
            "id": rule.id,
            "shortDescription": {"text": rule.about},
            "defaultConfiguration": {"level": rule.level},
        }
        for rule in RULES
    ]
    (result,) = found["results"]
    assert (result["ruleId"], result["ruleIndex"], result["level"]) == ("advice", 1, "warning")
    assert result["message"] == {"text": 'a "ü"'}
    (place,) = result["locations"]
    assert place["physicalLocation"]["region"] == {"startLine": 3}


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("releases/8.0.0/001_one.sql", "releases/8.0.0/001_one.sql"),
        ("./releases/../001_one.sql", "001_one.sql"),
        ("with space/50%/ü.sql", "with%20space/50%25/%C3%BC.sql"),
    ],
)
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "relative"])
def test_a_file_is_named_from_the_folder_that_was_worked_in(
    path: str, uri: str, whole: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    found = run(tmp_path / path if whole else Path(path), Path.cwd())

    artifact = found["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert artifact == {"uri": uri, "uriBaseId": sarif.TOP}
    assert sarif.TOP in found["originalUriBaseIds"]


def test_a_file_beyond_that_folder_keeps_its_whole_path(tmp_path: Path) -> None:
    found = run(tmp_path / "other" / "one.sql", tmp_path / "here")

    artifact = found["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert artifact == {"uri": f"file://{tmp_path}/other/one.sql"}


def test_nothing_found_is_an_empty_list(tmp_path: Path) -> None:
    whole = json.loads(sarif.document(RULES, [], top=tmp_path))

    assert whole["runs"][0]["results"] == []
