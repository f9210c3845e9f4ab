"""SSH to one host: a verified connection, and the agent's requests on it, a session each.

Host keys are never learned in passing: a host that is not in the environment's known hosts, or that
shows another key than the one recorded there, is refused before anything is sent.
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from changeover.errors import InvalidInput
from changeover.ssh_failures import (
    AgentFailed,
    AgentMissing,
    AgentOutdated,
    HostKeyChanged,
    HostUnreachable,
    SessionLost,
    SignInRefused,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from changeover.errors import CheckRed, Failed
    from changeover.inventory import Environment, Host

AGENT_COMMAND = "sudo -n /usr/local/lib/changeover/agent"
CONNECT_SECONDS = 10
# A silent agent is a hung one: its longest quiet action reports progress at least this often.
SILENCE_SECONDS = 600
CHUNK = 65536
# A host that acknowledges nothing for so long is gone: the kernel would wait for a quarter of an hour.
DEAD_PEER_MILLISECONDS = 30_000

Event = dict[str, Any]


class AccessUnreadable(InvalidInput):
    """A file that the deploy user signs in with is missing, or is not what it must be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What one action answered: its result, and whether it had been done before."""

    id: str
    result: Event
    skipped: bool


@contextlib.contextmanager
def connection(environment: Environment, host: Host) -> Iterator[Any]:
    """Open one verified SSH connection as the deploy user and close it afterwards.

    Raises:
        AccessUnreadable: The deploy key or the recorded host keys cannot be read here.
        HostUnreachable: The host does not answer in ten seconds.
        HostKeyChanged: Its key is not the recorded one.
        SignInRefused: The deploy key is not accepted.
    """
    import paramiko  # noqa: PLC0415 - 160 ms that only commands with hosts should pay

    # its thread tells every end of a connection, ours included, and failures are told by us
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    require_access(environment)
    opened = _unopened(environment, host)
    try:
        opened.open()
    except (OSError, EOFError, paramiko.SSHException) as error:
        raise _not_opened(environment, host, error) from error
    try:
        opened.transport.set_keepalive(10)
        opened.transport.sock.setsockopt(
            socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_PEER_MILLISECONDS
        )
        yield opened
    finally:
        opened.close()


def require_access(environment: Environment) -> None:
    """Raise unless the deploy key and the recorded host keys can be read on this machine.

    Raises:
        AccessUnreadable: One of them cannot; the hint names the file to write.
    """
    import paramiko  # noqa: PLC0415 - 160 ms that only commands with hosts should pay

    known_hosts = environment.known_hosts
    try:
        paramiko.HostKeys(str(known_hosts))
    except (OSError, ValueError) as error:
        place = f"changeover_known_hosts in {environment.file_of('changeover_known_hosts')}"
        raise AccessUnreadable(
            f"the recorded host keys {known_hosts} {_unread(error)}",
            hint=f"write the host keys into {known_hosts} ({place})",
            cause=str(error),
        ) from error
    if fault := _key_fault(environment.deploy_key):
        place = f"changeover_deploy_key in {environment.file_of('changeover_deploy_key')}"
        raise AccessUnreadable(
            f"the deploy key {environment.deploy_key} {fault}",
            hint=f"write the deploy user's private key into {environment.deploy_key} ({place})",
        )


def _key_fault(file: Path) -> str | None:
    """Return why a file is no private key that can be used unattended, or ``None``."""
    import paramiko  # noqa: PLC0415

    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            kind.from_private_key_file(str(file))
        except paramiko.PasswordRequiredException:
            return "asks for a passphrase, and nobody is there to type it"
        except OSError as error:
            return _unread(error)
        except (paramiko.SSHException, ValueError):
            continue
        return None
    return "is not an SSH private key"


def _unread(error: Exception) -> str:
    return "is not there" if isinstance(error, FileNotFoundError) else "cannot be read"


def _unopened(environment: Environment, host: Host) -> Any:  # noqa: ANN401 - fabric's, untyped
    import fabric  # noqa: PLC0415 - 160 ms that only commands with hosts should pay
    import paramiko  # noqa: PLC0415

    made = fabric.Connection(
        host.address,
        user=environment.deploy_user,
        port=host.port,
        config=fabric.Config(overrides={"load_ssh_configs": False}),
        connect_timeout=CONNECT_SECONDS,
        connect_kwargs={
            "key_filename": str(environment.deploy_key),
            "look_for_keys": False,
            "allow_agent": False,
            "banner_timeout": CONNECT_SECONDS,
            "auth_timeout": CONNECT_SECONDS,
        },
    )
    made.client.load_host_keys(str(environment.known_hosts))
    made.client.set_missing_host_key_policy(paramiko.RejectPolicy())
    return made


def _not_opened(environment: Environment, host: Host, error: Exception) -> CheckRed:
    import paramiko  # noqa: PLC0415

    where, known_hosts = f"{host.name} ({host.address})", environment.known_hosts
    cause = str(error) or type(error).__name__
    if isinstance(error, paramiko.BadHostKeyException):
        return HostKeyChanged(
            f"the host key of {where} is not the recorded one",
            hint=f"find out why it changed; if it is right, correct its line in {known_hosts}",
            host=host.name,
            cause=cause,
        )
    if isinstance(error, paramiko.AuthenticationException):
        return SignInRefused(
            f"{host.name} refuses the key of user {environment.deploy_user}",
            hint=f"changeover provision --env {environment.name} --limit {host.name}",
            host=host.name,
            cause=cause,
        )
    if "not found in known_hosts" in cause:
        return HostKeyChanged(
            f"the host key of {where} is not recorded",
            hint=f"add the host's key to {known_hosts} after comparing it on its console",
            host=host.name,
            cause=cause,
        )
    return HostUnreachable(
        f"{host.name} ({host.address}:{host.port}) does not answer SSH",
        hint="start the host or correct its address in the inventory, then run this again",
        host=host.name,
        cause=cause,
    )


class Line:
    """A kept connection to one host: each request is a session of its own on it."""

    def __init__(self, environment: Environment, host: Host) -> None:
        self._environment = environment
        self._host = host
        self._opening = threading.Lock()
        self._kept = contextlib.ExitStack()
        self._opened: Any = None

    def agent(
        self, request: Mapping[str, Any], report: Callable[[Event], None], *, fresh: bool = False
    ) -> list[Reply]:
        """Run one request on the host's agent, in one session, and return its replies in order.

        Args:
            request: What the agent is asked.
            report: Hears what it says on the way.
            fresh: Connect anew, so that the answer proves that the host can still be reached.

        Raises:
            AgentMissing: There is no agent to run.
            AgentOutdated: It is of another version.
            AgentFailed: An action failed; the replies before it are in the host's journal.
            SessionLost: The session ended early; what the agent had begun, it finishes.
        """
        import paramiko  # noqa: PLC0415 - 160 ms that only commands with hosts should pay

        channel = self._channel(fresh=fresh)
        try:
            channel.settimeout(SILENCE_SECONDS)
            channel.exec_command(AGENT_COMMAND)
            channel.sendall(json.dumps(request).encode())
            channel.shutdown_write()
            actions = request.get("actions", ())
            return _replies(self._environment, self._host, channel, actions, report)
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise SessionLost(
                f"the session with {self._host.name} broke off",
                hint=f"changeover status --env {self._environment.name}",
                host=self._host.name,
                cause=str(error) or type(error).__name__,
            ) from error
        finally:
            channel.close()

    def close(self) -> None:
        """End the connection."""
        with self._opening:
            self._kept.close()
            self._opened = None

    def _channel(self, *, fresh: bool) -> Any:  # noqa: ANN401 - paramiko's channel, untyped by fabric
        import paramiko  # noqa: PLC0415

        with self._opening:
            if not fresh and self._opened is not None and self._opened.is_connected:
                with contextlib.suppress(paramiko.SSHException, OSError, EOFError):
                    return self._opened.transport.open_session(timeout=CONNECT_SECONDS)
            self._kept.close()
            self._opened = self._kept.enter_context(connection(self._environment, self._host))
            return self._opened.transport.open_session(timeout=CONNECT_SECONDS)


def _events(channel: Any) -> Iterator[Event]:  # noqa: ANN401 - paramiko's channel, untyped by fabric
    """Yield what the agent said; a line that the end of the session cut off is nothing it said."""
    pending = b""
    while chunk := channel.recv(CHUNK):
        pending += chunk
        *complete, pending = pending.split(b"\n")
        for line in complete:
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict):
                    yield event


def _replies(
    environment: Environment,
    host: Host,
    channel: Any,  # noqa: ANN401 - paramiko's channel, untyped by fabric
    actions: Sequence[Mapping[str, Any]],
    report: Callable[[Event], None],
) -> list[Reply]:
    replies: list[Reply] = []
    try:
        for event in _events(channel):
            if event["type"] == "failed":
                raise _failure(environment, host, event)
            if event["type"] == "done":
                replies.append(
                    Reply(
                        id=str(event["id"]),
                        result=event.get("result") or {},
                        skipped=bool(event.get("skipped")),
                    )
                )
            elif event["type"] in {"intent", "progress"}:
                report({**event, "type": f"host-{event['type']}", "host": host.name})
    except TimeoutError as error:
        raise SessionLost(
            f"{host.name} has been silent for {SILENCE_SECONDS} s",
            hint=f"changeover status --env {environment.name}",
            host=host.name,
        ) from error
    if len(replies) == len(actions):
        return replies
    raise _early_end(environment, host, channel, f"{len(replies)} of {len(actions)} actions")


def _failure(environment: Environment, host: Host, event: Event) -> CheckRed | Failed:
    error = str(event.get("error", ""))
    if error == "agent-version":
        return AgentOutdated(
            f"the agent of {host.name} is of another version than this controller",
            hint=f"changeover provision --env {environment.name} --limit {host.name}",
            host=host.name,
            cause=str(event.get("message", "")),
        )
    return AgentFailed(
        f"{host.name}: {event.get('message', error)}",
        hint=str(event.get("hint") or f"changeover status --env {environment.name}"),
        host=host.name,
        cause=str(event["cause"]) if event.get("cause") else None,
        error=error,
        detail=event,
    )


def _early_end(
    environment: Environment,
    host: Host,
    channel: Any,  # noqa: ANN401 - paramiko's channel, untyped by fabric
    progress: str,
) -> CheckRed | Failed:
    said = ""
    with contextlib.suppress(TimeoutError, OSError):
        channel.settimeout(2)
        while chunk := channel.recv_stderr(CHUNK):
            said += chunk.decode("utf-8", "replace")
    if "sudo" in said or "not found" in said or "No such file" in said:
        return AgentMissing(
            f"the agent cannot be run on {host.name}",
            hint=f"changeover provision --env {environment.name} --limit {host.name}",
            host=host.name,
            cause=said.strip(),
        )
    return SessionLost(
        f"the session with {host.name} ended after {progress}",
        hint=f"changeover status --env {environment.name}",
        host=host.name,
        cause=said.strip() or None,
    )
