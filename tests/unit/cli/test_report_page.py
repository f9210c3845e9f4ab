"""The page of a deployment is written where it was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover import journal, report
from changeover.cli import status

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from tests.unit.conftest import Project


def test_the_folder_of_the_page_is_made(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHANGEOVER_ROOT", str(project.root))
    monkeypatch.setattr(journal, "find", lambda _directory, _deployment, *, app: tmp_path / app)
    monkeypatch.setattr(journal, "read", lambda _path: ())
    monkeypatch.setattr(report, "summarise", lambda _events: None)
    monkeypatch.setattr(report, "as_html", lambda _summary: "<p>told</p>")
    page = tmp_path / "build/pages/report.html"

    status.report(html=page, env="demo")

    assert page.read_text() == "<p>told</p>"
