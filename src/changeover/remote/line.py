"""A kept connection to a host, and the agent's requests on it, a session each."""

from __future__ import annotations

import contextlib
import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from changeover.errors import ChangeoverError
from changeover.remote import hearing, ssh
from changeover.remote.failures import AgentFailed, AgentMissing, AgentOutdated, SessionLost
from changeover.remote.traffic import METER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from changeover.errors import CheckRed, Failed
    from changeover.inventory import Environment, Host

AGENT_COMMAND = "sudo -n /usr/local/lib/changeover/agent"
CHUNK = 65536

Event = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What one action answered: its result, and whether it had been done before."""

    id: str
    result: Event
    skipped: bool


class Line:
    """A kept connection to one host: each request is a session of its own on it.

    Where it is ``shared``, tunnels to the host go through it, too.
    """

    def __init__(self, environment: Environment, host: Host) -> None:
        self._environment = environment
        self._host = host
        self._opening = threading.Lock()
        self._kept = contextlib.ExitStack()
        self.shared = False
        self._opened: Any = None
        self._unreached: ChangeoverError | None = None

    def reach(self) -> None:
        """Connect ahead of the first request; why that failed is told to the request."""
        with self._opening:
            try:
                if self._opened is None:
                    self._open()
            except ChangeoverError as error:
                self._unreached = error

    def agent(
        self,
        request: Mapping[str, Any],
        report: Callable[[Event], None],
        *,
        fresh: bool = False,
        give_up: float = hearing.GIVE_UP_SECONDS,
    ) -> list[Reply]:
        """Run one request on the host's agent, in one session, and return its replies in order.

        Args:
            request: What the agent is asked.
            report: Hears what it says on the way.
            fresh: Connect anew, so that the answer proves that the host can still be reached.
            give_up: After how many silent seconds the session is lost.

        Raises:
            AgentMissing: There is no agent to run.
            AgentOutdated: It is of another version.
            AgentFailed: An action failed; the replies before it are in the host's journal.
            SessionLost: The session ended early; what the agent had begun, it finishes.
        """
        import paramiko  # noqa: PLC0415 - 160 ms that only commands with hosts should pay

        try:
            channel = self._channel(fresh=fresh, seconds=min(ssh.CONNECT_SECONDS, give_up / 2))
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise self._broke_off(error) from error
        METER.session(self._host.name)
        try:
            channel.settimeout(give_up)
            with hearing.answered_within(give_up, channel):
                channel.exec_command(AGENT_COMMAND)
            channel.sendall(json.dumps(request).encode())
            channel.shutdown_write()
            actions = request.get("actions", ())
            ear = self._ear(report, give_up)
            return _replies(self._environment, self._host, channel, actions, ear)
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise self._broke_off(error) from error
        finally:
            ssh.dismiss(channel)

    def _ear(self, report: Callable[[Event], None], give_up: float) -> hearing.Ear:
        return hearing.Ear(
            host=self._host.name,
            hint=f"changeover status --env {self._environment.name}",
            report=report,
            alarm=min(hearing.ALARM_SECONDS, give_up),
            give_up=give_up,
        )

    def _broke_off(self, error: Exception) -> SessionLost:
        return SessionLost(
            f"the session with {self._host.name} broke off",
            hint=f"changeover status --env {self._environment.name}",
            host=self._host.name,
            cause=str(error) or type(error).__name__,
        )

    def close(self) -> None:
        """End the connection."""
        with self._opening:
            self._kept.close()
            self._opened = None

    def _open(self) -> None:
        self._kept.close()
        self._opened = self._kept.enter_context(ssh.connection(self._environment, self._host))
        if self.shared:
            ssh.share(self._environment, self._host, self._opened)
            self._kept.callback(ssh.unshare, self._opened)

    def _channel(self, *, fresh: bool, seconds: float) -> Any:  # noqa: ANN401 - paramiko's channel, untyped by fabric
        import paramiko  # noqa: PLC0415

        with self._opening:
            if not fresh and self._opened is not None and self._opened.is_connected:
                with contextlib.suppress(paramiko.SSHException, OSError, EOFError):
                    return self._opened.transport.open_session(timeout=seconds)
            unreached, self._unreached = self._unreached, None
            if unreached is not None:
                raise unreached
            self._open()
            return self._opened.transport.open_session(timeout=ssh.CONNECT_SECONDS)


def reach(environment: Environment, hosts: Iterable[Host]) -> dict[str, Line]:
    """Return the connections to hosts, which are being opened while the caller goes on."""
    lines: dict[str, Line] = {}
    for host in hosts:
        lines[host.name] = Line(environment, host)
        lines[host.name].shared = True
        name = f"reach {host.name}"
        threading.Thread(target=lines[host.name].reach, daemon=True, name=name).start()
    return lines


def _replies(
    environment: Environment,
    host: Host,
    channel: Any,  # noqa: ANN401 - paramiko's channel, untyped by fabric
    actions: Sequence[Mapping[str, Any]],
    ear: hearing.Ear,
) -> list[Reply]:
    replies: list[Reply] = []
    for event in ear.events(channel):
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
            ear.report({**event, "type": f"host-{event['type']}", "host": host.name})
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
