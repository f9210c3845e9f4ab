"""Programs beside the hosts: they serve, follow their declaration, and their failure is told."""

from __future__ import annotations

import json
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

import pytest
import yaml

from changeover.lab.processes import start_time

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Lab

    MakeLab = Callable[..., Lab]


pytestmark = pytest.mark.lab
SERVER = """
import http.server, os, pathlib
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(os.environ["SAYS"].encode())
http.server.HTTPServer((os.environ["LISTEN"], 9401), Handler).serve_forever()
"""


@pytest.fixture
def speaker(project: Path) -> Path:
    """Return a project whose lab has one companion of its own."""
    (project / "server.py").write_text(SERVER)
    declare(project / "inventories/lab", "{public_name} {gateway}")
    return project


def declare(tracked: Path, says: object) -> None:
    companion = {
        "app": "nox-api",
        "command": ["python3", "server.py"],
        "port": 9401,
        "environment": {"LISTEN": "{gateway}", "SAYS": says},
    }
    document = {"companions": {"speaker": companion}}
    (tracked / "companions.yml").write_text(yaml.safe_dump(document))


def test_a_companion_serves_the_hosts_and_follows_its_declaration(
    make_lab: MakeLab, speaker: Path
) -> None:
    lab = make_lab("mate", CHANGEOVER_ROOT=str(speaker))
    lab.up("single")
    gateway = str(IPv4Network(lab.status()["subnet"])[1])
    ask = (
        "python3 -c 'import urllib.request as u; "
        f'print(u.urlopen("http://{gateway}:9401").read().decode())\''
    )
    assert lab.ssh("host1", ask) == f"nox.lab.test {gateway}"
    (process,) = (entry["pid"] for entry in lab.status()["companions"])
    lab.up("single")
    assert [entry["pid"] for entry in lab.status()["companions"]] == [process]
    declare(speaker / "inventories/lab", {"secret": ["nox-api", "JWT_SECRET"]})
    lab.up("single")
    drawn = json.loads((lab.identity.state / "secrets.json").read_text())
    assert lab.ssh("host1", ask) == drawn["changeover_secrets"]["nox-api"]["JWT_SECRET"]
    assert start_time(process) is None


def test_a_companion_that_ends_is_told_with_its_last_words(
    make_lab: MakeLab, speaker: Path
) -> None:
    (speaker / "server.py").write_text("raise SystemExit('no such port')")
    lab = make_lab("mate", CHANGEOVER_ROOT=str(speaker))
    failed = lab.changeover("lab", "up", status=1)
    assert "speaker" in failed.stderr
    assert "no such port" in failed.stderr
    assert lab.hosts["host1"]["state"] == "running"
