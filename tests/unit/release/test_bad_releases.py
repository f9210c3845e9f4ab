"""Each file in bad/ is a release.yml with one mistake; its first line says what is to be read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from changeover import release
from changeover.release import DeclarationInvalid

if TYPE_CHECKING:
    from tests.unit.conftest import Project

BAD = sorted((Path(__file__).parent / "bad").glob("*.yml"))


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
def test_a_mistake_is_named_with_file_and_path(project: Project, file: Path) -> None:
    first, _, text = file.read_text().partition("\n")
    expected = first.removeprefix("# expect: ")
    project.release_file("2.0.0").write_text(text)
    with pytest.raises(DeclarationInvalid) as caught:
        release.load_release(project.root, "hello", "2.0.0")
    error = caught.value
    assert len(error.problems) == 1, error.problems
    assert error.problems[0].startswith(expected)
    assert "\n" not in error.message
    assert f"{project.release_file('2.0.0')}" in error.message
    assert error.exit_code == 2


def test_all_mistakes_are_told_at_once_with_their_lines(project: Project) -> None:
    file = project.release_file("2.0.0")
    project.edit(file, "node: 18.0.0", "nod: 18.0.0")
    project.edit(file, "http: redirect", "http: both")
    with pytest.raises(DeclarationInvalid, match="has 2 mistakes") as caught:
        release.load_release(project.root, "hello", "2.0.0")
    lines = (caught.value.cause or "").splitlines()
    assert [line.rpartition("release.yml:")[2].partition(": ")[0] for line in lines] == ["6", "33"]


def test_an_app_is_held_to_its_directory_and_its_keys(project: Project) -> None:
    file = project.root / "apps/hello/app.yml"
    project.edit(file, "app: hello", "app: other")
    with pytest.raises(DeclarationInvalid, match="app: it is other, and the directory is hello"):
        _ = project.app
    project.edit(file, "app: other", "app: hello\nusr: hello")
    with pytest.raises(DeclarationInvalid, match="usr: unknown key, did you mean user"):
        _ = project.app


def test_a_source_has_to_be_declared_by_the_app(project: Project) -> None:
    project.edit(project.root / "apps/hello/app.yml", "cache: {user: hello}\n", "")
    said = "environment.variables.REDIS_URL.from: the app declares no cache"
    with pytest.raises(DeclarationInvalid, match=said):
        release.load_release(project.root, "hello", "2.0.0")
