from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from changeover.cli import deploy
from changeover.plan.order import Plan
from changeover.plan.situation import Situation
from changeover.verdict import Kind, Verdict

if TYPE_CHECKING:
    from pathlib import Path


def planned(kind: Kind, afterwards: Kind | None = None) -> Plan:
    situation = Situation(
        environment="demo",
        app="hello",
        live="1.0.0-aaaaaaaa",
        live_version="1.0.0",
        app_hosts=("one",),
        all_hosts=("one",),
        database_hosts=("one",),
        verdict=Verdict(kind=kind, because="x"),
        afterwards=Verdict(kind=afterwards, because="x") if afterwards else None,
    )
    return Plan(situation=situation, version="2.0.0", colour="2.0.0-bbbbbbbb")


def held(file: Path, read: Plan, now: Plan) -> str:
    """Return what a plan that was written down is refused with; nothing where it still holds."""
    file.write_text(json.dumps([read.as_json()]))
    try:
        deploy._refuse_drift(file, [now], "2.0.0", "demo")  # noqa: SLF001 - no host is asked
    except deploy.PlanDrifted as error:
        return error.message
    return ""


def test_a_plan_is_refused_where_its_way_back_got_worse(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"

    assert held(file, planned("restore"), planned("revert")) == ""
    assert held(file, planned("instant", "revert"), planned("instant")) == ""
    said = held(file, planned("revert"), planned("restore"))
    assert said == f"the way back after 2.0.0 is restore now, and {file} says revert"
    said = held(file, planned("instant", "revert"), planned("instant", "restore"))
    assert said.startswith("the way back after finalize of 2.0.0 is restore now")


@pytest.mark.parametrize("text", ["[]x", '[{"digest": "a"}]', "[3]"])
def test_a_file_without_ways_back_is_no_plan(text: str, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text(text)

    with pytest.raises(deploy.PlanUnreadable):
        deploy._refuse_drift(file, [planned("instant")], "2.0.0", "demo")  # noqa: SLF001 - no host is asked
