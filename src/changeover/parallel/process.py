"""The process that holds pyinfra: read a request, talk to all hosts at once, print the answers.

Nothing else imports this module: its first line rewires sockets, threads and time for the process.
"""

# ruff: noqa: E402 - what follows must be imported after the rewiring
from __future__ import annotations

import gevent.monkey

gevent.monkey.patch_all()

import json
import logging
import secrets
import shlex
import sys
import traceback
from pathlib import Path
from typing import Any

import gevent
from pyinfra import api
from pyinfra.api.connectors import get_all_connectors
from pyinfra.api.facts import get_fact
from pyinfra.context import ctx_host, ctx_state

from changeover.remote import traffic

Request = dict[str, Any]
Answer = dict[str, Any]
COMMAND_SECONDS = 45
MOST_AT_ONCE = 64


class HostOutput(api.FactBase):  # type: ignore[misc]  # pyinfra is untyped here
    """Whatever a command prints, as one text."""

    def command(self, line: str) -> str:
        """Return the command as it is."""
        return line

    def process(self, output: list[str]) -> str:
        """Return the printed lines as one text."""
        return "\n".join(output)


class HostFailureError(Exception):
    """A failure on one host, with the word that tells its kind."""

    def __init__(self, error: str, cause: str, **more: str) -> None:
        super().__init__(cause)
        self.answer = {"error": error, "cause": cause, **more}


def say(event: Answer) -> None:
    """Print one JSON object on a line of its own."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def state_of(request: Request) -> api.State:
    """Return pyinfra's state for the request's hosts, independent of the user's SSH settings."""
    seconds = int(request["connect_seconds"])
    hosts = [
        (
            host["name"],
            {
                "ssh_hostname": host["address"],
                "ssh_port": host["port"],
                "ssh_user": request["user"],
                "ssh_key": request["key"],
                "ssh_known_hosts_file": request["known_hosts"],
                "ssh_strict_host_key_checking": "yes",
                "ssh_config_file": "/dev/null",
                "ssh_paramiko_connect_kwargs": {
                    "banner_timeout": seconds,
                    "auth_timeout": seconds,
                },
            },
        )
        for host in request["hosts"]
    ]
    config = api.Config(CONNECT_TIMEOUT=seconds, PARALLEL=min(len(hosts), MOST_AT_ONCE))
    get_all_connectors()
    return api.State(api.Inventory((hosts, {})), config)


def connect(host: Any) -> None:  # noqa: ANN401 - pyinfra is untyped here
    """Open the host's connection.

    Raises:
        HostFailureError: The host is away, shows another key, or refuses ours.
    """
    try:
        host.connect(raise_exceptions=True)
    except api.exceptions.ConnectError as error:
        said = " ".join(str(part) for part in error.args if part) or str(error)
        if "no host key" in said.lower():
            kind = "host-key-unknown"
        elif "host key" in said.lower():
            kind = "host-key"
        elif "authentication" in said.lower():
            kind = "sign-in"
        else:
            kind = "unreachable"
        raise HostFailureError(kind, said) from error


class Moved:
    """What the connection to one host carries, once there is one."""

    def __init__(self) -> None:
        self._sessions = 0
        self._transport: Any = None

    def count(self, host: Any) -> None:  # noqa: ANN401 - pyinfra is untyped here
        """Count the sessions that pyinfra opens from here on: it tells nobody of them."""
        self._transport = host.connector.client.get_transport()
        open_session = self._transport.open_session

        def counted(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - paramiko's own
            self._sessions += 1
            return open_session(*arguments, **named)

        self._transport.open_session = counted

    def told(self) -> dict[str, int]:
        """Return what was moved, as plain JSON."""
        if self._transport is None:
            return traffic.Traffic().as_json()
        opened = traffic.Traffic(connections=1, sessions=self._sessions)
        return (opened + traffic.carried(self._transport.sock)).as_json()


def run(host: Any, line: str) -> tuple[bool, str, str]:  # noqa: ANN401 - pyinfra is untyped here
    """Run a shell command; return whether it succeeded, its output and its complaints."""
    ok, output = host.run_shell_command(api.StringCommand(line), _timeout=COMMAND_SECONDS)
    return ok, "\n".join(output.stdout_lines), "\n".join(output.stderr_lines)


def ask(host: Any, request: Request) -> Answer:  # noqa: ANN401 - pyinfra is untyped here
    """Return the output of the request's command, read as a fact."""
    wanted = {"line": request["command"], "_timeout": COMMAND_SECONDS}
    text = get_fact(host.state, host, HostOutput, kwargs=wanted, apply_failed_hosts=False)
    if not text:
        _, _, complaint = run(host, request["command"])
        raise HostFailureError("command", complaint or "the command printed nothing")
    return {"output": text}


def send(host: Any, request: Request) -> Answer:  # noqa: ANN401 - pyinfra is untyped here
    """Bring the files that are not there yet; return how many bytes went over."""
    directory = request["directory"]
    paths = {file["name"]: f"{directory}/{file['name']}" for file in request["files"]}
    names = " ".join(shlex.quote(path) for path in paths.values())
    _, there, _ = run(host, f"sha256sum {names} 2>/dev/null")
    present = {path: digest for digest, path in map(str.split, there.splitlines())}
    sent = 0
    for file in request["files"]:
        if present.get(paths[file["name"]]) == file["sha256"]:
            continue
        size = put(host, file, directory)
        say({"type": "progress", "host": host.name, "file": file["name"], "sent_bytes": size})
        sent += size
    return {"sent_bytes": sent}


def put(host: Any, file: dict[str, str], directory: str) -> int:  # noqa: ANN401
    """Send one file under a temporary name, check it there, and rename it; return its size.

    Raises:
        HostFailureError: It did not arrive whole; the temporary file is gone.
    """
    temporary = f"{directory}/.{file['name']}.{secrets.token_hex(4)}"
    try:
        # The connector's own transfer: the operation files.put asks three facts first, and writes
        # in place.
        host.put_file(file["source"], temporary)
        complaint = settle(host, file, directory, temporary)
    except Exception as error:  # noqa: BLE001 - whatever ended it, the host is told apart
        complaint = f"{type(error).__name__}: {error}"
    if complaint:
        run(host, f"rm -f {shlex.quote(temporary)}")
        raise HostFailureError("upload", complaint, file=file["name"])
    return Path(file["source"]).stat().st_size


def settle(host: Any, file: dict[str, str], directory: str, temporary: str) -> str:  # noqa: ANN401
    """Check what arrived, flush it and rename it; return the host's complaint, or nothing."""
    there, final = shlex.quote(temporary), shlex.quote(f"{directory}/{file['name']}")
    check = shlex.quote(f"{file['sha256']}  {temporary}")
    ok, _, complaint = run(
        host,
        f"printf '%s\\n' {check} | sha256sum --check --status && chmod 0600 {there}"
        f" && sync {there} && mv -T {there} {final} && sync {shlex.quote(directory)}",
    )
    return "" if ok else complaint or "what arrived has another hash"


def one(state: api.State, host: Any, request: Request) -> None:  # noqa: ANN401
    """Do the request on one host and print the answer."""
    moved = Moved()
    with ctx_state.use(state), ctx_host.use(host):
        try:
            connect(host)
            moved.count(host)
            answer = ask(host, request) if "command" in request else send(host, request)
        except HostFailureError as error:
            answer = error.answer
        except Exception as error:  # noqa: BLE001 - one host's trouble must not silence the others
            answer = {"error": "command", "cause": f"{type(error).__name__}: {error}"}
            traceback.print_exc()
    say({"type": "host", "host": host.name, "traffic": moved.told(), **answer})


def main() -> None:
    """Serve the one request on stdin."""
    logging.getLogger("pyinfra").setLevel(logging.CRITICAL)
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    request = json.load(sys.stdin)
    state = state_of(request)
    gevent.joinall([state.pool.spawn(one, state, host, request) for host in state.inventory])


if __name__ == "__main__":
    main()
