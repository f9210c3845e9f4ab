"""What the unit of a process says: as whom it runs, how words are quoted, what it is kept from."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from changeover import release
from changeover.agent.colour import unit_text
from changeover.agent.host import App
from changeover.bundle import building, rendered
from changeover.render import render

CHECKOUT = Path(__file__).resolve().parents[2]
VERSIONS = ("6.0.0", "7.0.0", "8.0.0")
WORST_EXPOSURE = 20


def unit(version: str) -> str:
    app = release.load_app(CHECKOUT, "nox-api")
    return rendered(CHECKOUT, app, release.load_release(CHECKOUT, "nox-api", version))[
        "units/web.service"
    ]


def made(**process: object) -> str:
    values: dict[str, Any] = {
        "app": {"app": "shop", "user": "shop", "runtime": {"kind": "python"}},
        "release": {"version": "1.0.0", "nginx": None, "build": {"kind": "none"}},
        "process": {
            "name": "web",
            "command": ["serve"],
            "sockets": ["http"],
            "drain_seconds": 20,
            "memory_max": None,
            **process,
        },
    }
    return render(building.UNIT_TEMPLATE, values, root=CHECKOUT)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_agent_accepts_it(version: str) -> None:
    app = App(name="nox-api", user="nox-api", group="nox-api")

    unit_text.check(unit(version), app, "web")


@pytest.mark.parametrize("version", VERSIONS)
def test_systemd_accepts_it_and_finds_it_hardened(version: str, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    assert analyze, "systemd-analyze is missing: scripts/install brings it"
    path = tmp_path / "nox-api-web@8.0.0-12345678.service"
    path.write_text(unit(version))

    done = subprocess.run(
        [analyze, "security", "--offline=true", f"--threshold={WORST_EXPOSURE}", path],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-300:] + done.stderr


def test_a_word_of_the_command_stays_one_word() -> None:
    text = made(command=["/srv/run it", '50%"', "$HOME", "a\\b"])

    assert r'ExecStart="/srv/run it" "50%%\"" "$$HOME" "a\\b"' in text.splitlines()


def test_it_may_take_as_long_to_stop_as_it_drains() -> None:
    assert "TimeoutStopSec=65" in made(drain_seconds=60).splitlines()


def test_sockets_of_an_earlier_run_are_removed() -> None:
    line = 'ExecStartPre=/usr/bin/sh -ec "rm -f /run/shop/%i/http.sock /run/shop/%i/ws.sock"'

    assert line in made(sockets=["http", "ws"]).splitlines()


def test_only_node_may_write_code_into_memory() -> None:
    assert "MemoryDenyWriteExecute=yes" in made()
    assert "MemoryDenyWriteExecute" not in unit("8.0.0")


def test_no_colour_stands_in_it() -> None:
    assert "8.0.0-" not in unit("8.0.0")
