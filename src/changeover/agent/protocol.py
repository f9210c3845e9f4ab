"""The wire: one JSON request in, JSON lines out."""

from __future__ import annotations

import contextlib
import io
import json
import os
import select
import threading
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from changeover.agent import beat, names
from changeover.agent.failure import ActionError
from changeover.agent.system import durable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PROTOCOL = 1
LONGEST_REQUEST = 256 * 1024 * 1024
PIECE = 1 << 20
# A controller that sends or takes no byte for so long is gone, or stopped: nothing here waits for it.
TAKEN_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Action:
    """One action of a request."""

    id: str
    name: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a controller asks of this host.

    Args:
        agent: The agent version it was made for; empty for any.
        fence: The fencing number and nonce of its lease, if it holds one.
    """

    agent: str
    app: str
    deployment: str
    fence: Mapping[str, Any] | None
    actions: tuple[Action, ...]


def received(descriptor: int) -> bytes:
    """Read a request to its end.

    Raises:
        ActionError: ``bad-request``; it is too long, or nothing of it came for too long.
    """
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    content = bytearray()
    while True:
        if not poll.poll(TAKEN_SECONDS * 1000):
            raise ActionError("bad-request", f"no request came for {TAKEN_SECONDS:g} s")
        piece = os.read(descriptor, PIECE)
        if not piece:
            return bytes(content)
        content += piece
        if len(content) > LONGEST_REQUEST:
            raise ActionError("bad-request", f"it is longer than {LONGEST_REQUEST} bytes")


def parse(text: bytes) -> Request:
    """Read a request.

    Raises:
        ActionError: ``bad-request``, with what is wrong in it.
    """
    try:
        raw = json.loads(text)
        if raw["protocol"] != PROTOCOL:
            raise ActionError("bad-request", f"protocol {raw['protocol']} is not spoken here")
        fence = raw.get("fence")
        if fence is not None and not isinstance(fence, dict):
            raise ActionError("bad-request", "fence has to be an object")
        return Request(
            agent=str(raw.get("agent") or ""),
            app=names.checked("app", names.APP, raw["app"]),
            deployment=names.checked("deployment", names.DEPLOYMENT, raw["deployment"]),
            fence=fence,
            actions=tuple(_action(entry) for entry in raw["actions"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ActionError(
            "bad-request", f"the request cannot be read: {type(error).__name__} {error}"
        ) from error


def _action(entry: dict[str, Any]) -> Action:
    rest = {key: value for key, value in entry.items() if key not in {"id", "action"}}
    name = entry["action"]
    identifier = entry.get("id", name)
    if not (isinstance(name, str) and isinstance(identifier, str) and identifier):
        raise ActionError("bad-request", "an action has to have a name and an id")
    return Action(identifier, name, rest)


class Replies:
    """The lines back. Nobody reading them is noted, and is no reason to stop half way.

    Args:
        stream: Where they go; a pipe that nobody empties is waited for, with a deadline.

    ``also`` is told every line, whether or not somebody reads them.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._sending = threading.Lock()
        self.also: Callable[[Mapping[str, Any]], None] | None = None
        self.lost = False

    def send(self, kind: str, **fields: object) -> None:
        """Send one line, whole: others may be sent at the same time."""
        line = json.dumps({"type": kind, **fields}, ensure_ascii=False) + "\n"
        with self._sending:
            if self.also:
                self.also({"type": kind, **fields})
            if self.lost:
                return
            try:
                _put(self._stream, durable.encoded(line))
            except (OSError, ValueError):
                self.lost = True

    def version(self, version: str) -> None:
        """Say which agent answers, and that it is heard of again and again while it works."""
        self.send("version", protocol=PROTOCOL, agent=version, beat_seconds=beat.RHYTHM_SECONDS)

    def failed(self, identifier: str, error: ActionError) -> None:
        """Say what failed and why."""
        self.send("failed", id=identifier, **error.as_fields())


def _put(stream: IO[bytes], content: bytes) -> None:
    """Write all of it.

    Raises:
        TimeoutError: Nobody took anything for too long.
    """
    descriptor = None
    with contextlib.suppress(io.UnsupportedOperation):
        descriptor = stream.fileno()
    if descriptor is None:
        stream.write(content)
        return
    # So much fits into a pipe that is ready, by POSIX: the write does not wait.
    piece = select.PIPE_BUF
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    deadline = time.monotonic() + TAKEN_SECONDS
    while content:
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise TimeoutError
        content = content[os.write(descriptor, content[:piece]) :]
        deadline = time.monotonic() + TAKEN_SECONDS
