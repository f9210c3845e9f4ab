"""The apps of this project are read as any other: every release of theirs, and those under tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from changeover import release

ROOT = Path(__file__).parents[3]
APPS = sorted(file.parent.name for file in (ROOT / "apps").glob("*/app.yml"))


@pytest.mark.parametrize("app", APPS)
def test_every_release_is_read_and_grew_from_the_first(app: str) -> None:
    releases = release.load_releases(ROOT, app, extra_roots=[ROOT / "tests/releases"])
    first, *_, last = releases
    assert release.lineage(releases, last)[0] == first
    assert release.path(app, releases, first, last)[-1] == last
