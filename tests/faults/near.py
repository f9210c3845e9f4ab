"""A lab that is asked without a program of ours in between: a trial asks twenty times."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from tests.lab.conftest import COMMAND_SECONDS, Lab

from changeover.lab import hosts, status

if TYPE_CHECKING:
    from changeover.lab.identity import Identity


class NearLab(Lab):
    """A lab as the others, whose hosts and state are reached directly."""

    def ssh(
        self, host: str, command: str, *, status: int | None = 0, told: str | None = None
    ) -> str:
        """Run a shell command on a host as its administrator and return its output."""
        done = subprocess.run(
            _way(self.identity, host, command),
            input=told or "",
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if status is not None and done.returncode != status:
            pytest.fail(f"{command} on {host}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def status(self) -> dict[str, Any]:
        """Return what there is of the lab and whether it runs."""
        return status.status(self.identity).as_event()


def _way(lab: Identity, host: str, command: str) -> list[str]:
    return hosts.ssh_command(lab, status.find_host(lab, host), command)
