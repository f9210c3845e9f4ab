"""Labs for the tests: real hosts, under names of their own, so that they meet no other lab."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).resolve().parents[2]
COMMAND_SECONDS = 600
Completed = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Lab:
    """A lab of the tests: its commands are run as a user would type them."""

    name: str
    environment: dict[str, str] = field(default_factory=dict)

    def changeover(
        self, *words: str, status: int | None = 0, seconds: float = COMMAND_SECONDS
    ) -> Completed:
        """Run ``changeover WORDS`` against this lab; fail unless it ends with ``status``."""
        done = subprocess.run(
            [sys.executable, "-m", "changeover", *words],
            cwd=CHECKOUT,
            env={**os.environ, "CHANGEOVER_LAB": self.name, **self.environment},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if status is not None and done.returncode != status:
            pytest.fail(
                f"changeover {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done

    def up(self, topology: str) -> None:
        self.changeover("lab", "up", "--topology", topology)

    def purge(self) -> None:
        self.changeover("lab", "down", "--purge", "--keep-cache")

    def ssh(self, host: str, command: str, *, status: int | None = 0) -> str:
        """Run a shell command on a host as its administrator and return its output."""
        return self.changeover("lab", "ssh", host, "--", command, status=status).stdout.strip()

    def snapshot(self, name: str) -> None:
        self.changeover("lab", "snapshot", name)

    def reset(self, name: str) -> None:
        self.changeover("lab", "reset", name)

    def status(self) -> dict[str, Any]:
        lines = self.changeover("lab", "status", "--json").stdout.splitlines()
        answer: dict[str, Any] = json.loads(lines[-1])
        return answer

    @property
    def inventory(self) -> Path:
        """The inventory directory: what ``--env`` takes."""
        return Path(self.status()["inventory"])

    @property
    def hosts(self) -> dict[str, dict[str, Any]]:
        """The hosts by name: address, groups, state, pid."""
        return {host["name"]: host for host in self.status()["hosts"]}


def own_lab(purpose: str, **environment: str) -> Lab:
    """Return a lab whose name the next run of this checkout finds again, to clear what is left."""
    digest = hashlib.sha256(f"{CHECKOUT}".encode()).hexdigest()[:6]
    return Lab(f"test-{purpose}-{digest}", environment)


def session_lab(topology: str) -> Iterator[Lab]:
    lab = own_lab(topology)
    lab.purge()
    lab.up(topology)
    yield lab
    lab.purge()


@pytest.fixture(scope="session")
def lab_single() -> Iterator[Lab]:
    """Yield a lab with one freshly installed host in all groups."""
    yield from session_lab("single")


@pytest.fixture(scope="session")
def lab_fleet() -> Iterator[Lab]:
    """Yield a lab with freshly installed hosts lb1, app1, app2 and db1."""
    yield from session_lab("fleet")
