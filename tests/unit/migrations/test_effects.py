from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from changeover.migrations import statements

CASES = yaml.safe_load(Path(__file__).with_name("effects.yml").read_text())
FLAGS = {
    "rewrites": False,
    "scans": False,
    "transactional": True,
    "commits_alone": False,
    "opaque": False,
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["sql"])
def test_a_statement_is_known_for_what_it_locks(case: dict[str, Any]) -> None:
    (statement,) = statements.read(case["sql"], Path("case.sql"))
    effect = statement.effect

    named = case.get("named", list(case["locks"]))
    assert effect.kind == case["kind"]
    assert {target.relation.dotted: target.mode.label for target in effect.targets} == {
        name: mode for name, mode in case["locks"].items() if name in named
    }
    for flag, usual in FLAGS.items():
        assert getattr(effect, flag) == case.get(flag, usual), flag
