from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from changeover import release
from changeover.release import AppUnknown, VersionMayNotFollow, VersionUnknown

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.conftest import Project


def test_a_release_is_read_with_its_requirements_and_places(project: Project) -> None:
    found = release.load_release(project.root, "hello", "2.0.0")
    minimum = found.requires.minimum
    assert (minimum.node, minimum.redis, minimum.postgresql) == ("18.0.0", "6.0", "12")
    assert minimum.certificate
    assert found.processes["web"].drain_seconds == 20
    assert found.alerts[0].duration == "5m"
    assert found.guide["switch"] == ("the-switch",)
    assert found.migrations == project.root / "apps/hello/releases/2.0.0/migrations"


@pytest.mark.parametrize(
    ("size", "amount"),
    [("2GB", 2 * 10**9), ("1.5 GB", 15 * 10**8), ("2GiB", 2**31), ("5MB", 5 * 10**6)],
)
def test_a_size_has_bytes(size: str, amount: int) -> None:
    assert release.size_bytes(size) == amount


def test_versions_are_ordered_as_numbers() -> None:
    order = ["1.9.0", "1.10.0-rc.2", "1.10.0-rc.10", "1.10.0", "2.0.0"]
    assert sorted(set(order), key=release.version_order) == order


def test_an_unknown_version_lists_those_there_are(project: Project) -> None:
    with pytest.raises(VersionUnknown, match=r"hello has no release 9\.0\.0") as caught:
        release.load_release(project.root, "hello", "9.0.0")
    assert caught.value.hint == "name one of: 1.0.0, 2.0.0, 3.0.0"
    assert caught.value.exit_code == 2


def test_an_unknown_app_is_suggested(project: Project) -> None:
    with pytest.raises(AppUnknown, match="no app helo, did you mean hello"):
        release.load_app(project.root, "helo")


def test_releases_may_live_elsewhere(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in (tmp_path / "direct/2.0.1", tmp_path / "by-app/hello/2.0.2"):
        place.mkdir(parents=True)
        text = project.release_file("2.0.0").read_text()
        (place / "release.yml").write_text(text.replace("version: 2.0.0", f"version: {place.name}"))
    extra = [tmp_path / "direct"]
    monkeypatch.setenv("CHANGEOVER_RELEASES", str(tmp_path / "by-app"))
    found = release.versions(project.root, "hello", extra_roots=extra)
    assert found == ("1.0.0", "2.0.0", "2.0.1", "2.0.2", "3.0.0")
    assert release.load_release(project.root, "hello", "2.0.2").version == "2.0.2"


@pytest.mark.parametrize(
    ("live", "target", "direct", "versions"),
    [
        (None, "3.0.0", False, ("3.0.0",)),
        ("3.0.0", "3.0.0", False, ()),
        ("2.0.0", "3.0.0", False, ("3.0.0",)),
        ("1.0.0", "3.0.0", False, ("2.0.0", "3.0.0")),
        ("1.0.0", "3.0.0", True, ("3.0.0",)),
        ("2.0.0", "3.0.0", True, ("3.0.0",)),
    ],
)
def test_the_way_goes_through_the_versions_between(
    project: Project, live: str | None, target: str, *, direct: bool, versions: tuple[str, ...]
) -> None:
    assert release.path("hello", project.releases, live, target, direct=direct) == versions


def test_the_way_starts_at_a_version_that_has_no_release_any_more(project: Project) -> None:
    releases = {version: each for version, each in project.releases.items() if version != "1.0.0"}
    assert release.path("hello", releases, "1.0.0", "3.0.0") == ("2.0.0", "3.0.0")


@pytest.mark.parametrize(
    ("live", "target", "direct", "said", "hint"),
    [
        ("3.0.0", "2.0.0", False, "may not follow 3.0.0", "changeover rollback --to 2.0.0"),
        ("0.9.0", "3.0.0", False, "may not follow 0.9.0", "no release of hello may follow 0.9.0"),
        ("1.0.0", "2.0.0", True, None, ""),
        ("2.0.0", "1.0.0", True, "does not allow to come directly from 2.0.0", "3.0.0"),
    ],
)
def test_a_version_that_may_not_follow_says_what_may(
    project: Project, live: str, target: str, *, direct: bool, said: str | None, hint: str
) -> None:
    if said is None:
        assert release.path("hello", project.releases, live, target, direct=direct) == (target,)
        return
    with pytest.raises(VersionMayNotFollow, match=said) as caught:
        release.path("hello", project.releases, live, target, direct=direct)
    assert hint in caught.value.hint
    assert caught.value.exit_code == 2


def test_where_only_a_direct_step_is_left_it_is_offered_as_a_risk(project: Project) -> None:
    releases = {version: each for version, each in project.releases.items() if version != "2.0.0"}
    with pytest.raises(VersionMayNotFollow) as caught:
        release.path("hello", releases, "1.0.0", "3.0.0")
    assert caught.value.hint == "changeover deploy 3.0.0 --direct (high risk)"


def test_an_unknown_target_is_told_before_anything_else(project: Project) -> None:
    with pytest.raises(VersionUnknown):
        release.path("hello", project.releases, "1.0.0", "4.0.0")


def test_a_release_grew_from_its_predecessors(project: Project) -> None:
    assert release.lineage(project.releases, "3.0.0") == ("1.0.0", "2.0.0", "3.0.0")
