"""Write to a stream whose reader may go away: no command ends because nobody listens any more."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO


def put(stream: TextIO, text: str) -> OSError | None:
    """Write text to a stream at once; return why it could not be, and leave out all that follows.

    A reader that closed its pipe, a terminal that hung up, and a full disk behind a redirection
    are all the same to a run that has to reach its end.
    """
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        _drop(stream)
        return error
    return None


def _drop(stream: TextIO) -> None:
    """Let a stream swallow the rest, also what Python flushes at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


class Enduring(io.TextIOBase):
    """A terminal to draw on that never fails: once it hung up, nothing is drawn."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of the terminal."""
        return self._stream.encoding

    def write(self, text: str) -> int:
        """Write text, or leave it out."""
        put(self._stream, text)
        return len(text)

    def isatty(self) -> bool:
        """Tell whether it is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Return its file descriptor: its size is asked of that."""
        return self._stream.fileno()
