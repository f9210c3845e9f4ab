"""Findings in files as SARIF 2.1.0, which code hosts show at the line."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from changeover import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

Level = Literal["error", "warning", "note"]
SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
# Readers of reports know this name for the top of the checked-out files.
TOP = "%SRCROOT%"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What findings are of.

    Args:
        id: Stable name.
        level: How grave its findings are, unless one says otherwise.
        about: What it finds, in a sentence.
    """

    id: str
    level: Level
    about: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One finding.

    Args:
        rule: Id of its rule.
        level: How grave it is.
        message: What happens, and what to do instead.
        path: The file.
        line: The line, from 1.
    """

    rule: str
    level: Level
    message: str
    path: Path
    line: int


def document(rules: Sequence[Rule], results: Sequence[Result], *, top: Path) -> str:
    """Return a SARIF document of one run.

    Args:
        rules: Every rule that was asked; results name them.
        results: What was found.
        top: The folder that file names are relative to; a file beyond it keeps its whole path.
    """
    places = {rule.id: place for place, rule in enumerate(rules)}
    run = {
        "tool": {
            "driver": {
                "name": "changeover",
                "semanticVersion": __version__,
                "rules": [_rule(rule) for rule in rules],
            }
        },
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {TOP: {"description": {"text": "The folder that was worked in."}}},
        "results": [_result(result, places[result.rule], top) for result in results],
    }
    whole = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.about},
        "defaultConfiguration": {"level": rule.level},
    }


def _result(result: Result, place: int, top: Path) -> dict[str, Any]:
    return {
        "ruleId": result.rule,
        "ruleIndex": place,
        "level": result.level,
        "message": {"text": result.message},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": _artifact(result.path, top),
                    "region": {"startLine": result.line},
                }
            }
        ],
    }


def _artifact(path: Path, top: Path) -> dict[str, str]:
    whole = Path(os.path.abspath(path))  # noqa: PTH100 - a link in the tree keeps its name
    for root in (top, top.resolve()):
        if whole.is_relative_to(root):
            # The address of the root ends where that of what lies in it goes on.
            return {"uri": whole.as_uri().removeprefix(f"{root.as_uri()}/"), "uriBaseId": TOP}
    return {"uri": whole.as_uri()}
