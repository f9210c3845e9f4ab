"""What the command line prints: data on stdout, everything else on stderr."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from changeover import __version__
from changeover.secret import Redactor

if TYPE_CHECKING:
    from changeover.errors import ChangeoverError

Event = dict[str, Any]


@dataclass(slots=True)
class Output:
    """Where a command's words go.

    Args:
        json_lines: Print one JSON object a line on stdout, the first one with the version.
        redactor: Takes known secrets out of everything that is printed.
        started: Whether the version line of the stream was printed already.
    """

    json_lines: bool = False
    redactor: Redactor = field(default_factory=Redactor)
    started: bool = False
    _begun: dict[str, float] = field(default_factory=dict)
    _writing: threading.RLock = field(default_factory=threading.RLock)

    def event(self, event: Event) -> None:
        """Print an event of the stream: a JSON line, or a line of progress on stderr."""
        if self.json_lines:
            self._json(event)
            return
        line = self._words(event)
        if line:
            self.note(line)

    def data(self, event: Event, text: str | None = None) -> None:
        """Print a result: the event as JSON, or ``text`` (else its fields) on stdout."""
        if self.json_lines:
            self._json(event)
        elif text is not None:
            self._write(sys.stdout, text)
        else:
            for key, value in event.items():
                if key != "type":
                    self._write(sys.stdout, f"{key}: {value}")

    def end(self, text: str) -> None:
        """Print how a run ended, for people: a JSON stream has the run's own last event."""
        if not self.json_lines:
            self._write(sys.stdout, text)

    def note(self, text: str) -> None:
        """Print a line for a person on stderr."""
        self._write(sys.stderr, text)

    def error(self, error: ChangeoverError) -> None:
        """Print a failure: what happened, where, why, and what to type next."""
        if self.json_lines:
            self._json(error.as_event())
        lines = [f"{self._paint('error:', '31;1')} {error.message}"]
        if error.host:
            lines.append(f"  host:  {error.host}")
        if error.cause:
            cause = error.cause.strip().splitlines()
            lines.append(f"  cause: {cause[0] if cause else ''}")
            lines += [f"         {line}" for line in cause[1:]]
        lines.append(f"  next:  {error.hint}")
        self.note("\n".join(lines))

    def _json(self, event: Event) -> None:
        with self._writing:
            if not self.started:
                self.started = True
                version = {"type": "version", "changeover": __version__, "format": 1}
                self._write(sys.stdout, json.dumps(version))
            self._write(sys.stdout, json.dumps(event, default=str, sort_keys=False))

    def _write(self, stream: Any, text: str) -> None:  # noqa: ANN401 - any text stream
        line = self.redactor(text) + "\n"
        with self._writing, contextlib.suppress(BrokenPipeError):
            stream.write(line)
            stream.flush()

    def _paint(self, text: str, code: str) -> str:
        coloured = sys.stderr.isatty() and "NO_COLOR" not in os.environ
        return f"\x1b[{code}m{text}\x1b[0m" if coloured else text

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
