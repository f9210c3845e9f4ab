"""What the command line prints: data on stdout, everything else on stderr."""

from __future__ import annotations

import errno
import json
import os
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from changeover import __version__
from changeover.cli.stream import put
from changeover.errors import Failed, InvalidInput
from changeover.secret import Redactor, in_texts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import TextIO

    from changeover.cli.live import View
    from changeover.errors import ChangeoverError

Event = dict[str, Any]

# what goes on within a step: of no interest once it is over, where it could be drawn
FLEETING = frozenset(
    {"batch", "canary", "check", "data-check", "host-intent", "host-progress", "provision-play"}
    | {"statement", "step-intent", "task-progress", "upload"}
)


# a pipe that was closed, and a terminal that hung up
NOBODY_LISTENS = frozenset({errno.EPIPE, errno.EIO})


class OutputUnwritten(Failed):
    """The result of a command could not be written where it was sent."""


class FileUnwritten(InvalidInput):
    """A file of results cannot be written where it was asked for."""


@dataclass(slots=True)
class Output:
    """Where a command's words go.

    Args:
        json_lines: Print one JSON object a line on stdout, the first one with the version.
        redactor: Takes known secrets out of everything that is printed.
        complete: Makes whole what is printed of commands to type.
        started: Whether the version line of the stream was printed already.
    """

    json_lines: bool = False
    redactor: Redactor = field(default_factory=Redactor)
    complete: Callable[[str], str] = str
    started: bool = False
    _begun: dict[str, float] = field(default_factory=dict)
    _writing: threading.RLock = field(default_factory=threading.RLock)
    _view: View | None = None
    _ended: bool = False
    _unwritten: OSError | None = None

    def event(self, event: Event) -> None:
        """Print an event of the stream: a JSON line, or a line of progress on stderr.

        On a terminal it is drawn, too, and what is of no interest later is drawn only.
        """
        if self.json_lines:
            self._json(event)
            return
        with self._writing:
            line = self._words(event)
            drawn = self._draw(event)
            if line and not (drawn and event.get("type") in FLEETING):
                self.note(line)
            if event.get("type") == "deployment-end":
                self.close()

    def data(self, event: Event, text: str | None = None) -> None:
        """Print a result: the event as JSON, or ``text`` (else its fields) on stdout."""
        if self.json_lines:
            self._json(event)
        elif text is not None:
            self._result(text)
        else:
            for key, value in event.items():
                if key != "type":
                    self._result(f"{key}: {value}")

    def save(self, file: Path, text: str) -> None:
        """Write text to a file that was asked for, secrets taken out; its folder is made if missing.

        Raises:
            FileUnwritten: It cannot be written there.
        """
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(self.redactor(text), encoding="utf-8")
        except OSError as error:
            raise FileUnwritten(
                f"{file} cannot be written",
                hint="name a file in a folder that you may write to",
                cause=str(error),
            ) from error

    def end(self, text: str) -> None:
        """Print how a run ended, for people: a JSON stream has the run's own last event."""
        if not self.json_lines:
            self._write(sys.stdout, text)

    def note(self, text: str) -> None:
        """Print a line for a person on stderr."""
        self._write(sys.stderr, text)

    def close(self) -> None:
        """Take the drawing away, as before a question or at the end; what was printed stays."""
        with self._writing:
            view, self._view = self._view, None
            if view is not None:
                view.stop()

    def finish(self) -> None:
        """End the output of what went well: the last object of a stream has the exit code."""
        self.close()
        if self._unwritten is not None:
            raise OutputUnwritten(
                "what was asked for could not be written to standard output",
                hint="make room where it is written to, then run this again",
                cause=str(self._unwritten),
            )
        if self.json_lines and not self._ended:
            self._json({"type": "end", "exit": 0})

    def error(self, error: ChangeoverError) -> None:
        """Print a failure: what happened, where, why, and what to type next."""
        self.close()
        if self.json_lines:
            self._json(error.as_event())
        lines = [f"{self._paint('error:', '31;1')} {error.message}"]
        if error.host:
            lines.append(f"  host:  {error.host}")
        if error.cause:
            # before lines are indented: a secret may have several
            cause = self.redactor(error.cause).strip().splitlines()
            lines.append(f"  cause: {cause[0] if cause else ''}")
            lines += [f"         {line}" for line in cause[1:]]
        lines.append(f"  next:  {error.hint}")
        self.note("\n".join(lines))

    def _json(self, event: Event) -> None:
        with self._writing:
            if not self.started:
                self.started = True
                version = {"type": "version", "changeover": __version__, "format": 1}
                self._put(sys.stdout, json.dumps(version))
            plain = json.loads(json.dumps(event, default=str))
            self._put(sys.stdout, json.dumps(in_texts(plain, self._shown)))
            self._ended = "exit" in event

    def _result(self, text: str) -> None:
        """Print what was asked for: where that is impossible, and somebody waits, it is a failure."""
        error = self._write(sys.stdout, text)
        if error is not None and error.errno not in NOBODY_LISTENS:
            self._unwritten = error

    def _write(self, stream: TextIO, text: str) -> OSError | None:
        return self._put(stream, self._shown(text))

    def _shown(self, text: str) -> str:
        return self.complete(self.redactor(text))

    def _put(self, stream: TextIO, clean: str) -> OSError | None:
        with self._writing:
            if self._view is not None and stream.isatty():
                self._view.print(clean)
                return None
            return put(stream, clean + "\n")

    def _draw(self, event: Event) -> bool:
        """Draw an event where the terminal can show it; tell whether it could."""
        if self._view is None:
            if event.get("type") == "deployment-end" or not _drawable(sys.stderr):
                return False
            from changeover.cli.live import View  # noqa: PLC0415 - only a terminal needs it

            self._view = View(sys.stderr, self.redactor, colour=_coloured(sys.stderr))
            self._view.start()
        self._view.take(event)
        return True

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if _coloured(sys.stderr) else text

    def _words(self, event: Event) -> str:
        kind = str(event.get("type", ""))
        name = str(event.get("step") or event.get("id") or "")
        if kind == "step-intent":
            self._begun[name] = time.monotonic()
            return f"{self._paint('...', '2')} {name:<10} {event.get('says', '')}"
        if kind == "step-done":
            seconds = time.monotonic() - self._begun.pop(name, time.monotonic())
            mark = self._paint("ok ", "32")
            return f"{mark} {name:<10} {event.get('says', '')} ({seconds:.1f} s)"
        if kind == "step-failed":
            self._begun.pop(name, None)
            return f"{self._paint('red', '31;1')} {name:<10} {event.get('message', '')}"
        said = str(event.get("says") or "")
        return f"    {said.strip()}" if said and self._begun else said


def _drawable(stream: TextIO) -> bool:
    """Tell whether this is a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM", "") not in {"", "dumb", "unknown"}


def _coloured(stream: TextIO) -> bool:
    return _drawable(stream) and not os.environ.get("NO_COLOR")
