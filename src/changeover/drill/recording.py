"""A load client as a process of its own, and the history that it leaves."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psycopg

from changeover.errors import CheckRed
from changeover.load import history
from changeover.runner.database import owner_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from changeover.drill.declaration import Declared
    from changeover.inventory import Environment
    from changeover.load.history import History
    from changeover.release import App

LONGEST_SECONDS = 3600
ANSWER_SECONDS = 30
BEGIN_SECONDS = 60.0
END_SECONDS = 60.0
# So many requests are answered before anything is done to the environment.
FIRST_REQUESTS = 20
PAUSE_SECONDS = 0.05


class LoadNotBegun(CheckRed):
    """No load reaches the app, so nothing could be judged; nothing was injected."""


class Recording:
    """A load that runs, and what it has recorded."""

    def __init__(self, process: subprocess.Popen[str], records: Path) -> None:
        self._process = process
        self._records = records

    @property
    def lines(self) -> int:
        """Return how many requests and WebSockets are over."""
        return self._records.read_bytes().count(b"\n") if self._records.exists() else 0

    def begin(self) -> None:
        """Wait until the load is under way.

        Raises:
            LoadNotBegun: It ended, or nothing is answered.
        """
        deadline = time.monotonic() + BEGIN_SECONDS
        while self.lines < FIRST_REQUESTS:
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._process.kill()
                raise LoadNotBegun(
                    "the load client reaches nothing",
                    hint="changeover smoke shows what users get; changeover_drill says what is sent",
                    cause=self._process.communicate()[1].strip()[-2000:],
                )
            time.sleep(PAUSE_SECONDS)

    def further(self, requests: int) -> bool:
        """Wait until so many more requests are over, for a minute at most; tell whether they are."""
        wanted, deadline = self.lines + requests, time.monotonic() + BEGIN_SECONDS
        while self.lines < wanted:
            if self._process.poll() is not None or time.monotonic() > deadline:
                return False
            time.sleep(PAUSE_SECONDS)
        return True

    def end(self) -> History:
        """End the load and return all of it."""
        self._process.terminate()
        try:
            self._process.communicate(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        return history.read(self._records)


@contextlib.contextmanager
def recording(
    environment: Environment, app: str, declared: Declared, records: Path
) -> Iterator[Recording]:
    """Run the declared load while the block runs; its record is written to ``records``.

    Raises:
        LoadNotBegun: It does not reach the app.
    """
    records.parent.mkdir(parents=True, exist_ok=True)
    records.unlink(missing_ok=True)
    process = subprocess.Popen(
        _command(environment, app, declared, records),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Ctrl-C is for who runs it: the load goes on until it is told to end.
        start_new_session=True,
    )
    try:
        if process.stdin:
            process.stdin.write((declared.sign_in or {}).get("body", "") + "\n")
            process.stdin.flush()
        running = Recording(process, records)
        running.begin()
        yield running
    finally:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=END_SECONDS)


def _command(environment: Environment, app: str, declared: Declared, records: Path) -> list[str]:
    words = [sys.executable, "-m", "changeover.load", "--records", str(records)]
    words += ["--address", environment.public_address, "--name", environment.public_name(app)]
    if environment.tls.ca_certificate:
        words += ["--ca", str(environment.tls.ca_certificate)]
    words += ["--path", str(declared.path), "--body", declared.body, "--rate", str(declared.rate)]
    words += ["--seconds", str(LONGEST_SECONDS), "--timeout", str(ANSWER_SECONDS)]
    words += ["--websockets", str(declared.websockets)]
    words += ["--websocket-path", declared.websocket_path]
    sign_in = declared.sign_in or {"path": "", "token": ""}
    words += ["--sign-in", sign_in["path"], "--sign-in-body", "-"]
    return [*words, "--token-field", sign_in["token"]]


def rows_of(environment: Environment, app: App, declared: Declared) -> list[str] | None:
    """Return the request ids that the database has, or ``None`` where they cannot be looked up."""
    if declared.rows is None:
        return None
    with (
        owner_database(environment, app) as place,
        psycopg.connect(**place.parameters()) as connection,  # type: ignore[arg-type] # libpq takes both
    ):
        return [str(row[0]) for row in connection.execute(declared.rows.encode()).fetchall()]
