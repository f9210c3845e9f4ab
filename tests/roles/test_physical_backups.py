"""What the role of the physical backups runs on a host, with the programs that it calls written here."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

FILES = Path(__file__).resolve().parents[2] / "roles/pgbackrest/files"
PROGRAMS = {
    "runuser": 'shift 3; exec "$@"',
    "systemctl": 'echo "systemctl $*" >>"$CALLS"',
    "pgbackrest": """case "$*" in
        *stanza-create) echo "$CREATE"; [ -z "$CREATE" ] ;;
        *info) echo "$INFO" ;;
    esac""",
}


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the file that says what systemd was asked for."""
    for name, text in PROGRAMS.items():
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("CREATE", "")
    (tmp_path / "calls").touch()
    return tmp_path / "calls"


def shell(script: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = ["/bin/sh", "-c", (FILES / script).read_text(), script, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("info", "asked"),
    [
        ('[{"backup":[]}]', ["systemctl start changeover-physical@full.service"]),
        ('[{"backup":[{"label":"20260101-000000F"}]}]', []),
    ],
)
def test_the_first_backup_is_taken_where_there_is_none(
    calls: Path, monkeypatch: pytest.MonkeyPatch, info: str, asked: list[str]
) -> None:
    monkeypatch.setenv("INFO", info)

    done = shell("stanza.sh", "main", str(calls.parent))

    assert (done.returncode, done.stderr) == (0, "")
    assert calls.read_text().splitlines() == asked


def test_the_repository_of_a_lost_cluster_is_not_given_away(
    calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "CREATE", "ERROR: [028]: backup and archive info files exist but do not match"
    )

    done = shell("stanza.sh", "main", str(calls.parent))

    assert done.returncode == 1
    assert "Never stanza-upgrade" in done.stderr
    assert calls.read_text() == ""


def test_a_timer_that_is_not_wanted_any_more_is_ended_and_told_once(
    calls: Path, tmp_path: Path
) -> None:
    units = tmp_path / "units"
    units.mkdir()
    (units / "full.timer").touch()

    done = shell("retire.sh", "full.timer diff.timer", str(units))

    assert done.stdout.split() == ["full.timer"]
    assert calls.read_text().splitlines() == ["systemctl --quiet disable --now full.timer"]
