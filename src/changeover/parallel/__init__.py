"""All hosts asked, or given files, at the same time, by pyinfra in a process of its own.

pyinfra is parallel only under gevent, and gevent rewires a whole process. So it gets one to itself:
``python -m changeover.parallel.process``, one JSON request on stdin, one JSON object a line back.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from changeover.errors import ChangeoverError, CheckRed, Failed
from changeover.remote.failures import HostKeyChanged, HostUnreachable, SignInRefused
from changeover.remote.traffic import METER, Traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from changeover.inventory import Environment, Host

Event = dict[str, Any]
CONNECT_SECONDS = 10
# A killed program is gone at once, unless the disk that it waits for is.
GONE_SECONDS = 10


class FactsUnreadable(CheckRed):
    """A host answers SSH, and the question about its facts fails on it."""


class UploadFailed(Failed):
    """A file did not arrive whole on a host."""


class ParallelProcessFailed(Failed):
    """The process that asks all hosts ended without an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A local file for the hosts.

    Args:
        source: Where it is here.
        name: What it is called there, without a directory.
        sha256: What it must hash to on arrival.
    """

    source: Path
    name: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one host answered: the command's output, or how many bytes were sent to it."""

    output: str = ""
    sent_bytes: int = 0


def ask(
    environment: Environment, hosts: Sequence[Host], command: str, *, seconds: float = 60
) -> dict[str, Answer | ChangeoverError]:
    """Run one command on every host as the deploy user; return its output, or why there is none.

    Args:
        environment: Whose deploy user, key and known hosts are used.
        hosts: The hosts.
        command: A shell command that changes nothing.
        seconds: How long all hosts together may take.
    """
    request = {"command": command}
    return _run(environment, hosts, request, lambda _: None, seconds)


def send(
    environment: Environment,
    hosts: Sequence[Host],
    files: Sequence[File],
    directory: str,
    report: Callable[[Event], None],
    *,
    seconds: float = 600,
) -> dict[str, Answer | ChangeoverError]:
    """Bring files to a directory of every host; what is there with the right hash is not sent.

    Each file arrives under a temporary name, is hashed there, flushed and renamed.

    Args:
        environment: Whose deploy user, key and known hosts are used.
        hosts: The hosts.
        files: The files.
        directory: Absolute, writable by the deploy user.
        report: Called with one event a file that was sent.
        seconds: How long all hosts together may take.
    """
    request = {
        "directory": directory,
        "files": [
            {"source": str(file.source), "name": file.name, "sha256": file.sha256} for file in files
        ],
    }
    return _run(environment, hosts, request, report, seconds)


def _run(
    environment: Environment,
    hosts: Sequence[Host],
    request: Mapping[str, Any],
    report: Callable[[Event], None],
    seconds: float,
) -> dict[str, Answer | ChangeoverError]:
    if not hosts:
        return {}
    full = {**request, **_reach(environment, hosts)}
    found: dict[str, Answer | ChangeoverError] = {}
    by_name = {host.name: host for host in hosts}
    with _process(seconds) as (process, said):
        for event in _events(process, full):
            if event["type"] == "progress":
                report({**event, "type": "upload"})
                continue
            host = by_name[event["host"]]
            METER.add(host.name, Traffic(**event["traffic"]))
            found[host.name] = (
                _failure(environment, host, event)
                if "error" in event
                else Answer(
                    output=event.get("output", ""), sent_bytes=int(event.get("sent_bytes", 0))
                )
            )
    if len(found) < len(hosts):
        raise ParallelProcessFailed(
            f"{len(hosts) - len(found)} of {len(hosts)} hosts gave no answer within {seconds:g} s",
            hint=f"changeover status --env {environment.name}",
            host=next(host.name for host in hosts if host.name not in found),
            cause="".join(said)[-2000:].strip() or None,
        )
    return found


def _reach(environment: Environment, hosts: Sequence[Host]) -> dict[str, Any]:
    """Return how the process reaches the hosts, as it reads it."""
    return {
        "user": environment.deploy_user,
        "key": str(environment.deploy_key),
        "known_hosts": str(environment.known_hosts),
        "connect_seconds": CONNECT_SECONDS,
        "hosts": [
            {"name": host.name, "address": host.address, "port": host.port} for host in hosts
        ],
    }


@contextlib.contextmanager
def _process(seconds: float) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Start the process; it is ended when time is up or the caller leaves."""
    process = subprocess.Popen(
        [sys.executable, "-m", "changeover.parallel.process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    timer = threading.Timer(seconds, process.kill)
    said: list[str] = []
    # Read beside stdout, or a talkative process would block on a full pipe.
    reader = threading.Thread(target=lambda: said.extend(process.stderr or ()), daemon=True)
    timer.start()
    reader.start()
    try:
        yield process, said
    finally:
        timer.cancel()
        process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GONE_SECONDS)
        reader.join(1)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def _events(process: subprocess.Popen[str], request: Mapping[str, Any]) -> Iterator[Event]:
    if process.stdin is None or process.stdout is None:
        raise TypeError("the process has no pipes")
    with contextlib.suppress(BrokenPipeError):
        json.dump(request, process.stdin)
        process.stdin.close()
    for line in process.stdout:
        if line.startswith("{"):
            yield json.loads(line)


def _failure(environment: Environment, host: Host, event: Event) -> ChangeoverError:
    where, cause = f"{host.name} ({host.address}:{host.port})", str(event.get("cause", "")).strip()
    match event["error"]:
        case "host-key" | "host-key-unknown" as kind:
            what = "not the recorded one" if kind == "host-key" else "not recorded"
            return HostKeyChanged(
                f"the host key of {host.name} ({host.address}) is {what}",
                hint="compare the key on the host's console; if it is right, correct its line in"
                f" {environment.known_hosts}",
                host=host.name,
                cause=cause,
            )
        case "sign-in":
            return SignInRefused(
                f"{host.name} refuses the key of user {environment.deploy_user}",
                hint=f"changeover provision --env {environment.name} --limit {host.name}",
                host=host.name,
                cause=cause,
            )
        case "unreachable":
            return HostUnreachable(
                f"{where} does not answer SSH",
                hint="start the host or correct its address in the inventory, then run this again",
                host=host.name,
                cause=cause,
            )
        case "upload":
            return UploadFailed(
                f"{event['file']} did not arrive whole on {host.name}",
                hint=f"free space on {host.name} or repair the connection, then run this again",
                host=host.name,
                cause=cause,
            )
        case _:
            return FactsUnreadable(
                f"{host.name} cannot say what it has",
                hint=f"changeover provision --env {environment.name} --limit {host.name}",
                host=host.name,
                cause=cause,
            )
