"""The power of a lab's hosts: one that lost it gets it back, and when it was gone is remembered."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab.live import SERVES

from changeover.load.judgement import Window

if TYPE_CHECKING:
    from tests.lab.conftest import Lab

CAUSE = "the only host is off"
# A host without power has no process left after less.
LOOKS, LOOK_SECONDS = 60, 0.5
# What ran the host is there for a moment longer than what ran on it.
ENDING_SECONDS = 5.0


@dataclass(kw_only=True)
class Power:
    """Watches the hosts of a lab while a command runs.

    Args:
        lab: The lab.
        gone: When users had no host, to the moment that the app serves again.
    """

    lab: Lab
    gone: list[Window] = field(default_factory=list)
    _hosts: dict[str, int] = field(default_factory=dict)
    _seen: float = 0.0

    def watch(self) -> None:
        """Remember the hosts as they run now."""
        self._seen = time.time()
        hosts = self.lab.hosts.items()
        self._hosts = {host: int(facts["pid"]) for host, facts in hosts if facts["pid"]}

    def settle(self) -> None:
        """Return once every host answers; what was about to lose its power has it back then."""
        for host in self.lab.hosts:
            for _ in range(LOOKS):
                if self._answers(host):
                    break
                time.sleep(LOOK_SECONDS)
                self.look()

    def _answers(self, host: str) -> bool:
        return "here" in self.lab.ssh(host, "echo here", status=None)

    def look(self) -> None:
        """Start hosts again that lost their power, and wait until the app serves on them."""
        now = time.time()
        if all(map(_alive, self._hosts.values())):
            self._seen = now
            return
        self.lab.changeover("lab", "up")
        for host, facts in self.lab.hosts.items():
            if "app" in facts["groups"]:
                self.lab.ssh(host, SERVES, status=None)
        self.gone.append(Window(cause=CAUSE, start=self._seen - ENDING_SECONDS, end=time.time()))
        self.watch()


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
