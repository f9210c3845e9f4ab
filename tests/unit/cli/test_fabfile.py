"""The tasks for whoever is on call, held against hosts that were provisioned by another version."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from changeover.remote.line import Line, Reply

if TYPE_CHECKING:
    import pytest

FABFILE = Path(__file__).parents[3] / "scripts" / "fabfile.py"


def test_the_logs_are_read_from_a_host_with_another_agent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[dict[str, Any]] = []

    def agent(_line: Line, request: dict[str, Any], *_: object, **__: object) -> list[Reply]:
        asked.append(request)
        name = request["actions"][0]["id"]
        result = {"live": "8.0.0-aaaaaaaa"} if name == "state" else {"lines": ["served"]}
        return [Reply(id=name, result=result, skipped=False)]

    monkeypatch.setattr(Line, "agent", agent)
    specification = importlib.util.spec_from_file_location("fabfile", FABFILE)
    assert specification is not None
    assert specification.loader is not None
    fabfile = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(fabfile)

    fabfile.logs(None, env="example")

    assert "served" in capsys.readouterr().out
    assert {request["actions"][0]["id"] for request in asked} == {"state", "logs"}
    assert {request["agent"] for request in asked} == {""}
