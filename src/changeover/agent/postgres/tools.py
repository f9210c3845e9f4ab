"""PostgreSQL's own programs, run as its system user and never outliving the agent.

Statements travel on standard input, so that none shows up in ``ps``. Peer authentication over the
unix socket needs no password. Every wait has a deadline, and says every few seconds that it is
still waiting, because a silent agent looks like a dead one.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

from changeover.agent.failure import ActionError
from changeover.agent.postgres.words import fault, without_values

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SYSTEM_USER = "postgres"
BEAT_SECONDS = 10.0
LOOK_SECONDS = 0.2
# A killed program is gone at once, unless the disk that it waits for is.
GONE_SECONDS = 10.0
QUERY_SECONDS = 3600.0
CLIENT_CHECK_SINCE = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """How the local PostgreSQL server is reached.

    Args:
        socket: Directory of its unix socket.
        port: The port that names the socket.
        binaries: Directory that holds ``<major>/bin``, as Debian lays it out.
        say: Called with a line of progress.
    """

    socket: str = "/var/run/postgresql"
    port: int = 5432
    binaries: Path = Path("/usr/lib/postgresql")
    say: Callable[[str], None] = lambda _: None

    def programs(self, name: str) -> list[tuple[int, Path]]:
        """Return (major, path) of every installed version of a program, oldest first."""
        found = [(int(path.parts[-3]), path) for path in self.binaries.glob(f"[0-9]*/bin/{name}")]
        if not found:
            raise ActionError("tool-missing", f"{name} is not installed under {self.binaries}")
        return sorted(found)

    def program(self, name: str, major: int | None = None) -> Path:
        """Return a program's path: of the server's own major version, else the newest.

        Raises:
            ActionError: ``tool-older`` when every installed one is older than the server.
        """
        found = self.programs(name)
        newest, path = found[-1]
        if major is not None and newest < major:
            raise ActionError(
                "tool-older", f"{name} {newest} is older than the server's version {major}"
            )
        return dict(found).get(major, path) if major is not None else path

    def environment(self, major: int | None = None) -> dict[str, str]:
        """Return the whole environment of a program; nothing of the agent's own leaks in."""
        # What it says is looked at, and freed of rows, in English; no write freeze bars the way back.
        options = ["-c lc_messages=C", "-c default_transaction_read_only=off"]
        if major is not None and major >= CLIENT_CHECK_SINCE:
            options.append("-c client_connection_check_interval=1000")
        return {
            "PATH": "/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
            "PGHOST": self.socket,
            "PGPORT": str(self.port),
            "PGUSER": SYSTEM_USER,
            "PGAPPNAME": "changeover",
            "PGCLIENTENCODING": "UTF8",
            "PGCONNECT_TIMEOUT": "10",
            "PGOPTIONS": " ".join(options),
        }


def literal(text: str) -> str:
    """Return text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Return a name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def as_system_user(command: Sequence[object], *, detached: bool = False) -> list[str]:
    """Return the argument list that runs a command as the database's system user.

    Args:
        command: The program and its arguments.
        detached: Whether it may outlive the agent; otherwise the kernel ends it with us.
    """
    prefix = ["setpriv"] + ([] if detached else ["--pdeathsig=KILL"])
    if os.geteuid() == 0:
        prefix += [f"--reuid={SYSTEM_USER}", f"--regid={SYSTEM_USER}", "--init-groups"]
    return [*(prefix if len(prefix) > 1 else []), *map(str, command)]


class Running:
    """A program that was started: wait for it, or leave it and it is ended."""

    def __init__(
        self,
        server: Server,
        command: Sequence[object],
        *,
        major: int | None = None,
        script: str = "",
        keep: tuple[int, ...] = (),
    ) -> None:
        """Start it.

        Args:
            server: The server that it talks to.
            command: Program and arguments.
            major: The server's version where it is known.
            script: What it reads on standard input.
            keep: File descriptors that it holds open; with any, it may outlive the agent.
        """
        self._server = server
        self._name = Path(str(command[0])).name
        self._output: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed on exit
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed on exit
        with tempfile.TemporaryFile() as source:
            source.write(script.encode(errors="surrogateescape"))
            source.seek(0)
            self.process = subprocess.Popen(
                as_system_user(command, detached=bool(keep)),
                stdin=source,
                stdout=self._output,
                stderr=self._errors,
                cwd="/",
                env=server.environment(major),
                pass_fds=keep,
                start_new_session=bool(keep),
            )

    def __enter__(self) -> Self:
        """Give the program itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it when it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(GONE_SECONDS)
        self._output.close()
        self._errors.close()

    def said(self) -> str:
        """Return what it wrote to its standard error, without the rows that it quotes."""
        return without_values(text_of(self._errors))

    def wait(
        self,
        seconds: float = QUERY_SECONDS,
        watch: Callable[[], None] | None = None,
        far: Callable[[], str] = lambda: "",
    ) -> str:
        """Wait for the end and return what it printed.

        Args:
            seconds: Until when at most.
            watch: Called several times a second; what it raises is passed on.
            far: Tells how far it has come, for whoever waits; empty where that is not known.

        Raises:
            ActionError: ``tool-failed`` on any exit code but 0, or what ``fault`` makes of its words;
                ``tool-slow`` at the deadline.
        """
        begun = said = time.monotonic()
        while True:
            try:
                code = self.process.wait(LOOK_SECONDS if watch else BEAT_SECONDS)
                break
            except subprocess.TimeoutExpired:
                now = time.monotonic()
            if watch:
                watch()
            if now - said >= BEAT_SECONDS:
                said = now
                come = far()
                self._server.say(f"{self._name} runs for {now - begun:.0f} s{come and f', {come}'}")
            if now - begun > seconds:
                message = f"{self._name} did not end within {seconds:.0f} s"
                raise ActionError("tool-slow", message, cause=self.said())
        if code != 0:
            message, cause = f"{self._name} ended with exit code {code}", self.said()
            raise ActionError(fault(cause, "tool-failed"), message, cause=cause)
        return text_of(self._output, "surrogateescape")


def text_of(file: IO[bytes], errors: str = "replace") -> str:
    """Return everything a program wrote to a file; ``errors`` is what becomes of bytes that are no UTF-8."""
    file.seek(0)
    return file.read().decode(errors=errors).strip()


def run(
    server: Server, command: Sequence[object], *, major: int | None = None, script: str = ""
) -> str:
    """Run a program to its end and return what it printed; any exit code but 0 is a failure."""
    with Running(server, command, major=major, script=script) as running:
        return running.wait()


def tool_version(server: Server, program: Path) -> str:
    """Return the version that a program itself claims, for example ``15.14``."""
    claim = run(server, [program, "--version"])
    found = re.search(r"\) (\d+[\w.]*)", claim)
    if not found:
        raise ActionError("tool-unknown", f"{program} does not say its version", cause=claim)
    return found[1]
