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


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("shop-maintenance", "is what a host calls files of an app shop"),
        ("shop-canary", "is what a host calls files of an app shop"),
        ("shop-directories", "is what a host calls files of an app shop"),
        ("incoming", "is a directory of the hosts' own"),
        ("postgresql", "is a directory of the hosts' own"),
        ("changeover-shop", "is a directory of the hosts' own"),
    ],
)
def test_an_app_has_a_name_that_is_nothing_elses_on_a_host(
    project: Project, name: str, said: str
) -> None:
    (project.root / "apps/hello").rename(project.root / "apps" / name)
    project.edit(project.root / f"apps/{name}/app.yml", "app: hello", f"app: {name}")

    with pytest.raises(DeclarationInvalid, match=f"app: {name} {said}") as caught:
        release.load_app(project.root, name)

    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("runtime", "said"),
    [
        ("{kind: python}", 'Debian 12 has Python "3.11", it is missing'),
        ('{kind: python, version: "3.13"}', 'Debian 12 has Python "3.11", not 3.13'),
        ("{kind: python, version: 3.11}", "runtime.version: a version is text: put it in quotes"),
        ('{kind: node, version: "20"}', "version: node's is asked for by a release"),
    ],
)
def test_a_version_of_python_is_one_that_hosts_can_have(
    project: Project, runtime: str, said: str
) -> None:
    file = project.root / "apps/hello/app.yml"
    project.edit(file, "{kind: node, packages: [nodejs, npm]}", runtime)

    with pytest.raises(DeclarationInvalid) as caught:
        _ = project.app

    assert said in caught.value.message
    assert caught.value.exit_code == 2


def test_wheels_are_for_an_app_on_python(project: Project) -> None:
    project.edit(project.release_file("3.0.0"), "kind: npm", "kind: python")
    project.edit(project.release_file("3.0.0"), "package-lock.json]", "requirements.lock]")
    (project.root / "apps/hello/requirements.lock").touch()

    with pytest.raises(DeclarationInvalid, match=r"build\.kind: python is for a runtime"):
        release.load_release(project.root, "hello", "3.0.0")


def test_a_source_has_to_be_declared_by_the_app(project: Project) -> None:
    project.edit(project.root / "apps/hello/app.yml", "cache: {user: hello}\n", "")
    said = "environment.variables.REDIS_URL.from: the app declares no cache"
    with pytest.raises(DeclarationInvalid, match=said):
        release.load_release(project.root, "hello", "2.0.0")
