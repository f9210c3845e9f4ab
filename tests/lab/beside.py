"""An app on a lab beside another one: what moves it, and what it has in its database."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from changeover.lab.vault import KEPT

if TYPE_CHECKING:
    from pathlib import Path

    from .live import Event, User

BESIDE, HOST = "nox-api", "host1"


@dataclass(frozen=True)
class AppBeside:
    """The app on the lab.

    Args:
        user: Who moves it.
        folder: Where loads are recorded.
    """

    app: ClassVar[str]
    user: User
    folder: Path

    def run(self, *words: str, status: int = 0) -> list[Event]:
        done = self.user.run(*words, "--app", self.app, "--json")
        assert done.returncode == status, done.stdout + done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def error(self, *words: str, status: int) -> Event:
        return self.run(*words, status=status)[-1]

    def live(self) -> str:
        told = self.run("status")
        colour: str = next(each for each in told if each["type"] == "host")["live"]
        return colour

    def sql(self, statement: str, **values: object) -> str:
        """Return what psql prints; ``:'name'`` stands for a value."""
        given = " ".join(shlex.quote(f"--set={name}={value}") for name, value in values.items())
        command = f"cd / && runuser -u postgres -- psql -XAtq -d {self.app} {given}"
        return self.user.lab.ssh(HOST, command, told=statement)

    def secret(self, name: str) -> str:
        """Return a secret that the lab has drawn for the app."""
        drawn = json.loads((self.user.lab.identity.state / KEPT).read_text())
        value: str = drawn["changeover_secrets"][self.app][name]
        return value

    @property
    def address(self) -> str:
        address: str = self.user.lab.hosts[HOST]["address"]
        return address
