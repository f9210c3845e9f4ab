"""One connection to a database kept open, so that several statements see the same snapshot."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import tempfile
import time
import uuid
from typing import IO, TYPE_CHECKING, Any, Self

from changeover.agent.failure import ActionError
from changeover.agent.postgres import starting
from changeover.agent.postgres.tools import (
    BEAT_SECONDS,
    CLIENT_CHECK_SINCE,
    GONE_SECONDS,
    LOOK_SECONDS,
    QUERY_SECONDS,
    Server,
    as_system_user,
    text_of,
)
from changeover.agent.postgres.words import fault, without_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

Row = dict[str, Any]
Record = dict[str, Any]
# Row text depends on these, and a fingerprint must be the same in every database and session.
SETTINGS = """
SET statement_timeout = 0; SET lock_timeout = '30s'; SET idle_in_transaction_session_timeout = 0;
SET search_path = pg_catalog; SET timezone = 'UTC'; SET datestyle = 'ISO, YMD';
SET intervalstyle = 'postgres'; SET extra_float_digits = 3; SET bytea_output = 'hex';
SET lc_monetary = 'C'; SET xmloption = 'content'; SET row_security = off;
SET default_transaction_read_only = off; SET quote_all_identifiers = off"""

FACTS = """
SELECT current_setting('server_version_num')::int AS version, current_setting('server_encoding') AS encoding"""


class Session:
    """One connection kept open in a psql process: what it runs shares a transaction.

    Args:
        server: The server.
        database: The database to enter.
    """

    def __init__(self, server: Server, database: str) -> None:
        self.server = server
        self._buffer = b""
        self._entered = f"dbname={_conninfo(database)}"
        self._begin()

    def _begin(self) -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed on exit
        options = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
        self._process = subprocess.Popen(
            as_system_user([self.server.program("psql"), *options, "-d", self._entered]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd="/",
            env=self.server.environment(),
            bufsize=0,
        )

    def _connect(self) -> None:
        """Send what every session begins with, once a server that is being started takes it."""
        until = time.monotonic() + starting.STARTING_SECONDS
        while True:
            try:
                self.run(SETTINGS)
            except ActionError as error:
                if time.monotonic() > until or not starting.starts(str(error.cause)):
                    raise
                self.server.say("the database server is being started")
                self.__exit__(None, None, None)
                time.sleep(LOOK_SECONDS)
                self._begin()
            else:
                return

    def __enter__(self) -> Self:
        """Give the session, set up so that no default of the database changes an answer."""
        try:
            self._connect()
            facts = self.row(FACTS)
            self.version, self.encoding = int(facts["version"]), str(facts["encoding"])
            if self.encoding == "SQL_ASCII":
                # it holds whatever bytes it was given: nothing is known to convert, or to check them by
                self.run("SET client_encoding = SQL_ASCII")
            if self.major >= CLIENT_CHECK_SINCE:
                self.run("SET client_connection_check_interval = '1s'")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection; an open transaction ends with it."""
        if self._process.poll() is None:
            self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(GONE_SECONDS)
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream:
                stream.close()

    @property
    def major(self) -> int:
        """The server's major version."""
        return self.version // 10000

    def lines(
        self,
        statements: str,
        seconds: float = QUERY_SECONDS,
        watch: Callable[[], None] | None = None,
    ) -> Iterator[str]:
        """Run statements and give every line they print, as it comes.

        Args:
            statements: What is run.
            seconds: Until when at most.
            watch: Called several times a second while nothing comes; what it raises is passed on.

        Raises:
            ActionError: ``query-failed`` with the server's words, or what ``fault`` makes of them;
                ``query-slow`` at the deadline.
        """
        mark = f"end-{uuid.uuid4().hex}"
        try:
            asked = f"{statements}\n;\n\\echo {mark}\n".encode(errors="surrogateescape")
            self._pipe(self._process.stdin).write(asked)
        except BrokenPipeError:
            raise self._fault() from None
        until = time.monotonic() + seconds
        while True:
            *lines, self._buffer = self._buffer.split(b"\n")
            for line in lines:
                text = line.decode(errors="surrogateescape")
                if text == mark:
                    return
                yield text
            self._buffer += self._read(until, watch)

    def run(self, statements: str, watch: Callable[[], None] | None = None) -> None:
        """Run statements that answer nothing of interest; ``watch`` is as of ``lines``."""
        for _ in self.lines(statements, watch=watch):
            pass

    def rows(self, query: str) -> list[Row]:
        """Run one query and return its rows."""
        asked = f"SELECT row_to_json(x) FROM ({query}) x"  # noqa: S608 - callers quote their names
        return [json.loads(line) for line in self.lines(asked)]

    def row(self, query: str) -> Row:
        """Run one query that answers exactly one row."""
        (row,) = self.rows(query)
        return row

    def value(self, query: str) -> Any:  # noqa: ANN401 - whatever JSON value the column holds
        """Run one query that answers exactly one row and column."""
        (value,) = self.row(query).values()
        return value

    def _read(self, until: float, watch: Callable[[], None] | None) -> bytes:
        output = self._pipe(self._process.stdout)
        said = time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while not selector.select(LOOK_SECONDS if watch else BEAT_SECONDS):
                if watch:
                    watch()
                if (now := time.monotonic()) - said >= BEAT_SECONDS:
                    said = now
                    self.server.say("the database is still at work on a statement")
                if now > until:
                    raise ActionError("query-slow", "a statement ran past its deadline")
        chunk = os.read(output.fileno(), 1 << 16)
        if not chunk:
            raise self._fault()
        return chunk

    def _fault(self) -> ActionError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(BEAT_SECONDS)
        said = without_values(text_of(self._errors))
        message = "the database refused a statement"
        return ActionError(fault(said, "query-failed"), message, cause=said)

    @staticmethod
    def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
        if stream is None:
            raise ActionError("query-failed", "the session has no pipe")
        return stream


def _conninfo(database: str) -> str:
    return "'" + database.replace("\\", "\\\\").replace("'", "\\'") + "'"
