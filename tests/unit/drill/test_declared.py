"""A drill runs only where an inventory says so, and what it says is checked before anything is done."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from changeover.drill.declaration import Declared, DrillUndeclared, declared
from changeover.drill.faults import FAULTS, FaultUnknown, chosen
from changeover.inventory.variables import VariableInvalid

if TYPE_CHECKING:
    from tests.unit.conftest import Project


def declare(project: Project, text: str) -> None:
    project.variables.write_text(f"{project.variables.read_text()}\nchangeover_drill: {text}\n")


def test_an_environment_that_does_not_say_so_is_refused_as_typed(project: Project) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "changeover", "drill", "2.0.0", "--env", "demo", "--yes"],
        cwd=project.root,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert ran.returncode == 2
    assert "environment demo is not declared for drills of hello" in ran.stderr
    assert "set changeover_drill with hello in " in ran.stderr
    assert ran.stdout == ""


def test_another_apps_declaration_is_not_this_ones(project: Project) -> None:
    declare(project, "{other: {}}")

    with pytest.raises(DrillUndeclared):
        declared(project.environment, "hello")


def test_an_empty_declaration_allows_drills_under_a_load_of_ones_own(project: Project) -> None:
    declare(project, "{hello: {}}")

    assert declared(project.environment, "hello") == Declared()


def test_a_load_is_read(project: Project) -> None:
    declare(project, "{hello: {path: /greet, rate: 5, websockets: 2, rows: SELECT 1}}")

    found = declared(project.environment, "hello")

    assert (found.path, found.rate, found.websockets, found.rows) == ("/greet", 5, 2, "SELECT 1")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{hello: yes}", "it must be a mapping"),
        ("{hello: {pth: /x}}", "unknown key pth"),
        ("{hello: {rate: fast}}", "rate is not of type float"),
        ("{hello: {websockets: true}}", "websockets is not of type int"),
        ("{hello: {sign_in: {path: /x}}}", "sign_in has the keys body, path, token"),
    ],
)
def test_a_slip_is_named_with_its_file(project: Project, text: str, problem: str) -> None:
    declare(project, text)

    with pytest.raises(VariableInvalid) as refused:
        declared(project.environment, "hello")

    assert problem in refused.value.message
    assert "main.yml" in refused.value.message


def test_faults_are_chosen_in_the_order_of_the_catalogue() -> None:
    assert chosen([]) == FAULTS
    assert [each.name for each in chosen(["interrupt", "fill-disk"])] == ["fill-disk", "interrupt"]
    with pytest.raises(FaultUnknown):
        chosen(["flood"])
