"""Ask systemd over its own socket: a call costs a millisecond, a program that makes it ten.

Only what is needed of D-Bus is spoken: sign in, send one call, wait for its answer. The socket is the
one that ``systemctl`` uses for root; no message bus stands between.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import TYPE_CHECKING

from changeover.agent.failure import ActionError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SOCKET = "run/systemd/private"
SECONDS = 10.0
# Root signs in as itself; the number is written in digits, each as its code.
SIGN_IN = b"\0AUTH EXTERNAL 30\r\nBEGIN\r\n"
LITTLE_ENDIAN, CALL, VERSION = ord("l"), 1, 1
RETURNED, REFUSED = 2, 3
HEAD = struct.Struct("<BBBBIII")
LONGEST_ANSWER = 1 << 20
PATH, INTERFACE, MEMBER, SIGNATURE = 1, 2, 3, 8


class Body:
    """The arguments of a call, laid out as D-Bus has them."""

    def __init__(self) -> None:
        self.content = bytearray()

    def align(self, size: int) -> Body:
        """Go on at a multiple of so many bytes."""
        self.content += bytes(-len(self.content) % size)
        return self

    def number(self, value: int) -> Body:
        """Append an unsigned number of 32 bits."""
        self.align(4).content += struct.pack("<I", value)
        return self

    def long(self, value: int) -> Body:
        """Append an unsigned number of 64 bits."""
        self.align(8).content += struct.pack("<Q", value)
        return self

    def text(self, value: str) -> Body:
        """Append a text."""
        raw = value.encode()
        self.number(len(raw)).content += raw + b"\0"
        return self

    def kind(self, value: str) -> Body:
        """Append what type follows."""
        self.content += bytes([len(value)]) + value.encode() + b"\0"
        return self

    def array(self, size: int, fill: Callable[[], None]) -> Body:
        """Append an array whose members ``fill`` appends; they begin at a multiple of ``size``."""
        self.number(0)
        where = len(self.content) - 4
        begin = len(self.align(size).content)
        fill()
        struct.pack_into("<I", self.content, where, len(self.content) - begin)
        return self


def call(root: Path, member: str, signature: str, body: Body) -> None:
    """Call the manager and wait until it has said that it did.

    Args:
        root: Below which systemd's socket is.
        member: What is called.
        signature: The types of its arguments.
        body: The arguments.

    Raises:
        ActionError: ``systemd-failed``; it refused, or cannot be asked.
    """
    try:
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as asked:
            asked.settimeout(SECONDS)
            asked.connect(str(root / SOCKET))
            asked.sendall(SIGN_IN + _message(member, signature, bytes(body.content)))
            with asked.makefile("rb") as answers:
                _signed_in(answers.readline(500))
                while not _answered(*_read(answers.read), member):
                    pass
    except (OSError, ValueError, struct.error) as error:
        raise ActionError(
            "systemd-failed", f"systemd cannot be asked for {member}", cause=str(error)
        ) from error


def _message(member: str, signature: str, body: bytes) -> bytes:
    fields = Body()

    def fill() -> None:
        for code, kind, value in (
            (PATH, "o", "/org/freedesktop/systemd1"),
            (INTERFACE, "s", "org.freedesktop.systemd1.Manager"),
            (MEMBER, "s", member),
        ):
            fields.align(8).content.append(code)
            fields.kind(kind).text(value)
        fields.align(8).content.append(SIGNATURE)
        fields.kind("g").kind(signature)

    fields.content += HEAD.pack(LITTLE_ENDIAN, CALL, 0, VERSION, len(body), 1, 0)[:-4]
    fields.array(8, fill).align(8)
    return bytes(fields.content) + body


def _signed_in(line: bytes) -> None:
    if not line.startswith(b"OK "):
        raise ValueError(f"sign-in refused: {line.decode('ascii', 'replace').strip()}")


def _read(read: Callable[[int], bytes]) -> tuple[int, bytes, bytes]:
    order, kind, _, _, length, _, fields = HEAD.unpack(read(HEAD.size))
    if order != LITTLE_ENDIAN or length + fields > LONGEST_ANSWER:
        raise ValueError("it answers in what is not spoken here")
    head = read(fields + (-fields % 8))
    return kind, head, read(length)


def _answered(kind: int, head: bytes, body: bytes, member: str) -> bool:
    """Tell whether this is the answer; signals of systemd's may come before it."""
    if kind == REFUSED:
        said = body[4:-1].decode("utf-8", "replace") if len(body) > 4 else repr(head)  # noqa: PLR2004 - a text's length
        raise ActionError("systemd-failed", f"systemd refuses {member}", cause=said)
    return kind == RETURNED
