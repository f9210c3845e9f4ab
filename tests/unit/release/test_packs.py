"""Packs of smoke checks: named by releases without being copied, and refused where they cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from changeover import release
from changeover.release import DeclarationInvalid, PackUnknown

if TYPE_CHECKING:
    from tests.unit.conftest import Project

CHECKS = """
summary: greetings
checks:
  - {id: greets, request: GET /greet}
  - {id: bows, request: GET /bow}
"""


@pytest.fixture
def packed(project: Project) -> Project:
    folder = project.root / "apps/hello/smoke"
    folder.mkdir()
    (folder / "greeting.yml").write_text(CHECKS)
    return project


def name_packs(project: Project, *names: str) -> None:
    file = project.release_file("2.0.0")
    project.edit(file, "smoke:\n", f"smoke_packs: [{', '.join(names)}]\nsmoke:\n")


def test_a_release_has_the_checks_of_the_packs_that_it_names(packed: Project) -> None:
    name_packs(packed, "greeting")

    found = release.load_release(packed.root, "hello", "2.0.0")

    assert [check.id for check in found.smoke_checks] == ["health", "greets", "bows"]
    assert [check.id for check in found.outside_checks] == ["health", "greets", "bows"]


def test_a_pack_that_no_release_names_is_read_by_its_name(packed: Project) -> None:
    app = release.load_app(packed.root, "hello").directory

    assert [check.id for check in release.load_pack(app, "greeting").checks] == ["greets", "bows"]
    assert len(release.load_release(packed.root, "hello", "2.0.0").smoke_checks) == 1


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["greting"], "smoke_packs.0: there is no pack greting, did you mean greeting?"),
        (["greeting", "greeting"], "smoke_packs.1: greeting is named twice"),
    ],
)
def test_a_release_names_packs_that_are_there_once(
    packed: Project, names: list[str], problem: str
) -> None:
    name_packs(packed, *names)

    with pytest.raises(DeclarationInvalid) as caught:
        release.load_release(packed.root, "hello", "2.0.0")

    assert caught.value.problems == (problem,)


def test_a_check_has_one_id_whoever_declares_it(packed: Project) -> None:
    name_packs(packed, "greeting", "more")
    folder = packed.root / "apps/hello/smoke"
    (folder / "more.yml").write_text(CHECKS.replace("greets", "health"))

    with pytest.raises(DeclarationInvalid) as caught:
        release.load_release(packed.root, "hello", "2.0.0")

    assert caught.value.problems == (
        "smoke_packs.1: its check health has an id that another one has",
        "smoke_packs.1: its check bows has an id that another one has",
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("summary: x\nchecks: []\n", "checks: a pack has at least one check"),
        ("summary: x\nchecks: [{id: a, request: GET /, expct: {}}]\n", "expct: unknown key"),
        ("checks: [{id: a, request: GET /}]\n", "summary: missing"),
    ],
)
def test_a_pack_with_a_mistake_is_refused_with_its_place(
    packed: Project, text: str, problem: str
) -> None:
    app = release.load_app(packed.root, "hello").directory
    (app / "smoke/greeting.yml").write_text(text)

    with pytest.raises(DeclarationInvalid) as caught:
        release.load_pack(app, "greeting")

    assert problem in caught.value.problems[0]
    assert "smoke/greeting.yml" in caught.value.message


def test_a_broken_pack_that_it_does_not_name_keeps_no_release_from_being_read(
    packed: Project,
) -> None:
    name_packs(packed, "greeting")
    (packed.root / "apps/hello/smoke/broken.yml").write_text("summary: [")

    assert release.load_release(packed.root, "hello", "2.0.0").version == "2.0.0"


def test_an_app_without_packs_says_where_one_is_written(project: Project) -> None:
    app = release.load_app(project.root, "hello").directory

    with pytest.raises(PackUnknown) as caught:
        release.load_pack(app, "greeting")

    assert caught.value.hint.startswith("write ")
    assert caught.value.hint.endswith("apps/hello/smoke/greeting.yml")
