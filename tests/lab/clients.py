"""Clients of a lab's app, one for each bucket of a canary: each keeps its cookie, and asks once only."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BUCKETS = 100
AT_ONCE = 10
NAME = "nox.lab.test"
COOKIE = "nox_api_share"
PATH = "/health/db"
RELEASE = "X-Release"
SECONDS = 30


class Connection(http.client.HTTPSConnection):
    """A kept-alive connection to a lab's address, under an app's public name."""

    def __init__(self, address: str, name: str = NAME) -> None:
        super().__init__(name)
        self._address = address
        self._tls = ssl.create_default_context()
        self._tls.check_hostname, self._tls.verify_mode = False, ssl.CERT_NONE

    def connect(self) -> None:
        """Connect to the address, whatever the name says."""
        plain = socket.create_connection((self._address, 443), timeout=SECONDS)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)


@dataclass(frozen=True)
class Answer:
    """What a client was answered: the status, the version that said so, and all headers and text."""

    status: int
    version: str
    headers: Mapping[str, str]
    text: str


def ask(connection: Connection, path: str = PATH, **headers: str) -> Answer:
    """Ask once for a path, without a second try."""
    connection.request("GET", path, headers=headers)
    found = connection.getresponse()
    text = found.read().decode()
    version = found.getheader(RELEASE, "").partition("-")[0]
    return Answer(found.status, version, dict(found.getheaders()), text)


@dataclass
class Clients:
    """A hundred clients, one a bucket, ten of them at once.

    Args:
        address: Where they ask.
        agent: How they call themselves.
        answered: The versions that answered each of them, one after another, without repetition.
        failed: What was no whole answer of the app.
    """

    address: str
    agent: str = "client"
    answered: defaultdict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    failed: list[str] = field(default_factory=list)
    _end: threading.Event = field(default_factory=threading.Event)

    def everyone(self) -> dict[int, str]:
        """Have each of them ask once; return the version that answered it."""
        with contextlib.closing(Connection(self.address)) as connection:
            return {number: self._one(connection, number) for number in range(BUCKETS)}

    def _one(self, connection: Connection, number: int) -> str:
        cookie = f"{COOKIE}={number:02d}"
        answer = ask(connection, Cookie=cookie, **{"User-Agent": self.agent})
        if answer.status != http.HTTPStatus.OK:
            self.failed.append(f"{cookie}: {answer.status} of {answer.version}")
        return answer.version

    @contextlib.contextmanager
    def asking(self) -> Iterator[Clients]:
        """Have them ask one after another until the block ends."""
        turns = [threading.Thread(target=self._turns, args=(each,)) for each in range(AT_ONCE)]
        for each in turns:
            each.start()
        try:
            yield self
        finally:
            self._end.set()
            for each in turns:
                each.join()

    def _turns(self, first: int) -> None:
        with contextlib.closing(Connection(self.address)) as connection:
            while not self._end.is_set():
                for number in range(first, BUCKETS, AT_ONCE):
                    self._turn(connection, number)

    def _turn(self, connection: Connection, number: int) -> None:
        try:
            version = self._one(connection, number)
        except (OSError, http.client.HTTPException) as error:
            self.failed.append(f"{number}: {type(error).__name__}: {error}")
            connection.close()
            return
        if self.answered[number][-1:] != [version]:
            self.answered[number].append(version)
