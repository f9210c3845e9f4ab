"""Deployments and rollbacks in turns under load: the bounded run of the soak, judged by counts alone."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .live import back_to_live

if TYPE_CHECKING:
    from .conftest import Lab

pytestmark = pytest.mark.lab
CHECKOUT = Path(__file__).resolve().parents[2]
NGINX = "pgrep --parent $(cat /run/nginx.pid) | sort"


def test_nginx_keeps_no_connection_to_the_app(live_single: Lab) -> None:
    served = live_single.ssh("host1", "nginx -T 2>/dev/null")

    # A connection that was kept would go on to the colour that users have left. Nginx keeps one to the
    # servers of an `upstream` block alone, where that says `keepalive`.
    goes_to = re.findall(r"^\s*proxy_pass\s+(\S+);", served, re.MULTILINE)
    assert goes_to
    assert all(place.startswith("http://unix:") for place in goes_to)
    assert not re.findall(r"^\s*(?:upstream|keepalive)\s", served, re.MULTILINE)


def soak(lab: Lab, folder: Path, *words: str) -> dict[str, Any]:
    told = ("--env", str(lab.inventory), "--counts-only", "--folder", str(folder))
    done = subprocess.run(
        [sys.executable, "bench/soak.py", *told, *words],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return summary


def test_users_notice_nothing_of_deployments_and_rollbacks_in_turns(
    live_single: Lab, tmp_path: Path
) -> None:
    live_single.changeover("deploy", "8.0.0", "--yes", "--env", str(live_single.inventory))
    workers = live_single.ssh("host1", NGINX)

    found = soak(live_single, tmp_path, "--rounds", "2", "--rate", "40", "--websockets", "20")

    judged = found["judgement"]
    assert judged["findings"] == []
    assert judged["requests"] == judged["acknowledged"] == judged["rows"] > 500
    # Each of four moves ends those of the colour that is left, and the app says so to each of them.
    assert judged["closes"] == {"1001": 80}
    assert len(judged["answered"]) == 2

    # The site is the same: Nginx was not reloaded, and the old workers serve all along.
    assert live_single.ssh("host1", NGINX) == workers
    assert [verb["reloads"] for verb in found["verbs"]] == [0, 0, 0, 0]

    for verb in found["verbs"]:
        often = {
            step: each for step, each in verb["sessions"].items() if each not in ({}, {"host1": 1})
        }
        # The host is the app's, whose configuration goes into the backup, and the database's.
        assert often == ({"backup": {"host1": 2}} if "backup" in verb["sessions"] else {}), verb
    backs = [verb for verb in found["verbs"] if verb["words"] == "rollback"]
    assert [verb["sessions"] for verb in backs] == [
        {"lock": {"host1": 1}, "revert": {"host1": 1}, "smoke": {}}
    ] * 2

    back_to_live(live_single)
