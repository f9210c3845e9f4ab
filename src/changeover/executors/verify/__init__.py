"""Prove the hosts themselves: a testinfra suite over SSH, in a process of its own."""

from __future__ import annotations

import contextlib
import importlib.resources
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from changeover import parallel
from changeover.errors import ChangeoverError, CheckRed, Failed
from changeover.executors.verify import access

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from changeover.inventory import Environment
    from changeover.release import App

Event = dict[str, Any]
SECONDS = 600.0
# A killed program is gone at once, unless the disk that it waits for is.
GONE_SECONDS = 10.0
PASSED, SKIPPED = "passed", "skipped"


class HostsRed(CheckRed):
    """Hosts are not as they should be."""


class VerifyFailed(Failed):
    """The suite itself could not run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCheck:
    """What one check found on one host.

    Args:
        check: The check's name.
        says: What it claims, as a sentence.
        host: The host's inventory name.
        status: ``passed``, ``failed`` or ``skipped``.
        message: Why it is red, or why it was left out.
        seconds: How long it took.
    """

    check: str
    says: str
    host: str
    status: str
    message: str
    seconds: float

    @property
    def ok(self) -> bool:
        """Return whether the check is not red."""
        return self.status in {PASSED, SKIPPED}

    def as_event(self) -> Event:
        """Return the result as one JSON-ready event."""
        return {
            "type": "check",
            "id": self.check,
            "ok": self.ok,
            "status": self.status,
            "host": self.host,
            "says": self.says,
            "message": self.message,
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyOutcome:
    """What all checks found."""

    checks: tuple[HostCheck, ...]
    seconds: float

    @property
    def red(self) -> tuple[HostCheck, ...]:
        """Return the red checks."""
        return tuple(check for check in self.checks if not check.ok)

    @property
    def skipped(self) -> tuple[HostCheck, ...]:
        """Return the checks that could not look."""
        return tuple(check for check in self.checks if check.status == SKIPPED)

    def require_green(self, hint: str) -> None:
        """Raise ``HostsRed`` with the red checks named, unless there are none."""
        if not self.red:
            return
        first = self.red[0]
        raise HostsRed(
            f"{len(self.red)} of {len(self.checks)} checks of the hosts are red",
            hint=hint,
            host=first.host,
            cause="\n".join(f"{check.host}: not so: {check.says}" for check in self.red),
        )


def apply(
    environment: Environment, apps: Sequence[App], report: Callable[[Event], None]
) -> VerifyOutcome:
    """Check every host and return what was found; nothing is changed.

    Checks that need an administrator are run where the inventory names one whose key is here, and
    are ``skipped`` elsewhere.

    Args:
        environment: Its hosts.
        apps: The apps that live there.
        report: Called with one event a check.

    Raises:
        HostUnreachable, HostKeyChanged, SignInRefused: A host cannot be asked at all.
        VerifyFailed: The suite did not run to its end.
    """
    begun = time.monotonic()
    for answer in parallel.ask(environment, environment.hosts, "echo here").values():
        if isinstance(answer, ChangeoverError):
            raise answer
    with tempfile.TemporaryDirectory(prefix="verify-") as directory:
        folder = Path(directory)
        question = access.question(environment, apps, folder / "ssh_config")
        config = access.ssh_config(environment, folder)
        (folder / "ssh_config").write_text(config, encoding="utf-8")
        (folder / "environment.json").write_text(json.dumps(question), encoding="utf-8")
        try:
            checks = tuple(_checks(folder, report))
        finally:
            access.close(folder, question["hosts"])
    return VerifyOutcome(checks=checks, seconds=time.monotonic() - begun)


def _checks(folder: Path, report: Callable[[Event], None]) -> Iterator[HostCheck]:
    suite = importlib.resources.files("changeover.executors.testinfra_suite")
    reading, writing = os.pipe()
    with (folder / "output").open("w+b") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "pytest", "-q", "-c", str(suite / "pytest.ini")),
                *("--rootdir", str(suite), str(suite)),
                *("--environment", str(folder / "environment.json"), "--results", str(writing)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            pass_fds=(writing,),
            start_new_session=True,
        )
        os.close(writing)
        with _deadline(process), os.fdopen(reading, encoding="utf-8") as lines:
            for line in lines:
                said = json.loads(line)
                check = HostCheck(**{**said, "host": said["host"] or "all"})
                report(check.as_event())
                yield check
            code = process.wait()
        if code not in {0, 1}:
            output.seek(0)
            raise VerifyFailed(
                f"the suite of host checks ended with exit {code}",
                hint="run it again; if it stays so, report this with the lines above",
                cause=output.read().decode("utf-8", "replace")[-3000:].strip(),
            )


@contextlib.contextmanager
def _deadline(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End the suite and its SSH sessions when time is up or the caller leaves."""

    def end() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(SECONDS, end)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if process.poll() is None:
            end()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GONE_SECONDS)
