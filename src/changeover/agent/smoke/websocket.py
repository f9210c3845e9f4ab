"""One WebSocket conversation (RFC 6455) over a listener of this host, every wait before a deadline."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import struct
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from changeover.agent.smoke.likeness import difference

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from changeover.agent.smoke.client import Endpoint

ACCEPTED_WITH = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
CONTINUED, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
SWITCHING = 101
NO_CODE = 1005
LONGEST_HEAD = 1 << 16
LONGEST_MESSAGE = 1 << 20
LAST_CHUNK = b"0\r\n\r\n"
SHOWN = 400


class ClosedError(Exception):
    """The server has ended the connection; ``code`` is ``None`` where it sent no close frame."""

    def __init__(self, code: int | None) -> None:
        super().__init__(f"closed with code {code}")
        self.code = code


def hold(endpoint: Endpoint, host: str, wanted: Mapping[str, Any]) -> str | None:
    """Hold a conversation; return what is not as declared, unmasked, or nothing.

    Args:
        endpoint: Where to.
        host: The public name.
        wanted: ``path``, ``headers``, ``subprotocols``, ``open_seconds``, ``refused``, ``turns`` and
            ``close``, as a release declares them, with every value filled in.
    """
    seconds = float(wanted["open_seconds"])
    deadline = time.monotonic() + seconds
    try:
        opened = endpoint.connect(host, seconds)
    except OSError as error:
        return f"the connection failed: {error}"
    with opened:
        speaker = _Speaker(opened)
        try:
            status, said = speaker.upgrade(host, wanted, deadline)
        except TimeoutError:
            return f"the upgrade was not finished within {seconds:g} s"
        except (OSError, ValueError) as error:
            return f"the connection failed: {error}"
        refused = wanted.get("refused")
        if status != SWITCHING:
            text = (
                f"the upgrade was answered with {status}, expected {refused or SWITCHING}: {said}"
            )
            return None if status == refused else text
        if refused:
            return f"the connection was accepted, expected to be refused with {refused}"
        return _talk(speaker, wanted)


def _talk(speaker: _Speaker, wanted: Mapping[str, Any]) -> str | None:
    offered = wanted.get("subprotocols") or []
    if offered and speaker.subprotocol not in offered:
        return f"the server chose the subprotocol {speaker.subprotocol}"
    try:
        for number, turn in enumerate(wanted["turns"], 1):
            if fault := _turn(speaker, turn):
                return f"turn {number}: {fault}"
        return _end(speaker, wanted["close"])
    except OSError as error:
        return f"the connection failed: {error}"


def _turn(speaker: _Speaker, turn: Mapping[str, Any]) -> str | None:
    try:
        if turn.get("send") is not None:
            content = turn["send"]
            text = content if isinstance(content, str) else json.dumps(content)
            speaker.send(TEXT, text.encode())
        if turn.get("receive") is None:
            return None
        return _receive(speaker, turn["receive"])
    except ClosedError as closed:
        return f"the server closed with code {closed.code} ({speaker.last})"


def _receive(speaker: _Speaker, receive: Mapping[str, Any]) -> str | None:
    seconds = float(receive["within_seconds"])
    deadline = time.monotonic() + seconds
    try:
        if receive.get("ping"):
            speaker.await_ping(deadline)
            return None
        while not _fits(receive, speaker.message(deadline)):
            pass
    except TimeoutError:
        what = "ping" if receive.get("ping") else "such message"
        return f"no {what} within {seconds:g} s ({speaker.last})"
    return None


def _fits(receive: Mapping[str, Any], message: str) -> bool:
    if receive.get("contains") is not None:
        return receive["contains"] in message
    try:
        return difference(receive["json"], json.loads(message)) is None
    except ValueError:
        return False


def _end(speaker: _Speaker, close: Mapping[str, Any]) -> str | None:
    seconds = float(close["within_seconds"])
    try:
        if close["by"] == "client":
            speaker.send(CLOSE, struct.pack("!H", close["code"]))
        deadline = time.monotonic() + seconds
        while True:
            speaker.message(deadline)
    except TimeoutError:
        return f"the server did not close within {seconds:g} s"
    except ClosedError as closed:
        if closed.code is None:
            return "the connection ended without a close frame from the server"
        if closed.code != close["code"]:
            return f"the server closed with code {closed.code}, expected {close['code']}"
        return None


class _Speaker:
    """The client's end of a connection: frames out masked, frames in put together."""

    def __init__(self, opened: socket.socket) -> None:
        self._opened = opened
        self._buffer = b""
        self._messages: deque[str] = deque()
        self._parts = b""
        self._pinged = False
        self._leaving = False
        self.subprotocol: str | None = None
        self.last = "nothing came"

    def upgrade(self, host: str, wanted: Mapping[str, Any], deadline: float) -> tuple[int, str]:
        """Ask for the upgrade; return the answer's status, and its body where it is refused."""
        key = base64.b64encode(os.urandom(16)).decode("ascii")
        headers = {
            "Host": host,
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": key,
            "Sec-WebSocket-Version": "13",
            "User-Agent": "changeover",
        }
        if wanted.get("subprotocols"):
            headers["Sec-WebSocket-Protocol"] = ", ".join(wanted["subprotocols"])
        lines = [f"GET {wanted['path']} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in (headers | wanted["headers"]).items()]
        if any("\r" in line or "\n" in line for line in lines):
            raise ValueError("a header has more than one line")
        self._opened.sendall("\r\n".join([*lines, "", ""]).encode("utf-8"))
        status, answered = self._head(deadline)
        if status != SWITCHING:
            return status, self._rest(answered, deadline)
        expected = hashlib.sha1((key + ACCEPTED_WITH).encode("ascii")).digest()  # noqa: S324 - RFC 6455
        if answered.get("sec-websocket-accept") != base64.b64encode(expected).decode("ascii"):
            raise ValueError("the server's answer to the upgrade is not one to this question")
        self.subprotocol = answered.get("sec-websocket-protocol")
        return status, ""

    def _head(self, deadline: float) -> tuple[int, dict[str, str]]:
        while b"\r\n\r\n" not in self._buffer:
            if len(self._buffer) > LONGEST_HEAD or not self._more(deadline):
                raise ValueError("the answer to the upgrade is no HTTP")
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split()
        if len(words) < 2 or not words[1].isdigit():  # noqa: PLR2004 - protocol and status
            raise ValueError("the answer to the upgrade is no HTTP")
        pairs = (line.partition(":") for line in lines)
        return int(words[1]), {name.strip().lower(): value.strip() for name, _, value in pairs}

    def _rest(self, answered: Mapping[str, str], deadline: float) -> str:
        length = answered.get("content-length", "")
        wanted = min(SHOWN, int(length)) if length.isdigit() else SHOWN
        with contextlib.suppress(OSError):
            while len(self._buffer) < wanted and not self._buffer.endswith(LAST_CHUNK):
                if not self._more(deadline):
                    break
        return self._buffer.decode("utf-8", "replace")[:SHOWN]

    def send(self, kind: int, content: bytes) -> None:
        """Send one frame."""
        self._leaving = self._leaving or kind == CLOSE
        mask = os.urandom(4)
        size = len(content)
        if size < 126:  # noqa: PLR2004 - RFC 6455, 5.2: where longer lengths begin
            head = struct.pack("!BB", 0x80 | kind, 0x80 | size)
        elif size < 1 << 16:
            head = struct.pack("!BBH", 0x80 | kind, 0xFE, size)
        else:
            head = struct.pack("!BBQ", 0x80 | kind, 0xFF, size)
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(content))
        self._opened.sendall(head + mask + masked)

    def message(self, deadline: float) -> str:
        """Return the next message.

        Raises:
            TimeoutError: None came in time.
            ClosedError: The connection is over.
        """
        while not self._messages:
            self._frame(deadline)
        return self._messages.popleft()

    def await_ping(self, deadline: float) -> None:
        """Wait for a ping since the last one that was waited for."""
        while not self._pinged:
            self._frame(deadline)
        self._pinged = False

    def _frame(self, deadline: float) -> None:
        first, second = self._take(2, deadline)
        size = second & 0x7F
        if size == 126:  # noqa: PLR2004 - RFC 6455, 5.2
            (size,) = struct.unpack("!H", self._take(2, deadline))
        elif size == 127:  # noqa: PLR2004 - RFC 6455, 5.2
            (size,) = struct.unpack("!Q", self._take(8, deadline))
        if size > LONGEST_MESSAGE:
            raise OSError("a message is larger than can be")
        self._take_in(first & 0x0F, self._take(size, deadline), whole=bool(first & 0x80))

    def _take_in(self, kind: int, content: bytes, *, whole: bool) -> None:
        if kind == PING:
            self._pinged = True
            if not self._leaving:
                self.send(PONG, content)
        elif kind == CLOSE:
            if not self._leaving:
                with contextlib.suppress(OSError):
                    self.send(CLOSE, content[:2])
            raise ClosedError(struct.unpack("!H", content[:2])[0] if len(content) > 1 else NO_CODE)
        elif kind in {TEXT, BINARY, CONTINUED}:
            self._parts += content
            if whole:
                text = self._parts.decode("utf-8", "replace")
                self._parts = b""
                self.last = f"the last message: {text}"
                self._messages.append(text)

    def _take(self, size: int, deadline: float) -> bytes:
        while len(self._buffer) < size:
            if not self._more(deadline):
                raise ClosedError(None)
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def _more(self, deadline: float) -> bool:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._opened.settimeout(left)
        try:
            chunk = self._opened.recv(1 << 16)
        except ConnectionResetError:
            chunk = b""
        self._buffer += chunk
        return bool(chunk)
