"""Those who use VoxFlow on a lab, as clients of 1.0.0 do or as tenants."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

import pytest

from .clients import Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .voxflow import Voxflow

NAME = "voxflow.lab.test"
AGENTS_PATH = "/api/agents"
READY_SECONDS = 60
# As many as a tenant may make.
MOST = 90


@dataclass(frozen=True)
class Answer:
    """What somebody was answered."""

    status: int
    body: Any
    headers: dict[str, str]


@dataclass
class Client:
    """Somebody who signs in, lists and makes agents, one request after another and none twice.

    Args:
        voxflow: The app.
        email: Whose account it is.
        legacy: Whether it speaks as clients of 1.0.0 do.
        made: The names of what it made.
        listed: How often it was told its agents.
        headers: Those of its newest list.
        failed: What was not answered as it must be.
    """

    voxflow: Voxflow
    email: str
    legacy: bool = True
    made: list[str] = field(default_factory=list)
    listed: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    token: str = ""
    _end: threading.Event = field(default_factory=threading.Event)

    def ask(self, method: str, path: str, body: object = None) -> Answer:
        """Ask once on a connection of its own."""
        with contextlib.closing(Connection(self.voxflow.address, NAME)) as connection:
            return self._ask(connection, method, path, body)

    def sign_in(self) -> Answer:
        with contextlib.closing(Connection(self.voxflow.address, NAME)) as connection:
            return self._sign_in(connection)

    def register(self) -> None:
        asked = {
            "email": self.email,
            "password": self.voxflow.password,
            "subscription_tier": "enterprise",
        }
        answer = self.ask("POST", "/api/auth/register", asked)
        assert answer.status == 201, answer

    def agents(self) -> list[str]:
        """Return the names of what it is told."""
        answer = self.ask("GET", AGENTS_PATH)
        assert answer.status == 200, answer
        self.headers = answer.headers
        return self._names(answer)

    @contextlib.contextmanager
    def at_work(self) -> Iterator[Client]:
        """Have it ask until the block ends; it was answered at least once before that begins."""
        turns = threading.Thread(target=self._turns)
        before = self.listed
        turns.start()
        try:
            until(lambda: self.listed > before or bool(self.failed), f"{self.email} lists nothing")
            yield self
        finally:
            self._end.set()
            turns.join()
            self._end.clear()

    def _turns(self) -> None:
        with contextlib.closing(Connection(self.voxflow.address, NAME)) as connection:
            while not self._end.wait(0.2) and not self.failed:
                try:
                    self._turn(connection)
                except (OSError, HTTPException, ValueError) as error:
                    self.failed.append(f"{type(error).__name__}: {error}")

    def _turn(self, connection: Connection) -> None:
        answers = [self._sign_in(connection)]
        if len(self.made) < MOST:
            name = f"{self.email} {len(self.made)}"
            answers.append(self._ask(connection, "POST", AGENTS_PATH, {"name": name}))
            self.made.append(name)
        told = self._ask(connection, "GET", AGENTS_PATH)
        wrong = [each for each in (*answers, told) if each.status not in {200, 201}]
        if wrong:
            self.failed.append(str(wrong[0]))
            return
        lacking = set(self.made) - set(self._names(told))
        if lacking:
            self.failed.append(f"not listed: {sorted(lacking)[:3]}")
        self.headers = told.headers
        self.listed += 1

    def _sign_in(self, connection: Connection) -> Answer:
        asked = {"email": self.email, "password": self.voxflow.password}
        answer = self._ask(connection, "POST", "/api/auth/login", asked)
        if answer.status == 200:
            self.token = answer.body["token"]
        return answer

    def _names(self, answer: Answer) -> list[str]:
        key = "agents" if self.legacy else "data"
        return [each["name"] for each in answer.body[key]]

    def _ask(self, connection: Connection, method: str, path: str, body: object = None) -> Answer:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        sent = None if body is None else json.dumps(body)
        connection.request(method, path, sent, {**headers, "Content-Type": "application/json"})
        found = connection.getresponse()
        text = found.read()
        told = {name.lower(): value for name, value in found.getheaders()}
        return Answer(found.status, json.loads(text) if text else None, told)


def until(seen: Callable[[], bool], otherwise: str) -> None:
    """Wait for something to be seen."""
    for _ in range(READY_SECONDS * 10):
        if seen():
            return
        time.sleep(0.1)
    pytest.fail(otherwise)
