"""Preconditions as release.yml declares them: what is read, and what is refused with its path."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from changeover import release
from changeover.release import DeclarationInvalid

if TYPE_CHECKING:
    from tests.unit.conftest import Project

FIRST = """
preconditions:
  - id: nobody-left
    summary: nobody has used a route that goes
    rows: {rows}
    says: "{says}"
    hint: ask them
"""
SELECT = "SELECT route FROM uses"


def declare(project: Project, text: str) -> None:
    file = project.release_file("3.0.0")
    file.write_text(file.read_text() + text)


def declared(rows: str = SELECT, says: str = "{route}") -> str:
    return FIRST.replace("{rows}", rows).replace("{says}", says)


def problems(project: Project) -> tuple[str, ...]:
    with pytest.raises(DeclarationInvalid) as caught:
        release.load_release(project.root, "hello", "3.0.0")
    return caught.value.problems


def test_a_precondition_is_read_and_tells_its_rows(project: Project) -> None:
    declare(project, declared(says="{route}: {last used}, {route}"))

    (found,) = release.load_release(project.root, "hello", "3.0.0").preconditions

    assert (found.id, found.rows, found.hint) == ("nobody-left", SELECT, "ask them")
    assert found.columns == ("route", "last used")
    row = {"route": "/{x}", "last used": "today", "more": "1"}
    assert found.told(row) == "/{x}: today, /{x}"
    assert (
        found.model_copy(update={"says": None}).told(row) == "route=/{x}, last used=today, more=1"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (declared("DELETE FROM uses"), "0.rows: must be one SELECT, and it is DELETE"),
        (declared("SELECT 1; SELECT 2"), "0.rows: must be one SELECT, and it is SELECT, SELECT"),
        (
            declared("WITH gone AS (DELETE FROM uses RETURNING 1) SELECT * FROM gone"),
            "0.rows: must be one SELECT, and it is WITH",
        ),
        (declared("SELECT FROM FROM"), "0.rows: is not SQL: syntax error"),
        (declared('""'), "0.rows: must be one SELECT, and it is none"),
        (
            declared("SELECT 1 FROM uses FOR UPDATE"),
            "0.rows: must be one SELECT, and it locks what it reads",
        ),
        (declared(says="{route"), "0.says: each brace is half of a {column}"),
        (declared(says="{}"), "0.says: each brace is half of a {column}"),
        (declared() + "    hit: them\n", "0.hit: unknown key, did you mean hint?"),
        (declared().replace("id: nobody", "id: No body"), "0.id: must be an id such as"),
        (declared().replace("    hint: ask them\n", ""), "0.hint: missing"),
    ],
)
def test_a_mistake_is_named_with_its_path(project: Project, text: str, said: str) -> None:
    declare(project, text)

    assert f"preconditions.{said}" in problems(project)[0]


def test_two_of_one_id_are_refused(project: Project) -> None:
    declare(project, declared() + declared().partition("preconditions:\n")[2])

    assert problems(project) == ("preconditions: two of them are called nobody-left",)


def test_an_app_without_a_database_has_no_live_data_to_meet(project: Project) -> None:
    app = project.root / "apps/hello/app.yml"
    project.edit(app, "database: {name: hello, owner: hello_owner, role: hello_app}\n", "")
    declare(project, declared())

    assert "preconditions: the app declares no database" in problems(project)
