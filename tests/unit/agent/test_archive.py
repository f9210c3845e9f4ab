from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from changeover import agent_archive

if TYPE_CHECKING:
    from pathlib import Path

STRANGERS = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit:
    pass
import importlib, pkgutil, changeover.agent
for module in pkgutil.walk_packages(changeover.agent.__path__, "changeover.agent."):
    importlib.import_module(module.name)
own = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
print(sorted(own - {"__main__", "__mp_main__"}), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("agent") / "agent"
    assert agent_archive.build(path) == agent_archive.expected_version()
    return path


def run(agent: Path, request: object) -> tuple[int, list[dict[str, Any]]]:
    text = request if isinstance(request, str) else json.dumps(request)
    done = subprocess.run([agent], input=text, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_the_same_sources_make_the_same_bytes(agent: Path, tmp_path: Path) -> None:
    agent_archive.build(tmp_path / "again")

    assert (tmp_path / "again").read_bytes() == agent.read_bytes()
    assert agent.read_bytes().startswith(b"#!/usr/bin/python3 -I\n")
    assert agent.stat().st_mode & 0o777 == 0o755


def test_it_uses_nothing_but_the_standard_library(agent: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", STRANGERS, str(agent)],
        input="",
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stderr.strip() == "['changeover']"


@pytest.mark.parametrize(
    "request_",
    [
        "",
        "[]",
        "{}",
        {"protocol": 2, "app": "a", "deployment": "d", "actions": []},
        {"protocol": 1, "app": "../etc", "deployment": "d", "actions": []},
        {"protocol": 1, "app": "a", "deployment": "a b", "actions": []},
        {"protocol": 1, "app": "a", "deployment": "d", "actions": [{"id": "x"}]},
        {"protocol": 1, "app": "a", "deployment": "d", "actions": ["x"], "fence": 3},
    ],
)
def test_a_request_that_cannot_be_read_is_refused(agent: Path, request_: object) -> None:
    code, lines = run(agent, request_)

    assert code == 2
    assert [line["type"] for line in lines] == ["version", "failed"]
    assert lines[1]["error"] in {"bad-request", "bad-name"}


def test_a_request_for_another_version_is_told_so(agent: Path) -> None:
    request = {"protocol": 1, "agent": "0.0.1+x", "app": "a", "deployment": "d", "actions": []}

    code, lines = run(agent, request)

    assert code == 3
    assert lines[0]["agent"] == agent_archive.expected_version()
    assert lines[1]["error"] == "agent-version"
