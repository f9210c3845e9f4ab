"""The wire: one JSON request in, JSON lines out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from changeover.agent import durable, names
from changeover.agent.failure import ActionError

if TYPE_CHECKING:
    from collections.abc import Mapping

PROTOCOL = 1
LONGEST_REQUEST = 256 * 1024 * 1024


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
    """The lines back. Nobody reading them is noted, and is no reason to stop half way."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.lost = False

    def send(self, kind: str, **fields: object) -> None:
        """Send one line."""
        if self.lost:
            return
        line = json.dumps({"type": kind, **fields}, ensure_ascii=False) + "\n"
        try:
            self._stream.write(durable.encoded(line))
            self._stream.flush()
        except (OSError, ValueError):
            self.lost = True

    def version(self, version: str) -> None:
        """Say which agent answers."""
        self.send("version", protocol=PROTOCOL, agent=version)

    def failed(self, identifier: str, error: ActionError) -> None:
        """Say what failed and why."""
        self.send("failed", id=identifier, **error.as_fields())
