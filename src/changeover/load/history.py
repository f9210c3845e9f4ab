"""What a load client recorded: every request and every WebSocket, from its start to its end."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

OK = range(200, 300)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, sent once.

    Args:
        id: Its request id.
        start: When it was sent, in seconds since 1970.
        end: When its whole answer was there, or it was given up.
        status: The HTTP status; ``None`` where there was no whole answer.
        error: Why there was none.
        release: Which release said that it answered, if one did.
    """

    id: str
    start: float
    end: float
    status: int | None = None
    error: str | None = None
    release: str | None = None

    @property
    def acknowledged(self) -> bool:
        """Tell whether the client was told that it is done."""
        return self.status in OK

    @property
    def outcome(self) -> str:
        """Return its status, or why there is none."""
        return str(self.status) if self.status is not None else str(self.error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Socket:
    """One WebSocket.

    Args:
        number: Which of the clients held it.
        start: When it was asked for.
        end: When it was over.
        release: Which release said that it took it, if one did.
        error: Why it was not opened.
        code: With which code the server closed it; ``None`` where it came without a close frame.
        held: Whether the client closed it, at the end of the load.
    """

    number: int
    start: float
    end: float
    release: str | None = None
    error: str | None = None
    code: int | None = None
    held: bool = False

    @property
    def cut(self) -> bool:
        """Tell whether it was open and ended without a close frame."""
        return self.error is None and not self.held and self.code is None


@dataclass(frozen=True, slots=True)
class History:
    """All that one load client did."""

    requests: tuple[Request, ...]
    sockets: tuple[Socket, ...]


def read(path: Path) -> History:
    """Return what a client recorded; a last line that it could not finish is left out."""
    requests, sockets = [], []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if not line.endswith("\n"):
            break
        entry = json.loads(line)
        if "websocket" in entry:
            sockets.append(_socket(entry))
        else:
            requests.append(_request(entry))
    return History(tuple(requests), tuple(sockets))


def _request(entry: dict[str, Any]) -> Request:
    return Request(
        id=entry["id"],
        start=entry["start"],
        end=entry["end"],
        status=entry.get("status"),
        error=entry.get("error"),
        release=entry.get("release"),
    )


def _socket(entry: dict[str, Any]) -> Socket:
    return Socket(
        number=entry["websocket"],
        start=entry["start"],
        end=entry["end"],
        release=entry.get("release"),
        error=entry.get("error"),
        code=entry.get("close"),
        held=bool(entry.get("held")),
    )
