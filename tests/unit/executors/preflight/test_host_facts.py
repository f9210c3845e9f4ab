"""The program that runs on a host: what it prints, and how it reads what it finds."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from changeover.executors.preflight import facts, host_facts


def test_it_prints_what_the_controller_reads(tmp_path: Path) -> None:
    certificate = tmp_path / "fullchain.pem"
    certificate.write_text("the chain")
    asked = {"releases": "/opt/shop/releases", "uploads": f"{tmp_path}/not/yet"}
    question = json.dumps(
        {"certificates": [str(certificate), "/nonexistent"], "directories": asked}
    )
    program = Path(host_facts.__file__).read_text(encoding="utf-8")

    ran = subprocess.run(
        [sys.executable, "-I", "-c", program, question], capture_output=True, check=True, text=True
    )
    read = facts.read(json.loads(ran.stdout), before=0.0, after=0.0)

    assert read.certificates == {str(certificate): "the chain", "/nonexistent": None}
    assert read.versions["python"] == sys.version.split()[0]
    assert (read.interpreters, read.machine) == (("3.11",), platform.machine())
    assert read.memory_bytes is not None
    assert read.memory_bytes > 0
    rooms = {disk.purpose: disk for disk in read.disks}
    assert rooms.keys() == {"releases", "uploads", "database"}
    assert rooms["uploads"].path == f"{tmp_path}/not/yet"
    assert rooms["uploads"].device == tmp_path.stat().st_dev
    assert rooms["releases"].free_bytes > 0


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v18.20.4\n", "18.20.4"),
        ("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64", "7.0.15"),
        ("postgres (PostgreSQL) 15.8 (Debian 15.8-0+deb12u1)", "15.8"),
        ("postgres (PostgreSQL) 17beta1", "17"),
        ("", None),
        ("not found", None),
    ],
)
def test_versions_as_programs_print_them(text: str, version: str | None) -> None:
    assert host_facts.version(text) == version


SOCKETS = """\
LISTEN 0      511    0.0.0.0:80 0.0.0.0:* ino:131888 sk:7 cgroup:/system.slice/nginx.service <->
LISTEN 0      128       [::]:443 [::]:* ino:9 sk:8 cgroup:/system.slice/x/apache2.service v6only:1
LISTEN 0      128    0.0.0.0:22 0.0.0.0:* ino:94816 sk:1001
LISTEN 0      128    0.0.0.0:81 0.0.0.0:* ino:94816 sk:1001 cgroup:unreachable:INODE
"""


def test_the_unit_behind_a_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unit = tmp_path / "system.slice" / "hidden.service"
    unit.mkdir(parents=True)
    sockets = SOCKETS.replace("INODE", f"{unit.stat().st_ino:x}")
    monkeypatch.setattr(host_facts, "CONTROL_GROUPS", tmp_path)
    monkeypatch.setattr(host_facts, "output", lambda *_: sockets)

    assert host_facts.owners() == {
        80: "nginx.service",
        443: "apache2.service",
        81: "hidden.service",
    }


def test_free_space_of_a_directory_to_come(tmp_path: Path) -> None:
    expected = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize

    found = host_facts.disk("uploads", str(tmp_path / "not" / "yet"))

    assert found["free_bytes"] == pytest.approx(expected, rel=0.05)
